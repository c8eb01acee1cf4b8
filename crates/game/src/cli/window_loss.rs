//! Fate of the nodes behind a window that is lost.
//!
//! Decision: when the display dies, the renderer fails or the window's program panics, a member
//! transfers leadership, closes its node and replaces the process by `raftian node` (exec). Why:
//! the display is not part of the match; and Xlib ends the process by `exit` when its server is
//! gone, so nothing of the window's program can be relied on. Would change if: windows were
//! separate processes.
//!
//! A match of five nodes in one process ends with its window.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use raftian_node::NodeControl;

use super::Exit;
use super::signals::StopRequest;
use crate::screens::practice::MatchFiles;
use crate::terminal::{flush, note, release_libraries};

/// Longest wait for a node to transfer leadership and close.
const CLOSE_WAIT: Duration = Duration::from_secs(8);

const CLOSE_POLL: Duration = Duration::from_millis(5);

/// The member or match behind this process's window, while there is one.
static GUARDED: Mutex<Option<Guarded>> = Mutex::new(None);

struct Guarded {
    stop_request: StopRequest,
    behind: Behind,
}

enum Behind {
    Member(Member),
    /// A whole match, with the directory of its nodes, or none.
    Match(MatchFiles),
}

struct Member {
    control: NodeControl,
    /// Arguments of `raftian node` that name the member.
    arguments: [OsString; 2],
    log_level: String,
}

/// Guards the member or match behind a window until it is dropped.
pub(super) struct WindowGuard(());

impl WindowGuard {
    /// From now on the member of `control`, which `raftian node` runs with these `arguments`,
    /// continues if a library ends the process.
    pub(super) fn of_member(
        control: NodeControl,
        arguments: [OsString; 2],
        log_level: &str,
        stop_request: &StopRequest,
    ) -> Self {
        let log_level = log_level.to_owned();
        Self::new(
            Behind::Member(Member {
                control,
                arguments,
                log_level,
            }),
            stop_request,
        )
    }

    /// From now on the directory of the present match is removed if a library ends the process.
    pub(super) fn of_match(files: MatchFiles, stop_request: &StopRequest) -> Self {
        Self::new(Behind::Match(files), stop_request)
    }

    fn new(behind: Behind, stop_request: &StopRequest) -> Self {
        static HOOK: Once = Once::new();
        *lock() = Some(Guarded {
            stop_request: stop_request.clone(),
            behind,
        });
        // Once is enough: the hook looks up the current guard when it runs.
        HOOK.call_once(|| {
            shutdown_hooks::add_shutdown_hook(on_exit);
        });
        WindowGuard(())
    }

    /// Handles a window lost for this `reason`: a member continues without it. Returns the exit
    /// code for all other cases.
    pub(super) fn lost(self, reason: &str) -> Exit {
        let guarded = lock().take();
        guarded.map_or(Exit::NoDisplay, |guarded| guarded.lost(reason))
    }
}

impl Drop for WindowGuard {
    fn drop(&mut self) {
        *lock() = None;
    }
}

fn lock() -> MutexGuard<'static, Option<Guarded>> {
    GUARDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs when the process ends by `exit`. If a window is still guarded, a library caused it.
extern "C" fn on_exit() {
    let guarded = lock().take();
    if let Some(guarded) = guarded {
        let exit = guarded.lost("the display is gone");
        flush();
        std::process::exit(exit as i32);
    }
}

impl Guarded {
    fn lost(self, reason: &str) -> Exit {
        // The libraries' messages may explain the loss.
        release_libraries(true);
        match self.behind {
            Behind::Member(member) => member.go_on(reason, &self.stop_request),
            Behind::Match(files) => {
                if !self.stop_request.is_made() {
                    note(&format!(
                        "raftian: the window is lost ({reason}), and its match with it"
                    ));
                }
                if let Some(directory) = files.get() {
                    let _left_for_the_next_start = std::fs::remove_dir_all(directory).is_err();
                }
                if self.stop_request.is_made() {
                    self.stop_request.exit()
                } else {
                    Exit::NoDisplay
                }
            }
        }
    }
}

impl Member {
    /// Continues without a window, unless the process was asked to end.
    fn go_on(self, reason: &str, stop_request: &StopRequest) -> Exit {
        let id = self.control.view().status.id;
        if !stop_request.is_made() {
            note(&format!(
                "raftian: the window is lost ({reason}); {id} continues without it. Interrupt it to end it, and run \
                 `raftian play` again for a window"
            ));
        }
        self.control.stop();
        let deadline = Instant::now() + CLOSE_WAIT;
        // The node still holds its store and its port, which the next process needs.
        while self.control.is_running() && Instant::now() < deadline {
            std::thread::sleep(CLOSE_POLL);
        }
        if stop_request.is_made() {
            return stop_request.exit();
        }
        flush();
        match self.replace_process() {
            Ok(exit) => exit,
            Err(error) => {
                note(&format!(
                    "raftian: {id} cannot continue without its window: {error}"
                ));
                Exit::NoDisplay
            }
        }
    }

    /// Replaces this process by one that runs the member without a window. Returns only on failure.
    #[cfg(unix)]
    fn replace_process(&self) -> std::io::Result<Exit> {
        use std::os::unix::process::CommandExt;
        Err(self.headless()?.arg0("raftian").exec())
    }

    /// Runs the member without a window in another process, and waits for its end.
    #[cfg(not(unix))]
    fn replace_process(&self) -> std::io::Result<Exit> {
        let status = self.headless()?.status()?;
        Ok(if status.success() {
            Exit::Success
        } else {
            Exit::Unexpected
        })
    }

    fn headless(&self) -> std::io::Result<std::process::Command> {
        // Runs this very program, even if its file was replaced by another build.
        let program = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        let mut command = std::process::Command::new(program);
        command
            .args(["--log-level", &self.log_level, "node"])
            .args(&self.arguments);
        Ok(command)
    }
}
