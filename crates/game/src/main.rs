//! The `raftian` program.

use raftian::cli::Exit;

fn main() -> Exit {
    raftian::cli::run()
}
