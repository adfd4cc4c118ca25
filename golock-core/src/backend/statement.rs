//! Statements, as files have them and as they are sent.

/// The statement without its lines of comment (`--`, in SQL and in Lua), which are for those who read the files; nor has it empty
/// lines, or blanks around a line. So no literal in it may go on over a line's end. Comments behind code stay.
pub fn without_comments(statement: &str) -> String {
    let lines = statement.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The template with each `{name}` that `values` has replaced by its value. What was put in is not looked at again: a table's name
/// may look like something to fill in, too.
///
/// ```
/// use golock_core::backend::fill;
///
/// let sql = fill("SELECT {columns} FROM {table}", &[("columns", "token"), ("table", "\"{columns}\"")]);
/// assert_eq!(sql, "SELECT token FROM \"{columns}\"");
/// ```
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(2 * template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = values
            .iter()
            .find_map(|(name, value)| Some((*value, after.strip_prefix(name)?.strip_prefix('}')?)));
        rest = match found {
            Some((value, after)) => {
                filled.push_str(value);
                after
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::{fill, without_comments};

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("{a}{b} {c}", &[("a", "{b}"), ("b", "x")]), "{b}x {c}");
    }

    #[test]
    fn lines_of_comment_are_left_out() {
        let sql = "-- Why.\nSELECT 1 -- one\n\n  -- And how.\n  FROM t;\n";
        assert_eq!(without_comments(sql), "SELECT 1 -- one\nFROM t;");
    }
}
