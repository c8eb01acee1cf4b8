//! What every experiment is told about its output, and how it gives it.

use std::path::{Path, PathBuf};

use super::Exit;
use crate::report::assertion::{Threshold, Verdict};
use crate::report::chart::Chart;
use crate::report::document::Document;
use crate::report::html::Page;
use crate::report::progress::{Mode, Progress};
use crate::report::{parallel, png};
use crate::terminal::{errln, out};

/// Pixels of a PNG for each of its SVG's.
const SHARPNESS: f32 = 1.5;

/// Where results go.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Output {
    /// Writes the JSON document to FILE, or to stdout in place of the table.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// Writes a report into this folder: HTML, CSV, JSON, and each chart as SVG and PNG.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fails with exit code 10 unless this holds, such as `max_elections<=3`. May be given several
    /// times.
    #[arg(long = "assert", value_name = "NAME<=N")]
    pub asserted: Vec<Threshold>,
    /// How progress is told, on stderr.
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub progress: Mode,
    /// Prints neither table nor progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Runs that go on at once; as many as there are cores unless told otherwise. No result depends
    /// on it.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// Everything an experiment has to say.
pub struct Results {
    /// Name of its files.
    pub name: &'static str,
    /// The table with its remarks.
    pub text: String,
    /// One line for each run.
    pub csv: String,
    /// For programs.
    pub document: Document,
    /// Charts with the names of their files.
    pub charts: Vec<(String, Chart)>,
    /// Further files of a report, by name.
    pub files: Vec<(String, String)>,
    /// The report, but for charts and thresholds.
    pub page: Page,
}

/// Charts whose files have names of their own.
pub(crate) fn named(charts: Vec<(&'static str, Chart)>) -> Vec<(String, Chart)> {
    charts
        .into_iter()
        .map(|(file, chart)| (file.to_owned(), chart))
        .collect()
}

impl Output {
    /// Threads for runs that go on at once.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.jobs.unwrap_or_else(parallel::cores).max(1)
    }

    /// Progress as it was asked for.
    #[must_use]
    pub fn progress(&self, name: &'static str, total: u64) -> Progress {
        Progress::new(
            if self.quiet {
                Mode::Never
            } else {
                self.progress
            },
            name,
            total,
        )
    }

    /// Gives the results to everybody who asked for them, and says what came of the thresholds.
    pub fn give(&self, results: Results) -> Exit {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        if to_stdout {
            out!("{}", results.document.text());
        } else if !self.quiet {
            out!("{}", results.text);
        }
        let verdicts = results.document.verdicts.clone();
        if let Err(error) = self.write(results, to_stdout) {
            errln!("{error}");
            return Exit::Unexpected;
        }
        for verdict in &verdicts {
            if !self.quiet || !verdict.holds() {
                errln!("--assert {verdict}");
            }
        }
        if verdicts.iter().all(Verdict::holds) {
            Exit::Success
        } else {
            Exit::Failed
        }
    }

    fn write(&self, results: Results, to_stdout: bool) -> Result<(), String> {
        if let Some(file) = self.json.as_ref().filter(|_| !to_stdout) {
            write(file, results.document.text().as_bytes())?;
        }
        let Some(folder) = &self.out else {
            return Ok(());
        };
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let Results {
            name,
            csv,
            document,
            charts,
            files,
            mut page,
            ..
        } = results;
        write(&folder.join(format!("{name}.csv")), csv.as_bytes())?;
        write(
            &folder.join(format!("{name}.json")),
            document.text().as_bytes(),
        )?;
        for (file, text) in files {
            write(&folder.join(file), text.as_bytes())?;
        }
        for (file, chart) in charts {
            let svg = chart.svg()?;
            write(&folder.join(format!("{file}.svg")), svg.as_bytes())?;
            write(
                &folder.join(format!("{file}.png")),
                &png::of(&svg, SHARPNESS)?,
            )?;
            page.charts.push((chart.title, svg));
        }
        page.verdicts = document.verdicts.iter().map(Verdict::to_string).collect();
        let report = folder.join(format!("{name}.html"));
        write(&report, page.html().as_bytes())?;
        if !self.quiet {
            errln!("the report is {}", report.display());
        }
        Ok(())
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(file, bytes).map_err(|error| format!("cannot write {}: {error}", file.display()))
}
