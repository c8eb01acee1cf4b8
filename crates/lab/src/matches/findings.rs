//! What an experiment on matches found out, in the shapes that all of them have in common.

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

/// Most points of a curve of shares.
const POINTS: usize = 400;

/// Everything an experiment has to say, before it is told where to.
pub struct Findings {
    /// Its subcommand, which is the name of its files too.
    pub name: &'static str,
    /// Name and version of the document's shape.
    pub schema: &'static str,
    /// What stands above the report.
    pub title: &'static str,
    /// What was done, in one sentence.
    pub about: String,
    /// What is to be said below the table.
    pub remarks: Vec<String>,
    /// For people.
    pub table: Table,
    /// One line for each match.
    pub csv: String,
    /// For programs, one for each row of the table.
    pub rows: Vec<Value>,
    /// Everything that decides the rows.
    pub params: Map<String, Value>,
    /// The options that say the same.
    pub options: String,
    /// What can be asked about with `--assert`.
    pub quantities: Vec<(&'static str, f64)>,
    /// Charts with the names of their files.
    pub charts: Vec<(&'static str, Chart)>,
    /// How it was measured.
    pub facts: Vec<(String, String)>,
    /// The first thing that must not be, and in which match.
    pub violation: Option<String>,
}

impl Findings {
    /// The same in the shapes in which they are given, judged by what was asserted.
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
            "charts and a report of this: add --out DIR\n"
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

/// What is wrong with a match, told with its kind and number; `None` if everything is as promised.
#[must_use]
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

/// A number for people, or a dash.
#[must_use]
pub(super) fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// A summary for programs: mean, median, 95th percentile and maximum of milliseconds, below such
/// names.
pub(super) fn summary_json(name: &str, summary: Option<Summary>, into: &mut Map<String, Value>) {
    let of =
        |pick: fn(Summary) -> f64| summary.map_or(Value::Null, |summary| number(pick(summary)));
    into.insert(format!("{name}_mean"), of(|summary| summary.mean));
    into.insert(format!("{name}_median"), of(|summary| summary.median));
    into.insert(format!("{name}_p95"), of(|summary| summary.p95));
    into.insert(format!("{name}_max"), of(|summary| summary.max));
}

/// For each value, how many of 100 are at most so large. Of many values some are left out; the
/// first and last are not.
#[must_use]
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

/// The largest of them; not a number if there are none.
#[must_use]
pub(super) fn most(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}
