//! The cues and the music as WAV files, to be listened to.
//!
//! `cargo run --example sounds FOLDER` writes them into a folder, which it creates.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: cargo run --example sounds FOLDER");
        return ExitCode::from(2);
    };
    let written = fs::create_dir_all(&folder).and_then(|()| raftian::audio::write_all(&folder));
    if let Err(error) = written {
        eprintln!(
            "the sounds were not written to {}: {error}",
            folder.display()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
