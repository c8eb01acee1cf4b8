//! Text table.

use std::fmt::Write as _;

/// Maximum width of a table in columns: it fits half a screen.
pub const WIDTH: usize = 100;

/// Columns with a name and a unit each, and rows of text. All cells are right-aligned, as for
/// numbers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    /// Name and unit of each column; the unit may be empty.
    pub heads: Vec<(&'static str, &'static str)>,
    /// One text for each column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table without rows.
    pub fn new(heads: &[(&'static str, &'static str)]) -> Self {
        Table {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. It must have one cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.heads.len(),
            "a row needs one cell for each column"
        );
        self.rows.push(cells);
    }

    /// Renders the table with two spaces between columns; one space if it would exceed [`WIDTH`].
    pub fn lines(&self) -> String {
        let characters = |text: &str| text.chars().count();
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| characters(&row[column]));
                let (name, unit) = self.heads[column];
                cells
                    .chain([characters(name), characters(unit)])
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        let wide = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > WIDTH;
        let gap = if wide { " " } else { "  " };
        let mut text = String::new();
        let mut line = |cells: Vec<&str>| {
            let cells: Vec<_> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:>width$}"))
                .collect();
            let _ = writeln!(text, "{}", cells.join(gap).trim_end());
        };
        line(self.heads.iter().map(|(name, _)| *name).collect());
        if self.heads.iter().any(|(_, unit)| !unit.is_empty()) {
            line(self.heads.iter().map(|(_, unit)| *unit).collect());
        }
        for row in &self.rows {
            line(row.iter().map(String::as_str).collect());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_aligned_below_their_units() {
        let mut table = Table::new(&[("nodes", ""), ("time", "ms")]);
        table.row(vec!["3".into(), "187.5".into()]);
        table.row(vec!["193".into(), "9.0".into()]);
        assert_eq!(
            table.lines(),
            "nodes   time\n          ms\n    3  187.5\n  193    9.0\n"
        );
    }
}
