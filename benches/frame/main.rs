//! Frame cost of the plugin: an app with a node on its own thread, idle and with a thousand commits
//! per second.
//!
//! `cargo bench -p raftian-benches --bench frame`

use std::time::{Duration, Instant};

use bevy_app::prelude::*;
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use raftian_node::cluster::embedded;
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions, fresh_seed};
use raftian_raft::{Config, NodeId};
use serde::{Deserialize, Serialize};

/// Length of a frame at 60 Hz. The app sleeps for the rest of it, like an app with a display.
const FRAME: Duration = Duration::from_micros(16_667);

/// Frames per round.
const FRAMES: usize = 240;
/// Rounds per row; the rows take turns.
const ROUNDS: usize = 3;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Add(u64);

impl ReplicatedCommand for Add {
    const NAME: &'static str = "bench.add/1";
}

#[derive(Resource, Default)]
struct Sum(u64);

fn add(entry: Res<CommittedEntry>, mut sum: ResMut<Sum>) {
    if let Some(Add(n)) = entry.command::<Add>() {
        sum.0 += n;
    }
}

fn bare() -> App {
    let mut app = App::new();
    app.add_plugins((
        bevy_app::TaskPoolPlugin::default(),
        bevy_state::app::StatesPlugin,
    ));
    app
}

fn with_node(directory: &std::path::Path) -> App {
    let member = embedded(1, "bench", directory)
        .expect("keys and ports")
        .remove(0);
    let links = QuicOptions::new(member.socket, &member.config);
    let raft = Config::new(
        NodeId(1),
        member.config.founders().expect("a cluster"),
        fresh_seed(),
    );
    let options = NodeOptions::new(&member.config, raft, links);
    let mut app = bare();
    app.add_plugins(RaftPlugin::new(NodeHandle::start(options).expect("a node")));
    app.add_replicated_command::<Add>()
        .init_resource::<Sum>()
        .add_systems(ApplyCommitted, add);
    // `App::run`, which this benchmark does not use, would call both.
    app.finish();
    app.cleanup();
    while app.world().resource::<RaftStatus>().leader().is_none() {
        app.update();
    }
    app
}

/// Update time of each frame, with `proposals` proposals before each update.
fn frames(app: &mut App, proposals: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(FRAMES);
    for _ in 0..FRAMES {
        let start = Instant::now();
        for _ in 0..proposals {
            app.world_mut().propose(Add(1));
        }
        app.update();
        times.push(start.elapsed());
        std::thread::sleep(FRAME.saturating_sub(start.elapsed()));
    }
    times
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory for the store");
    let mut empty = bare();
    let mut playing = with_node(directory.path());
    let names = [
        "no plugin",
        "plugin, idle",
        "plugin, 1,000 commits a second",
    ];
    let mut rows = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        rows[0].extend(frames(&mut empty, 0));
        rows[1].extend(frames(&mut playing, 0));
        let before = playing.world().resource::<Sum>().0;
        let start = Instant::now();
        // 17 proposals per frame at 60 Hz are about 1,000 per second.
        rows[2].extend(frames(&mut playing, 17));
        let rate =
            (playing.world().resource::<Sum>().0 - before) as f64 / start.elapsed().as_secs_f64();
        assert!(
            rate > 800.0,
            "the machine is too busy: {rate:.0} of 1,000 commits per second"
        );
    }
    println!(
        "{:<34}{:>10}{:>10}{:>10}{:>18}",
        "microseconds a frame", "p50", "p95", "p99", "p50 of a 60th s"
    );
    for (name, mut times) in names.into_iter().zip(rows) {
        times.sort_unstable();
        let [p50, p95, p99] = [0.5, 0.95, 0.99]
            .map(|q| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e6);
        println!(
            "{name:<34}{p50:>10.1}{p95:>10.1}{p99:>10.1}{:>17.2}%",
            p50 / FRAME.as_secs_f64() / 1e4
        );
    }
}
