//! Machine and program of a measurement.

use serde_json::{Value, json};

/// The machine and the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    /// Operating system, as named by the compiler.
    pub os: &'static str,
    /// Architecture, as named by the compiler.
    pub arch: &'static str,
    /// Name of the processor, or the architecture where the system does not report it.
    pub cpu: String,
    /// Threads that can run at once.
    pub cores: usize,
    /// Version of Raftian.
    pub version: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
}

impl Environment {
    /// This machine and this program.
    pub fn here() -> Self {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Environment {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cpu: named.map_or_else(
                || std::env::consts::ARCH.to_owned(),
                |(_, name)| name.trim().to_owned(),
            ),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            version: env!("CARGO_PKG_VERSION"),
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
        }
    }

    /// One line of text.
    pub fn line(&self) -> String {
        let Environment {
            os,
            arch,
            cpu,
            cores,
            version,
            profile,
        } = self;
        format!("Raftian {version} ({profile} build), {os} {arch}, {cores} cores of {cpu}")
    }

    /// JSON form.
    pub fn json(&self) -> Value {
        let Environment {
            os,
            arch,
            cpu,
            cores,
            version,
            profile,
        } = self;
        json!({ "os": os, "arch": arch, "cpu": cpu, "cores": cores, "version": version, "profile": profile })
    }
}
