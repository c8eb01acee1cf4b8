//! Three nodes in one process agree on a counter. Run it with `cargo run -p bevy_raft --example
//! three_nodes`.

use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Add(u32);

impl ReplicatedCommand for Add {
    const NAME: &'static str = "example.add/1";
}

#[derive(Resource, Default, Serialize, Deserialize)]
struct Sum(u32);

impl ReplicatedState for Sum {
    const NAME: &'static str = "example.sum/1";
}

fn add(entry: Res<CommittedEntry>, mut sum: ResMut<Sum>) {
    if let Some(Add(n)) = entry.command::<Add>() {
        sum.0 += n;
    }
}

fn main() {
    let mut cluster = test_app::TestCluster::new(3, |app| {
        app.add_replicated_command::<Add>()
            .add_replicated_state::<Sum>();
        app.add_systems(ApplyCommitted, add);
        app.add_observer(
            |added: On<Committed<Add>>, status: Res<RaftStatus>, sum: Res<Sum>| {
                println!(
                    "node {} applied {:?} as {}: sum {}",
                    status.id().map_or(0, |id| id.0),
                    added.command,
                    added.entry.index,
                    sum.0
                );
            },
        );
    });
    let leader = cluster.elect();
    println!("node {leader} leads");
    for id in 1..=3 {
        cluster.app(id).world_mut().propose(Add(id as u32));
    }
    cluster.run_until(|apps| apps.iter().all(|app| app.world().resource::<Sum>().0 == 6));
}
