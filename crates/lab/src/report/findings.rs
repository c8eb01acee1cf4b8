//! Findings of a study, and their conversion into output formats.

use serde_json::{Map, Value};

use super::assertion::{self, Verdict};
use super::chart::Chart;
use super::column::{Measurements, quantities_json};
use super::document::Document;
use super::environment::Environment;
use super::html::Page;
use super::output::{Output, Results};

/// Findings of a study, before output options apply.
pub struct Findings {
    /// Base name of its files.
    pub name: &'static str,
    /// Title of the report.
    pub title: &'static str,
    /// First line of the text output.
    pub headline: String,
    /// One sentence on the study, for the report.
    pub about: String,
    /// Remarks below the table.
    pub remarks: Vec<String>,
    /// Heading of the table in the report.
    pub heading: String,
    /// Table, document rows and quantities.
    pub measurements: Measurements,
    /// CSV, one line for each run.
    pub csv: String,
    /// Parameters that determine the rows.
    pub params: Value,
    /// Members of the document in addition to its rows and quantities.
    pub more: Map<String, Value>,
    /// Command that repeats the study.
    pub command: String,
    /// Charts, each with its file name.
    pub charts: Vec<(String, Chart)>,
    /// Logs of a report, by file name.
    pub logs: Vec<(String, String)>,
    /// Facts about the measurement.
    pub facts: Vec<(String, String)>,
    /// Whether every run succeeded: leaders were elected, and no order was lost.
    pub complete: bool,
    /// First violated property, and the match in which it was violated.
    pub violation: Option<String>,
}

impl Findings {
    /// Converts the findings into output formats, judged by the thresholds.
    #[must_use]
    pub fn results(self, output: &Output) -> Results {
        let Measurements {
            schema,
            table,
            rows,
            quantities,
        } = self.measurements;
        let verdicts = assertion::judge(&output.asserted, &quantities);
        let environment = Environment::here();
        let remarks: String = self
            .remarks
            .iter()
            .map(|remark| format!("{remark}\n"))
            .collect();
        let next = match (&output.out, self.logs.is_empty()) {
            (Some(_), _) => "",
            (None, true) => "add --out DIR for charts and a report\n",
            (None, false) => "add --out DIR for charts, logs and a report\n",
        };
        let text = format!("{}\n\n{}\n{remarks}{next}", self.headline, table.lines());
        let mut facts = self.facts;
        facts.push(("machine".to_owned(), environment.line()));
        let page = Page {
            title: self.title.to_owned(),
            about: std::iter::once(self.about).chain(self.remarks).collect(),
            command: self.command.clone(),
            tables: vec![(self.heading, table)],
            facts,
            ..Page::default()
        };
        let mut more = self.more;
        more.insert("quantities".to_owned(), quantities_json(&quantities));
        let ok = self.complete && self.violation.is_none();
        let document = Document {
            schema,
            ok: ok && verdicts.iter().all(Verdict::holds),
            params: self.params,
            rows,
            more,
            verdicts,
            environment,
            command: self.command,
        };
        Results {
            name: self.name,
            text,
            csv: self.csv,
            document,
            charts: self.charts,
            logs: self.logs,
            page,
        }
    }
}

/// Converts chart names to owned strings.
pub fn named(charts: Vec<(&'static str, Chart)>) -> Vec<(String, Chart)> {
    charts
        .into_iter()
        .map(|(file, chart)| (file.to_owned(), chart))
        .collect()
}
