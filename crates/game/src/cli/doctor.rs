//! `raftian doctor`: checks what a match needs of this machine.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use raftian_node::cluster::NodeConfig;
use raftian_node::contact::local_addresses;
use raftian_node::lan::browse;
use raftian_node::player::DEFAULT_PORT;
use raftian_node::wall_clock;
use serde::Serialize;

use super::output::{print, print_json};
use super::profile::RunningArgs;
use super::status::ask_status;
use super::{Exit, Failure};

/// Name and version of the JSON schema.
const SCHEMA: &str = "raftian.doctor/1";

/// Writes of the measurement of the disk.
const SYNCS: usize = 50;

/// Time of a flush from which play is delayed noticeably.
const SLOW_SYNC: Duration = Duration::from_millis(30);

/// Time to listen for announcements.
const LISTEN: Duration = Duration::from_secs(2);

/// Start of 2026, in seconds since 1970: no build of this program is older.
const OLDEST_CLOCK: u64 = 1_767_225_600;

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    member: RunningArgs,
}

/// Output of `raftian doctor --json`.
#[derive(Serialize)]
struct DoctorDocument {
    schema: &'static str,
    /// Whether no check failed.
    ok: bool,
    checks: Vec<Check>,
}

/// Result of one check.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was found, and what to do about it.
    finding: String,
}

pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    // A member that was named must be there; without one, the machine alone is checked.
    let config = match args.member.config() {
        Err(_) if args.member.config.is_none() && args.member.data.is_none() => None,
        config => Some(config?),
    };
    let checks = vec![
        check("port", port(config.as_ref())),
        check("addresses", addresses()),
        check("loopback", loopback()),
        check("local network", local_network()),
        check("clock", clock()),
        check(
            "disk",
            disk(config.as_ref().map(|config| config.data.as_path())),
        ),
        check("member", member(config.as_ref())),
    ];
    let document = DoctorDocument {
        schema: SCHEMA,
        ok: checks.iter().all(|check| check.ok),
        checks,
    };
    if args.json {
        print_json(&document)?;
    } else {
        for check in &document.checks {
            let mark = if check.ok { "ok" } else { "FAILED" };
            print(&format!("{:<14} {mark:<7} {}", check.name, check.finding))?;
        }
    }
    Ok(if document.ok {
        Exit::Success
    } else {
        Exit::Failed
    })
}

fn check(name: &'static str, result: Result<String, String>) -> Check {
    let ok = result.is_ok();
    let (Ok(finding) | Err(finding)) = result;
    Check { name, ok, finding }
}

fn port(member: Option<&NodeConfig>) -> Result<String, String> {
    let address = member.map_or(
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)),
        |config| config.listen,
    );
    let port = address.port();
    match UdpSocket::bind(address) {
        Ok(_) => Ok(format!("UDP {port} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && member.is_some() => Ok(
            format!("UDP {port} is in use, as it is while the member runs"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(format!(
            "UDP {port} is in use, perhaps by a match; another one takes another port"
        )),
        Err(error) => Err(format!("UDP {port} cannot be opened: {error}")),
    }
}

fn addresses() -> Result<String, String> {
    let found = local_addresses(SocketAddr::from((
        std::net::Ipv6Addr::UNSPECIFIED,
        DEFAULT_PORT,
    )));
    let text: Vec<_> = found
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    if found.iter().all(|address| address.ip().is_loopback()) {
        Err("this machine has no address but loopback: nobody else can reach it".to_owned())
    } else {
        Ok(text.join(", "))
    }
}

/// Sends a datagram to this machine itself; a packet filter may forbid even that.
fn loopback() -> Result<String, String> {
    let exchange = || {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        receiver.set_read_timeout(Some(Duration::from_secs(1)))?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sender.send_to(b"raftian", receiver.local_addr()?)?;
        receiver.recv(&mut [0; 16])
    };
    match exchange() {
        Ok(_) => Ok("UDP passes".to_owned()),
        Err(error) => Err(format!("no UDP passes on this machine itself: {error}")),
    }
}

fn local_network() -> Result<String, String> {
    let found = browse(LISTEN, |_| false)
        .map_err(|error| format!("no mDNS: {error}; codes do not work, tickets do"))?;
    Ok(format!(
        "mDNS works; {} members announce a match",
        found.len()
    ))
}

fn clock() -> Result<String, String> {
    if wall_clock() < OLDEST_CLOCK {
        Err("it is years behind; set it, or invites seem to last for years".to_owned())
    } else {
        Ok("plausible; only the expiry of invites depends on it".to_owned())
    }
}

/// Measures how long a write takes to reach the disk. Each order waits for that on a majority.
fn disk(directory: Option<&Path>) -> Result<String, String> {
    let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let path = directory.join(format!("doctor-{}.tmp", std::process::id()));
    let measure = |file: &mut File| {
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let start = Instant::now();
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
            times.push(start.elapsed());
        }
        Ok(times)
    };
    let times = File::create(&path).and_then(|mut file| measure(&mut file));
    let _left_behind = std::fs::remove_file(&path).is_err();
    let mut times = times.map_err(failed)?;
    times.sort();
    let text = format!(
        "a write is on the disk of {} after {:.1} ms, at worst {:.1} ms",
        directory.display(),
        times[SYNCS / 2].as_secs_f64() * 1000.0,
        times[SYNCS - 1].as_secs_f64() * 1000.0
    );
    if times[SYNCS / 2] > SLOW_SYNC {
        Err(format!("{text}; every order waits for that"))
    } else {
        Ok(text)
    }
}

fn member(config: Option<&NodeConfig>) -> Result<String, String> {
    let Some(config) = config else {
        return Ok("not checked: no match was started here".to_owned());
    };
    match ask_status(config) {
        Err(failure) => Ok(format!("not checked, it does not run: {}", failure.message)),
        Ok(status) => {
            let unreachable: Vec<_> = status
                .peers
                .iter()
                // Its file may list members that were removed.
                .filter(|peer| !peer.connected && status.has_member(peer.id))
                .map(|peer| format!("{} at {}", peer.name, peer.address))
                .collect();
            if unreachable.is_empty() {
                Ok(format!("connected with all {} others", status.peers.len()))
            } else {
                Err(format!("not connected with {}", unreachable.join(", ")))
            }
        }
    }
}
