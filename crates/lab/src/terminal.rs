//! Output to the terminal. `print!` and `eprint!` panic on a write error, so a full disk or a
//! closed pipe would end a run; here a failed write is recorded, and the program reports it in its
//! exit code.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output failed for another reason than a closed reader.
static OUTPUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output. See [`output_failed`].
pub fn write_out(text: fmt::Arguments) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        OUTPUT_FAILED.store(true, Ordering::Relaxed);
    }
}

/// Writes to standard error. A message that cannot be written is lost.
pub fn write_err(text: fmt::Arguments) {
    let _lost = std::io::stderr().lock().write_fmt(text).is_err();
}

/// Whether results were lost because standard output could not be written. A closed reader is no
/// failure.
pub fn output_failed() -> bool {
    OUTPUT_FAILED.load(Ordering::Relaxed)
}

/// `print!` that does not panic.
macro_rules! out {
    ($($text:tt)*) => { $crate::terminal::write_out(format_args!($($text)*)) };
}

/// `println!` that does not panic.
macro_rules! outln {
    ($($text:tt)*) => { $crate::terminal::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprintln!` that does not panic.
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::terminal::write_err(format_args!("{}\n", format_args!($($text)*))) };
}

pub use errln;
pub(crate) use {out, outln};
