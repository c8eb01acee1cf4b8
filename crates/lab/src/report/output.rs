//! Output options shared by every experiment, and how results are written.

use std::io;
use std::path::{Path, PathBuf};

use super::assertion::{Threshold, Verdict};
use super::chart::{Chart, ChartError};
use super::document::Document;
use super::html::Page;
use super::parallel;
#[cfg(feature = "png")]
use super::png::{self, PngError};
use super::progress::{Mode, Progress};
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
    /// Write a report into this directory: HTML, CSV, JSON, and each chart as SVG (with the feature
    /// `png` also as PNG).
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
    /// Logs of a report, by file name.
    pub logs: Vec<(String, String)>,
    /// Report page without charts and verdicts.
    pub page: Page,
}

/// Reason why results could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The directory of a report cannot be created.
    #[error("cannot create {}: {source}", path.display())]
    CreateDirectory {
        /// Directory.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteFile {
        /// File.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A chart cannot be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A chart cannot be rendered as PNG.
    #[cfg(feature = "png")]
    #[error(transparent)]
    Png(#[from] PngError),
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

    /// Writes the results to every requested output, and returns whether all thresholds hold.
    ///
    /// # Errors
    /// If a file cannot be written, or a chart cannot be drawn.
    pub fn write(&self, results: Results) -> Result<bool, OutputError> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        if to_stdout {
            out!("{}", results.document.text());
        } else if !self.quiet {
            out!("{}", results.text);
        }
        let verdicts = results.document.verdicts.clone();
        if let Some(file) = self.json.as_ref().filter(|_| !to_stdout) {
            write(file, results.document.text().as_bytes())?;
        }
        if let Some(folder) = &self.out {
            self.write_report(folder, results)?;
        }
        for verdict in &verdicts {
            if !self.quiet || !verdict.holds() {
                errln!("--assert {verdict}");
            }
        }
        Ok(verdicts.iter().all(Verdict::holds))
    }

    fn write_report(&self, folder: &Path, results: Results) -> Result<(), OutputError> {
        std::fs::create_dir_all(folder).map_err(|source| OutputError::CreateDirectory {
            path: folder.to_owned(),
            source,
        })?;
        let Results {
            name,
            csv,
            document,
            charts,
            logs,
            mut page,
            ..
        } = results;
        write(&folder.join(format!("{name}.csv")), csv.as_bytes())?;
        write(
            &folder.join(format!("{name}.json")),
            document.text().as_bytes(),
        )?;
        for (file, text) in logs {
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

fn write(file: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    std::fs::write(file, bytes).map_err(|source| OutputError::WriteFile {
        path: file.to_owned(),
        source,
    })
}
