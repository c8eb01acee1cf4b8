//! How far a long run is, on stderr: a bar on a terminal, lines elsewhere, documents for programs.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::terminal::errln;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

/// What is over within this time says nothing about its progress.
const SOON: Duration = Duration::from_secs(1);

/// Lines of a whole run where there is no terminal: one for each tenth.
const LINES: u64 = 10;

/// Whom progress is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum Mode {
    /// A bar on a terminal; elsewhere a line for each tenth.
    #[default]
    Auto,
    /// Nobody.
    Never,
    /// Programs: one JSON document a line, for each tenth.
    Json,
}

/// Progress of one run, told by any number of threads.
pub struct Progress {
    name: &'static str,
    total: u64,
    began: Instant,
    done: AtomicU64,
    size: AtomicU64,
    told: Told,
}

enum Told {
    Bar(ProgressBar),
    Lines,
    Documents,
    Nothing,
}

impl Progress {
    /// Progress of a run of `total` parts, which begins now.
    #[must_use]
    pub fn new(mode: Mode, name: &'static str, total: u64) -> Self {
        let told = match mode {
            Mode::Never => Told::Nothing,
            Mode::Json => Told::Documents,
            Mode::Auto if std::io::stderr().is_terminal() => Told::Bar(bar(name, total)),
            Mode::Auto => Told::Lines,
        };
        Progress {
            name,
            total,
            began: Instant::now(),
            done: AtomicU64::new(0),
            size: AtomicU64::new(0),
            told,
        }
    }

    /// One more part is done, of a cluster of `size` nodes.
    pub fn advance(&self, size: u64) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let news = self.size.swap(size, Ordering::Relaxed) != size;
        let tenth = done * LINES / self.total > (done - 1) * LINES / self.total;
        match &self.told {
            Told::Bar(bar) => {
                if news {
                    bar.set_message(format!("n={size}"));
                }
                bar.inc(1);
            }
            Told::Lines if tenth && self.began.elapsed() >= SOON => {
                errln!("{}", self.line(done, size))
            }
            Told::Documents if tenth => errln!("{}", self.document(done, size)),
            Told::Lines | Told::Documents | Told::Nothing => {}
        }
    }

    /// Takes the bar away: what follows is the result.
    pub fn finish(&self) {
        if let Told::Bar(bar) = &self.told {
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

    /// If the rest takes as long for each part as what is done.
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
    fn lines_and_documents_say_how_far_it_is() {
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
