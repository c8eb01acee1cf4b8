//! Progress of a long run, on stderr: a bar on a terminal, otherwise lines, or JSON for programs.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::terminal::errln;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

/// Minimum run time before progress is reported.
const SOON: Duration = Duration::from_secs(1);

/// Number of lines of a whole run without a terminal: one for each tenth.
const LINES: u64 = 10;

/// Progress format.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Mode {
    /// A bar on a terminal; otherwise a line for each tenth.
    #[default]
    Auto,
    /// No progress.
    Never,
    /// One JSON document per line, for each tenth.
    Json,
}

/// Progress of one run, updated by any number of threads.
pub struct Progress {
    name: &'static str,
    total: u64,
    began: Instant,
    done: AtomicU64,
    size: AtomicU64,
    sink: Sink,
}

enum Sink {
    Bar(ProgressBar),
    Lines,
    Documents,
    Nothing,
}

impl Progress {
    /// Starts the progress of a run of `total` parts.
    pub fn new(mode: Mode, name: &'static str, total: u64) -> Self {
        let sink = match mode {
            Mode::Never => Sink::Nothing,
            Mode::Json => Sink::Documents,
            Mode::Auto if std::io::stderr().is_terminal() => Sink::Bar(bar(name, total)),
            Mode::Auto => Sink::Lines,
        };
        Progress {
            name,
            total,
            began: Instant::now(),
            done: AtomicU64::new(0),
            size: AtomicU64::new(0),
            sink,
        }
    }

    /// Counts one more finished part, of a cluster of `size` nodes.
    pub fn advance(&self, size: u64) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let news = self.size.swap(size, Ordering::Relaxed) != size;
        let tenth = done * LINES / self.total > (done - 1) * LINES / self.total;
        match &self.sink {
            Sink::Bar(bar) => {
                if news {
                    bar.set_message(format!("n={size}"));
                }
                bar.inc(1);
            }
            Sink::Lines if tenth && self.began.elapsed() >= SOON => {
                errln!("{}", self.line(done, size))
            }
            Sink::Documents if tenth => errln!("{}", self.document(done, size)),
            Sink::Lines | Sink::Documents | Sink::Nothing => {}
        }
    }

    /// Removes the bar before the result is printed.
    pub fn finish(&self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
        }
    }

    fn line(&self, done: u64, size: u64) -> String {
        format!(
            "{} {done}/{} n={size} {:.0} s left",
            self.name,
            self.total,
            self.seconds_left(done)
        )
    }

    fn document(&self, done: u64, size: u64) -> String {
        let left = (self.seconds_left(done) * 10.0).round() / 10.0;
        json!({ "progress": self.name, "done": done, "total": self.total, "nodes": size, "seconds_left": left })
            .to_string()
    }

    /// Estimated remaining seconds, if the remaining parts take as long as the finished ones.
    fn seconds_left(&self, done: u64) -> f64 {
        self.began.elapsed().as_secs_f64() * (self.total - done.min(self.total)) as f64
            / done.max(1) as f64
    }
}

fn bar(name: &'static str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} ▕{bar:24}▏ {pos}/{len} {msg} {eta} left");
    let style = style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("██ ");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    bar.with_style(style).with_prefix(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_documents_report_progress() {
        let progress = Progress::new(Mode::Never, "elections", 60);
        assert!(progress.line(34, 113).starts_with("elections 34/60 n=113 "));
        let document: serde_json::Value =
            serde_json::from_str(&progress.document(34, 113)).unwrap();
        assert_eq!(
            (&document["done"], &document["nodes"]),
            (&json!(34), &json!(113))
        );
    }
}
