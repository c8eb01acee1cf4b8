//! Output options shared by every experiment, and how results are written.

use std::path::{Path, PathBuf};

use super::Exit;
use crate::report::assertion::{Threshold, Verdict};
use crate::report::chart::Chart;
use crate::report::document::Document;
use crate::report::html::Page;
use crate::report::parallel;
#[cfg(feature = "png")]
use crate::report::png;
use crate::report::progress::{Mode, Progress};
use crate::terminal::{errln, out};

/// PNG pixels for each SVG pixel.
#[cfg(feature = "png")]
const SHARPNESS: f32 = 1.5;

/// Output options.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Output {
    /// Write the JSON document to FILE, or to stdout in place of the table.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// Write a report into this directory: HTML, CSV, JSON, and each chart as SVG
    /// (with the feature `png` also as PNG).
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fail with exit code 10 unless this holds, such as `max_elections<=3`; repeatable.
    #[arg(long = "assert", value_name = "NAME<=N")]
    pub asserted: Vec<Threshold>,
    /// Progress format (stderr).
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub progress: Mode,
    /// Print neither table nor progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Concurrent runs; the number of cores by default. Results do not depend on it.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// Results of an experiment.
pub struct Results {
    /// Base name of its files.
    pub name: &'static str,
    /// Table and remarks.
    pub text: String,
    /// CSV, one line for each run.
    pub csv: String,
    /// JSON document.
    pub document: Document,
    /// Charts, each with its file name.
    pub charts: Vec<(String, Chart)>,
    /// Other files of a report, by name.
    pub files: Vec<(String, String)>,
    /// Report page without charts and verdicts.
    pub page: Page,
}

/// Converts chart names to owned strings.
pub(crate) fn named(charts: Vec<(&'static str, Chart)>) -> Vec<(String, Chart)> {
    charts
        .into_iter()
        .map(|(file, chart)| (file.to_owned(), chart))
        .collect()
}

impl Output {
    /// Number of threads for concurrent runs.
    pub fn threads(&self) -> usize {
        self.jobs.unwrap_or_else(parallel::cores).max(1)
    }

    /// Progress reporter in the requested format.
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

    /// Writes the results to every requested output, and returns the exit code of the thresholds.
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
            .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
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
            #[cfg(feature = "png")]
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
            errln!("report: {}", report.display());
        }
        Ok(())
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(file, bytes).map_err(|error| format!("cannot write {}: {error}", file.display()))
}
