//! One list of columns for each study, from which its outputs follow.
//!
//! A quantity is written once, as a [`Column`]: its key and unit in the document, its value, its
//! place in the table, and the thresholds that may be asked of it. [`Columns`] derives the table,
//! the JSON rows, the CSV where its lines are the rows, the values for `--assert`, and the
//! description of the schema that `--help` prints.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::csv;
use super::document::number;
use super::statistics::Summary;
use super::table::Table;

/// Maximum number of quantities of one column.
pub const MAX_QUANTITIES: usize = 3;

/// Value of one column in one row.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Cell {
    /// Not measured: `null`, and a dash in the table.
    Missing,
    /// Number of something.
    Count(u64),
    /// Measurement, which the document rounds to a thousandth.
    Measured(f64),
    /// Parameter, which the document contains as given.
    Exact(f64),
    /// Whether something holds: `yes` or `no` in the table.
    Flag(bool),
    /// Name.
    Text(String),
}

/// One column of a study with rows of type `R`.
#[derive(Debug)]
pub struct Column<R: 'static> {
    /// Key in the document; `None` for a column of the table alone.
    key: Option<&'static str>,
    /// Unit or meaning, for the description of the schema.
    unit: &'static str,
    value: fn(&R) -> Cell,
    /// Name and unit in the table; `None` for a column of the document alone.
    head: Option<(&'static str, &'static str)>,
    format: Format<R>,
    quantities: [Option<(&'static str, Fold<R>)>; MAX_QUANTITIES],
}

/// Form of a value in the table. A missing value is a dash in every form but [`Format::Row`].
#[derive(Debug)]
enum Format<R> {
    /// As it is.
    Plain,
    /// Number with this many decimal places.
    Digits(usize),
    /// Number with a sign and this many decimal places.
    Signed(usize),
    /// Number whose decimal places depend on its size.
    Scaled(fn(f64) -> String),
    /// Text that depends on other columns.
    Row(fn(&R) -> String),
}

/// Quantity for `--assert` over the values of a column. Missing values are skipped unless stated
/// otherwise. Where nothing was measured it is NaN, which satisfies no threshold.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fold<R> {
    /// Sum; 0 without values.
    Sum,
    /// Arithmetic mean.
    Mean,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Largest absolute value.
    MaxAbs,
    /// Largest value, NaN if a row has none; 0 without rows.
    Worst,
    /// Value of the first row, NaN if it is missing.
    First,
    /// Value of the last row, NaN if it is missing.
    Last,
    /// Number of rows whose flag does not hold.
    Unset,
    /// Value of all rows together.
    Rows(fn(&[R]) -> f64),
}

/// Columns of a study in the order of its table, and its quantities of no single column.
#[derive(Debug)]
pub struct Columns<R: 'static> {
    /// Name and version of the schema of the document.
    pub schema: &'static str,
    /// Columns.
    pub list: &'static [Column<R>],
    /// Further quantities for `--assert`, by name.
    pub totals: &'static [(&'static str, fn(&[R]) -> f64)],
}

/// Outputs that follow from the columns of a study and its rows.
#[derive(Clone, PartialEq, Debug)]
pub struct Measurements {
    /// Name and version of the schema of the document.
    pub schema: &'static str,
    /// Rows as a table.
    pub table: Table,
    /// Rows of the document.
    pub rows: Vec<Value>,
    /// Quantities for `--assert`.
    pub quantities: Vec<(&'static str, f64)>,
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Cell::Count(count)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Cell::Count(count as u64)
    }
}

impl From<f64> for Cell {
    fn from(measured: f64) -> Self {
        Cell::Measured(measured)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Cell::Flag(flag)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Missing, T::into)
    }
}

impl Cell {
    /// Mean of a summary.
    pub fn mean(summary: Option<Summary>) -> Self {
        summary.map(|summary| summary.mean).into()
    }

    /// Median of a summary.
    pub fn median(summary: Option<Summary>) -> Self {
        summary.map(|summary| summary.median).into()
    }

    /// 95th percentile of a summary.
    pub fn p95(summary: Option<Summary>) -> Self {
        summary.map(|summary| summary.p95).into()
    }

    /// Maximum of a summary.
    pub fn max(summary: Option<Summary>) -> Self {
        summary.map(|summary| summary.max).into()
    }

    /// Value in the document.
    fn json(&self) -> Value {
        match self {
            Cell::Missing => Value::Null,
            Cell::Count(count) => json!(count),
            Cell::Measured(value) => number(*value),
            Cell::Exact(value) => json!(value),
            Cell::Flag(flag) => json!(flag),
            Cell::Text(text) => json!(text),
        }
    }

    /// Value in the CSV.
    fn csv(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            other => other.json().to_string(),
        }
    }

    /// Number, if it is one.
    fn number(&self) -> Option<f64> {
        match self {
            Cell::Count(count) => Some(*count as f64),
            Cell::Measured(value) | Cell::Exact(value) => Some(*value),
            Cell::Missing | Cell::Flag(_) | Cell::Text(_) => None,
        }
    }

    fn plain(&self) -> String {
        match self {
            Cell::Missing => "-".to_owned(),
            Cell::Count(count) => count.to_string(),
            Cell::Measured(value) | Cell::Exact(value) => value.to_string(),
            Cell::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Cell::Text(text) => text.clone(),
        }
    }
}

impl<R> Format<R> {
    fn text(&self, cell: &Cell, row: &R) -> String {
        match (self, cell.number()) {
            (Format::Row(text), _) => text(row),
            (Format::Digits(digits), Some(value)) => format!("{value:.digits$}"),
            (Format::Signed(digits), Some(value)) => format!("{value:+.digits$}"),
            (Format::Scaled(text), Some(value)) => text(value),
            (Format::Plain, _) | (_, None) => cell.plain(),
        }
    }
}

impl<R> Fold<R> {
    fn of(&self, rows: &[R], value: fn(&R) -> Cell) -> f64 {
        let numbers = rows.iter().filter_map(|row| value(row).number());
        let measured = match self {
            Fold::Sum => Some(numbers.fold(0.0, |sum, number| sum + number)),
            Fold::Mean => {
                let numbers: Vec<_> = numbers.collect();
                Some(numbers.iter().sum::<f64>() / numbers.len() as f64)
            }
            Fold::Min => numbers.reduce(f64::min),
            Fold::Max => numbers.reduce(f64::max),
            Fold::MaxAbs => numbers.map(f64::abs).reduce(f64::max),
            Fold::Worst => rows
                .iter()
                .map(|row| value(row).number())
                .try_fold(0.0, |worst: f64, number| Some(worst.max(number?))),
            Fold::First => rows.first().and_then(|row| value(row).number()),
            Fold::Last => rows.last().and_then(|row| value(row).number()),
            Fold::Unset => {
                let unset = rows.iter().filter(|row| value(row) == Cell::Flag(false));
                Some(unset.count() as f64)
            }
            Fold::Rows(of) => Some(of(rows)),
        };
        measured.unwrap_or(f64::NAN)
    }
}

impl<R> Column<R> {
    /// Creates a column of the document. `unit` is its unit, or its meaning where the key does not
    /// give it.
    pub const fn new(key: &'static str, unit: &'static str, value: fn(&R) -> Cell) -> Self {
        Column {
            key: Some(key),
            unit,
            value,
            head: None,
            format: Format::Plain,
            quantities: [const { None }; MAX_QUANTITIES],
        }
    }

    /// Creates a column of the table alone.
    pub const fn derived(value: fn(&R) -> Cell) -> Self {
        Column {
            key: None,
            unit: "",
            value,
            head: None,
            format: Format::Plain,
            quantities: [const { None }; MAX_QUANTITIES],
        }
    }

    /// Shows the column in the table as it is, below `name` and `unit`.
    pub const fn head(mut self, name: &'static str, unit: &'static str) -> Self {
        self.head = Some((name, unit));
        self
    }

    /// Shows this many decimal places in the table.
    pub const fn digits(mut self, digits: usize) -> Self {
        self.format = Format::Digits(digits);
        self
    }

    /// Shows a sign and this many decimal places in the table.
    pub const fn signed(mut self, digits: usize) -> Self {
        self.format = Format::Signed(digits);
        self
    }

    /// Shows decimal places in the table that depend on the number.
    pub const fn scaled(mut self, format: fn(f64) -> String) -> Self {
        self.format = Format::Scaled(format);
        self
    }

    /// Shows a text in the table that depends on the whole row.
    pub const fn text(mut self, format: fn(&R) -> String) -> Self {
        self.format = Format::Row(format);
        self
    }

    /// Adds a quantity for `--assert`.
    ///
    /// # Panics
    /// If the column has [`MAX_QUANTITIES`] of them; a constant list then does not compile.
    pub const fn assert(mut self, name: &'static str, fold: Fold<R>) -> Self {
        let mut place = 0;
        while self.quantities[place].is_some() {
            place += 1;
        }
        self.quantities[place] = Some((name, fold));
        self
    }
}

impl<R> Columns<R> {
    /// Outputs for `rows`.
    pub fn measurements(&self, rows: &[R]) -> Measurements {
        Measurements {
            schema: self.schema,
            table: self.table(rows),
            rows: rows.iter().map(|row| self.json(row)).collect(),
            quantities: self.quantities(rows),
        }
    }

    /// Rows as a table.
    pub fn table(&self, rows: &[R]) -> Table {
        let heads: Vec<_> = self.list.iter().filter_map(|column| column.head).collect();
        let mut table = Table::new(&heads);
        for row in rows {
            let shown = self.list.iter().filter(|column| column.head.is_some());
            table.row(
                shown
                    .map(|column| column.format.text(&(column.value)(row), row))
                    .collect(),
            );
        }
        table
    }

    /// Row of the document.
    pub fn json(&self, row: &R) -> Value {
        let members = self
            .keyed()
            .map(|(key, column)| (key.to_owned(), (column.value)(row).json()));
        Value::Object(members.collect::<Map<_, _>>())
    }

    /// Rows as CSV.
    pub fn csv(&self, rows: &[R]) -> String {
        let heads: Vec<_> = self.keyed().map(|(key, _)| key).collect();
        let lines = rows.iter().map(|row| {
            self.keyed()
                .map(|(_, column)| (column.value)(row).csv())
                .collect::<Vec<_>>()
        });
        csv::document(&heads, lines)
    }

    /// Names of the quantities for `--assert`.
    pub fn quantity_names(&self) -> Vec<&'static str> {
        self.quantities(&[])
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    /// Quantities for `--assert`; NaN where nothing could be measured.
    pub fn quantities(&self, rows: &[R]) -> Vec<(&'static str, f64)> {
        let folds = self.list.iter().flat_map(|column| {
            let quantities = column.quantities.iter().flatten();
            quantities.map(|(name, fold)| (*name, fold.of(rows, column.value)))
        });
        let totals = self.totals.iter().map(|(name, of)| (*name, of(rows)));
        folds.chain(totals).collect()
    }

    /// Description of the schema: the keys of a row with their units, and the quantities for
    /// `--assert`.
    pub fn help(&self) -> String {
        let width = self
            .keyed()
            .map(|(key, _)| key.len())
            .max()
            .unwrap_or_default();
        let mut text = format!(
            "Rows of the document ({}), null where not measured:\n",
            self.schema
        );
        for (key, Column { unit, .. }) in self.keyed() {
            let line = format!("  {key:width$}  {unit}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let names = self.quantity_names();
        let _ = write!(text, "\nQuantities for --assert:\n  {}", names.join("\n  "));
        text
    }

    fn keyed(&self) -> impl Iterator<Item = (&'static str, &'static Column<R>)> {
        self.list
            .iter()
            .filter_map(|column| Some((column.key?, column)))
    }
}

/// Quantities as a JSON object.
pub(super) fn quantities_json(quantities: &[(&'static str, f64)]) -> Value {
    let members = quantities
        .iter()
        .map(|(name, value)| ((*name).to_owned(), number(*value)));
    Value::Object(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        nodes: u64,
        time: Option<f64>,
    }

    const COLUMNS: Columns<Row> = Columns {
        schema: "test/1",
        list: &[
            Column::new("nodes", "", |row: &Row| row.nodes.into())
                .head("nodes", "")
                .assert("nodes", Fold::Sum)
                .assert("largest", Fold::Max),
            Column::new("time_ms", "ms", |row: &Row| row.time.into())
                .head("time", "ms")
                .digits(1)
                .assert("mean_ms", Fold::Mean)
                .assert("first_ms", Fold::First)
                .assert("last_ms", Fold::Last),
            Column::derived(|row: &Row| row.time.map(|time| time * 2.0).into())
                .head("twice", "ms")
                .signed(0)
                .assert("worst_ms", Fold::Worst)
                .assert("off_ms", Fold::MaxAbs)
                .assert("least_ms", Fold::Min),
            Column::new("known", "whether it was measured", |row: &Row| {
                row.time.is_some().into()
            })
            .assert("unknown", Fold::Unset),
        ],
        totals: &[("rows", |rows| rows.len() as f64)],
    };

    fn rows() -> [Row; 3] {
        [(3, Some(-1.2341)), (5, Some(0.5)), (7, None)].map(|(nodes, time)| Row { nodes, time })
    }

    #[test]
    fn every_output_follows_from_the_list() {
        let rows = rows();
        let table = COLUMNS.table(&rows);
        assert_eq!(
            table.heads,
            [("nodes", ""), ("time", "ms"), ("twice", "ms")]
        );
        assert_eq!(
            (&table.rows[0], &table.rows[2]),
            (
                &["3", "-1.2", "-2"].map(str::to_owned).to_vec(),
                &["7", "-", "-"].map(str::to_owned).to_vec()
            )
        );
        assert_eq!(
            COLUMNS.json(&rows[0]),
            json!({ "nodes": 3, "time_ms": -1.234, "known": true })
        );
        assert_eq!(
            COLUMNS.csv(&rows),
            "nodes,time_ms,known\n3,-1.234,true\n5,0.5,true\n7,null,false\n"
        );
        assert!(COLUMNS.help().contains("  time_ms  ms\n"));
    }

    #[test]
    fn folds_skip_missing_values_except_the_worst_and_the_last() {
        let quantities = COLUMNS.quantities(&rows());
        let (names, values): (Vec<_>, Vec<_>) = quantities.into_iter().unzip();
        assert_eq!(names, COLUMNS.quantity_names());
        let expected = [
            15.0,
            7.0,
            -0.367_05,
            -1.2341,
            f64::NAN,
            f64::NAN,
            2.4682,
            -2.4682,
            1.0,
            3.0,
        ];
        for ((name, value), expected) in names.iter().zip(values).zip(expected) {
            let same = (value - expected).abs() < 1e-9 || value.is_nan() && expected.is_nan();
            assert!(same, "{name}: {value}, expected {expected}");
        }
    }
}
