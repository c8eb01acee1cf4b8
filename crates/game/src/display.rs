//! Detects that there is no display or GPU for a window.

use std::panic::AssertUnwindSafe;

use crate::terminal::release_libraries;
use crate::window;

/// The part of the system without which no window opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoDisplay {
    /// No display server is named in the environment.
    #[error("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)")]
    Unset,
    /// The display server that the environment names cannot be used.
    #[error("the display cannot be opened")]
    Unreachable,
    /// There is no graphics adapter.
    #[error(
        "there is no GPU and no software renderer (on Debian: apt-get install mesa-vulkan-drivers)"
    )]
    NoAdapter,
}

/// Checks that the environment names a display, before anything starts.
///
/// # Errors
/// [`NoDisplay::Unset`].
pub fn check() -> Result<(), NoDisplay> {
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // Other systems have no display server that could be missing.
    if cfg!(all(unix, not(target_os = "macos"))) && !named("DISPLAY") && !named("WAYLAND_DISPLAY") {
        return Err(NoDisplay::Unset);
    }
    Ok(())
}

/// Runs a window. A panic of the engine about a missing display or GPU becomes an error, until the
/// first frame and after unwinding has stopped everything that had started.
///
/// # Errors
/// [`NoDisplay::Unreachable`] or [`NoDisplay::NoAdapter`].
///
/// # Panics
/// If `run` panics for another reason, or after the first frame.
pub fn catch_missing<T>(run: impl FnOnce() -> T) -> Result<T, NoDisplay> {
    let otherwise = std::panic::take_hook();
    // A recognised panic becomes an error below, so its own message is suppressed.
    std::panic::set_hook(Box::new(move |panic| {
        if window::has_drawn() || missing(panic.payload_as_str()).is_none() {
            otherwise(panic);
        }
    }));
    let ran = std::panic::catch_unwind(AssertUnwindSafe(run));
    // The withheld messages may explain why no window came up.
    release_libraries(ran.is_err() && !window::has_drawn());
    ran.map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        match missing(text).filter(|_| !window::has_drawn()) {
            Some(missing) => missing,
            None => std::panic::resume_unwind(panic),
        }
    })
}

/// Derives the missing part of the system from the text of a panic.
fn missing(panic: Option<&str>) -> Option<NoDisplay> {
    let text = panic?;
    if text.contains("event loop") {
        Some(NoDisplay::Unreachable)
    } else if text.contains("GPU") || text.contains("adapter") {
        Some(NoDisplay::NoAdapter)
    } else {
        None
    }
}
