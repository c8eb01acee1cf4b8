//! A member whose window is lost goes on without it.
//!
//! Decision: when the display dies, the renderer fails or the window's program panics, the process hands leadership over,
//! closes its node and replaces itself by `raftian node` (exec). Why: the display is no part of the match; and Xlib ends the
//! process by `exit` when its server is gone, so nothing of the window's program can be relied on. Would change if: windows
//! were processes of their own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use raftian_node::NodeControl;

use super::signals::Asked;
use super::{Exit, Failure};
use crate::terminal::{note, release_libraries};

/// Longest wait for the node to hand over and close.
const CLOSE_WAIT: Duration = Duration::from_secs(8);

const CLOSE_POLL: Duration = Duration::from_millis(5);

/// The member behind the window of this process, while there is one.
static MEMBER: Mutex<Option<Member>> = Mutex::new(None);

struct Member {
    control: NodeControl,
    config: PathBuf,
    log_level: String,
    asked: Asked,
}

/// Guards the member behind a window until it is dropped.
pub(super) struct WindowGuard(());

impl WindowGuard {
    /// From now on the member of `control`, whose node file is `config`, goes on if a library ends the process.
    pub(super) fn new(control: NodeControl, config: &Path, log_level: &str, asked: &Asked) -> Self {
        static HOOK: Once = Once::new();
        let (config, log_level) = (config.to_owned(), log_level.to_owned());
        *lock() = Some(Member { control, config, log_level, asked: asked.clone() });
        HOOK.call_once(|| {
            shutdown_hooks::add_shutdown_hook(on_exit);
        });
        WindowGuard(())
    }

    /// The window is lost for this `reason`: the member goes on without it. Returns only if that fails.
    pub(super) fn go_on(self, reason: &str) -> Failure {
        match lock().take() {
            Some(member) => member.go_on(reason),
            None => Failure::new(Exit::NoDisplay, reason),
        }
    }
}

impl Drop for WindowGuard {
    fn drop(&mut self) {
        *lock() = None;
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Member>> {
    MEMBER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs when the process ends by `exit`. With a member still behind a window, that was a library's decision.
extern "C" fn on_exit() {
    let member = lock().take();
    if let Some(member) = member.filter(|member| !member.asked.to_end()) {
        let failure = member.go_on("the display is gone");
        std::process::exit(failure.report() as i32);
    }
}

impl Member {
    fn go_on(self, reason: &str) -> Failure {
        release_libraries(true);
        let id = self.control.view().status.id;
        note(&format!(
            "raftian: the window is lost ({reason}); {id} goes on without it. End it with an interrupt, and run `raftian play` \
             again for a window"
        ));
        self.control.stop();
        let deadline = Instant::now() + CLOSE_WAIT;
        while self.control.is_running() && Instant::now() < deadline {
            std::thread::sleep(CLOSE_POLL);
        }
        match self.replace_process() {
            Ok(exit) => Failure::new(exit, "the member has ended"),
            Err(error) => Failure::new(Exit::NoDisplay, format!("{id} cannot go on without its window: {error}")),
        }
    }

    /// Replaces this process by one that runs the member without a window. Returns only if that fails.
    #[cfg(unix)]
    fn replace_process(&self) -> std::io::Result<Exit> {
        use std::os::unix::process::CommandExt;
        Err(self.headless()?.exec())
    }

    /// Runs the member without a window in another process, and waits for its end.
    #[cfg(not(unix))]
    fn replace_process(&self) -> std::io::Result<Exit> {
        let status = self.headless()?.status()?;
        Ok(if status.success() { Exit::Success } else { Exit::Unexpected })
    }

    fn headless(&self) -> std::io::Result<std::process::Command> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["--log-level", &self.log_level, "node", "--config"]).arg(&self.config);
        Ok(command)
    }
}
