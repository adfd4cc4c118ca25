//! Tables in Markdown, aligned so that a terminal shows them as well.

use crate::results::Row;

#[derive(Debug)]
pub(super) struct Table {
    /// The head first.
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { lines: vec![head.into_iter().map(Into::into).collect()] }
    }

    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.lines.push(cells.into_iter().map(Into::into).collect());
    }

    pub(super) fn markdown(&self) -> String {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
        let mut text = String::new();
        for (number, line) in self.lines.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let cell = line.get(column).map_or("", String::as_str);
                text += &format!("| {cell:width$} ");
            }
            text += "|\n";
            if number == 0 {
                for width in &widths {
                    text += &format!("|{:-<width$}", "", width = width + 2);
                }
                text += "|\n";
            }
        }
        text
    }
}

/// `1.52 (9,840/s)`.
pub(super) fn ratio_and_rate(row: &Row) -> String {
    let rate = thousands(row.median);
    row.ratio_to_floor.map_or_else(|| format!("{rate}/s"), |ratio| format!("{ratio:.2} ({rate}/s)"))
}

pub(super) fn ratio(row: &Row) -> String {
    row.ratio_to_floor.map(|ratio| format!("{ratio:.1}")).unwrap_or_default()
}

pub(super) fn number(row: &Row) -> String {
    short(row.median)
}

/// As many digits as say something.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => thousands(value),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Table, short, thousands};

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::new(["a", "long head"]);
        table.push(["µµµµ", "x"]);
        assert_eq!(table.markdown(), "| a    | long head |\n|------|-----------|\n| µµµµ | x         |\n");
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(999.0), "999");
        assert_eq!((short(0.0), short(1.234), short(4_021.7)), ("0".into(), "1.23".into(), "4,022".into()));
    }
}
