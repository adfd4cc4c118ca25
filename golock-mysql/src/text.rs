//! Values as literals.

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Bytes, as a literal that no setting of the session makes into anything else.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    format!("X'{}'", hex(bytes))
}

pub(crate) fn text(text: &str) -> String {
    format!("_utf8mb4 {}", bytes(text.as_bytes()))
}
