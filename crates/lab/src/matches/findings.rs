//! Common form of the results of all experiments on matches.

use serde_json::{Map, Value};

use super::ledger::Violation;
use crate::cli::output::{Output, Results, named};
use crate::report::assertion::{self, Verdict};
use crate::report::chart::Chart;
use crate::report::document::{Document, number};
use crate::report::environment::Environment;
use crate::report::html::Page;
use crate::report::statistics::Summary;
use crate::report::table::Table;

/// Maximum number of points of a cumulative curve.
const POINTS: usize = 400;

/// Results of an experiment, before output options apply.
pub struct Findings {
    /// Subcommand, which is also the base name of its files.
    pub name: &'static str,
    /// Name and version of the document's schema.
    pub schema: &'static str,
    /// Title of the report.
    pub title: &'static str,
    /// One sentence on the experiment.
    pub about: String,
    /// Remarks below the table.
    pub remarks: Vec<String>,
    /// Table for the terminal.
    pub table: Table,
    /// CSV, one line for each match.
    pub csv: String,
    /// JSON objects, one for each row of the table.
    pub rows: Vec<Value>,
    /// Parameters that determine the rows.
    pub params: Map<String, Value>,
    /// Equivalent command line options.
    pub options: String,
    /// Quantities for `--assert`.
    pub quantities: Vec<(&'static str, f64)>,
    /// Charts, each with its file name.
    pub charts: Vec<(&'static str, Chart)>,
    /// Facts about the measurement.
    pub facts: Vec<(String, String)>,
    /// The first violation, and its match.
    pub violation: Option<String>,
}

impl Findings {
    /// Converts the findings into output formats, judged by the thresholds.
    #[must_use]
    pub fn results(self, output: &Output) -> Results {
        let verdicts = assertion::judge(&output.asserted, &self.quantities);
        let (environment, command) = (
            Environment::here(),
            format!("cargo lab {} {}", self.name, self.options),
        );
        let remarks: String = self
            .remarks
            .iter()
            .map(|remark| format!("{remark}\n"))
            .collect();
        let next = if output.out.is_none() {
            "add --out DIR for charts and a report\n"
        } else {
            ""
        };
        let text = format!("{}\n\n{}\n{remarks}{next}", self.about, self.table.lines());
        let mut facts = self.facts;
        facts.push(("machine".to_owned(), environment.line()));
        let quantities: Map<_, _> = self
            .quantities
            .iter()
            .map(|(name, value)| ((*name).to_owned(), number(*value)))
            .collect();
        let page = Page {
            title: self.title.to_owned(),
            about: std::iter::once(self.about.clone())
                .chain(self.remarks)
                .collect(),
            command: command.clone(),
            tables: vec![("In numbers".to_owned(), self.table)],
            facts,
            ..Page::default()
        };
        let document = Document {
            schema: self.schema,
            ok: self.violation.is_none() && verdicts.iter().all(Verdict::holds),
            params: Value::Object(self.params),
            rows: self.rows,
            more: [("quantities".to_owned(), Value::Object(quantities))]
                .into_iter()
                .collect(),
            verdicts,
            environment,
            command,
        };
        let charts = named(self.charts);
        Results {
            name: self.name,
            text,
            csv: self.csv,
            document,
            charts,
            files: Vec::new(),
            page,
        }
    }
}

/// First violation of a match, with its kind and number; `None` if the match is sound.
pub(super) fn wrong(
    account: &super::play::Account,
    settled: bool,
    kind: &str,
    rep: usize,
) -> Option<String> {
    let what = match &account.violation {
        Some(violation) => Violation::to_string(violation),
        None if settled && !account.equal => "machines ended with different states".to_owned(),
        None => return None,
    };
    Some(format!("{kind}, match {}: {what}", rep + 1))
}

/// Table cell with a number, or a dash.
pub(super) fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Inserts mean, median, 95th percentile and maximum in milliseconds, with `name` as key prefix.
pub(super) fn summary_json(name: &str, summary: Option<Summary>, into: &mut Map<String, Value>) {
    let of =
        |pick: fn(Summary) -> f64| summary.map_or(Value::Null, |summary| number(pick(summary)));
    into.insert(format!("{name}_mean"), of(|summary| summary.mean));
    into.insert(format!("{name}_median"), of(|summary| summary.median));
    into.insert(format!("{name}_p95"), of(|summary| summary.p95));
    into.insert(format!("{name}_max"), of(|summary| summary.max));
}

/// Cumulative distribution in percent. Large samples are thinned; the first and last value are
/// kept.
pub(super) fn shares(mut values: Vec<f64>) -> Vec<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let shown = count.min(POINTS);
    let place = |at: usize| {
        if shown < 2 {
            0
        } else {
            at * (count - 1) / (shown - 1)
        }
    };
    (0..shown)
        .map(|at| {
            (
                values[place(at)],
                (place(at) + 1) as f64 * 100.0 / count as f64,
            )
        })
        .collect()
}

/// Maximum; NaN if there are none.
pub(super) fn most(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}
