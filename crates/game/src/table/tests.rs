use std::time::Duration;

use bevy_raft::test_app::TestCluster;
use raftian_realm::crowns::{EndReason, Order, Place};
use raftian_realm::table::{Archetype, Level, Setup};

use super::*;
use crate::replication::{self, OwnState};

/// Reports that an app has seen.
#[derive(Resource, Default)]
struct Feed(Vec<(u64, Report)>);

/// Members with the results of their commands.
#[derive(Resource, Default)]
struct Verdicts(Vec<(NodeId, Result<(), Refusal>)>);

fn note_verdict(
    committed: On<Committed<TableCommand>>,
    last: Res<LastVerdict>,
    mut verdicts: ResMut<Verdicts>,
) {
    let own = last.0.filter(|(index, _)| *index == committed.entry.index);
    let verdict = own.map(|(_, verdict)| (committed.entry.member, verdict));
    verdicts.0.extend(verdict);
}

fn cluster() -> TestCluster {
    TestCluster::with_plugin(
        3,
        |_| {},
        replication::configured,
        |app| {
            app.add_plugins(replication::plugin)
                .init_resource::<Feed>()
                .init_resource::<Verdicts>()
                .add_observer(note_verdict)
                .add_observer(|report: On<Reported>, mut feed: ResMut<Feed>| {
                    feed.0.push((report.at, report.report.clone()));
                });
        },
    )
}

fn table(app: &App) -> &Table {
    table_of(app)
}

fn table_of(app: &App) -> &Table {
    &app.world().resource::<ReplicatedTable>().0
}

/// Proposes a command for the table as a member sees it.
fn propose(cluster: &mut TestCluster, id: u64, command: Command) {
    let app = cluster.app(id);
    let command = TableCommand::new(command, table(app));
    app.world_mut().propose(command);
}

/// Applies a command through a member, and waits until all members have applied it.
fn command(cluster: &mut TestCluster, id: u64, command: Command) {
    let place = id as usize - 1;
    let before = verdicts_of(&cluster.apps()[place], id);
    propose(cluster, id, command);
    cluster.run_until(|apps| verdicts_of(&apps[place], id) > before);
    let index = applied(cluster, id);
    cluster.run_until(|apps| {
        let mut indexes = apps
            .iter()
            .map(|app| app.world().resource::<AppliedLog>().index);
        indexes.all(|applied| applied >= index)
    });
}

/// Number of commands of a member that an app has applied.
fn verdicts_of(app: &App, member: u64) -> usize {
    let verdicts = app.world().resource::<Verdicts>().0.iter();
    verdicts.filter(|(from, _)| *from == NodeId(member)).count()
}

fn applied(cluster: &TestCluster, id: u64) -> Index {
    let app = &cluster.apps()[id as usize - 1];
    app.world().resource::<AppliedLog>().index
}

fn bot(level: Level, archetype: Archetype) -> Command {
    Command::AddBot { level, archetype }
}

/// A match of three bots at the highest speed that the member `id` runs, with a player who concedes.
fn begin(cluster: &mut TestCluster, id: u64) {
    let setup = Setup {
        speed: 20,
        ..Setup::default()
    };
    for one in [
        Command::Sit,
        Command::Configure(setup.into()),
        bot(Level::Captain, Archetype::Rush),
        bot(Level::Captain, Archetype::Boom),
        bot(Level::Recruit, Archetype::Balanced),
        Command::Start,
        Command::Order(Order::Concede),
    ] {
        command(cluster, id, one);
    }
    assert!(cluster.apps().iter().all(|app| table(app).is_playing()));
}

fn run_until_end(cluster: &mut TestCluster) {
    // 60 seconds at most: more than `run_until` allows at once.
    for _ in 0..2 {
        if cluster.apps().iter().any(|app| table(app).is_playing()) {
            for _ in 0..5_000 {
                cluster.frame();
            }
        }
    }
    cluster.run_until(|apps| apps.iter().all(|app| !table(app).is_playing()));
}

fn assert_equal(cluster: &mut TestCluster) {
    let leader = cluster.elect();
    let last = applied(cluster, leader);
    cluster.run_until(|apps| {
        let mut indexes = apps
            .iter()
            .map(|app| app.world().resource::<AppliedLog>().index);
        indexes.all(|index| index >= last)
    });
    cluster.frame();
    let states = cluster.apps().iter();
    let states: Vec<_> = states
        .map(|app| app.world().resource::<OwnState>().0)
        .collect();
    assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
}

#[test]
fn bots_play_a_match_to_its_end_on_all_machines() {
    let mut cluster = cluster();
    let leader = cluster.elect();
    let runner = leader % 3 + 1;
    begin(&mut cluster, runner);
    run_until_end(&mut cluster);
    assert_equal(&mut cluster);
    let end = table(cluster.app(1)).game().unwrap().end().unwrap();
    assert_ne!(end.reason, EndReason::Time, "someone wins: {end:?}");
    let feeds = cluster
        .apps()
        .iter()
        .map(|app| &app.world().resource::<Feed>().0);
    let feeds: Vec<_> = feeds.collect();
    assert!(
        feeds.iter().all(|feed| *feed == feeds[0]),
        "one history everywhere"
    );
    let battles = feeds[0]
        .iter()
        .filter(|(_, report)| matches!(report, Report::Battle(_)));
    assert!(battles.count() > 10);
    assert!(
        feeds[0]
            .iter()
            .any(|(_, report)| *report == Report::Ended(end))
    );
    // A few ticks a second at most, however much happens.
    let ticks = cluster.app(1).world().resource::<bevy_raft::Ticks>().0;
    assert!(ticks < 4 * 60, "{ticks}");
}

/// "If that member vanishes the leader gives the bot to another within 3 s."
#[test]
fn bots_of_a_member_that_vanishes_play_on_within_three_seconds() {
    let mut cluster = cluster();
    let leader = cluster.elect();
    for vanishes in [leader % 3 + 1, leader] {
        begin(&mut cluster, vanishes);
        for _ in 0..500 {
            cluster.frame();
        }
        cluster.network().isolate(NodeId(vanishes));
        let gone = cluster.now();
        let other = (1..=3).find(|id| *id != vanishes && *id != leader).unwrap();
        cluster.run_until(|apps| {
            let mut bots = table(&apps[other as usize - 1]).bots();
            bots.all(|(_, bot)| bot.member != vanishes)
        });
        let waited = cluster.now().since(gone);
        assert!(waited < Duration::from_secs(3), "{waited:?}");
        let decisions =
            |app: &App| -> Vec<u64> { table(app).bots().map(|(_, bot)| bot.decision).collect() };
        let before = decisions(&cluster.apps()[other as usize - 1]);
        cluster.run_until(|apps| {
            let now = decisions(&apps[other as usize - 1]);
            now.iter().zip(&before).all(|(now, before)| now > before)
        });
        // The member returns, and its own decisions of that time have no effect.
        cluster.network().heal();
        run_until_end(&mut cluster);
        assert_equal(&mut cluster);
        cluster.elect();
        command(&mut cluster, vanishes, Command::Rematch(true));
        command(&mut cluster, vanishes, Command::Order(Order::Concede));
        run_until_end(&mut cluster);
        command(&mut cluster, vanishes, Command::Stand);
        let seats: Vec<u8> = table(cluster.app(other))
            .bots()
            .map(|(seat, _)| seat)
            .collect();
        command(&mut cluster, other, Command::Sit);
        for seat in seats {
            command(&mut cluster, other, Command::RemoveBot { seat });
        }
        command(&mut cluster, other, Command::Stand);
    }
}

#[test]
fn player_who_gives_a_wrong_order_reads_why() {
    let mut cluster = cluster();
    cluster.elect();
    begin(&mut cluster, 1);
    let concede = Command::Order(Order::Concede);
    command(&mut cluster, 2, concede);
    let call = Command::Order(Order::CallHome(Place::Throne));
    command(&mut cluster, 1, call);
    (0..50).for_each(|_| cluster.frame());
    let of = |cluster: &mut TestCluster, member| {
        let verdicts = &cluster.app(3).world().resource::<Verdicts>().0;
        let own = verdicts.iter().filter(|(from, _)| *from == NodeId(member));
        own.map(|(_, verdict)| *verdict).collect::<Vec<_>>()
    };
    assert_eq!(of(&mut cluster, 2), [Err(Refusal::NoSeat)]);
    let fallen = Err(Refusal::Order(raftian_realm::crowns::Refusal::Fallen));
    assert!(
        of(&mut cluster, 1).contains(&fallen),
        "the city has conceded"
    );
    assert!(
        table(cluster.app(3)).is_playing(),
        "a watcher concedes for no one"
    );
}

/// The app of the leader does not run, but its node does: the others adopt its bots all the same.
#[test]
fn bots_of_a_paused_app_play_on() {
    let mut cluster = cluster();
    let leader = cluster.elect();
    begin(&mut cluster, leader);
    for _ in 0..300 {
        cluster.frame();
    }
    let app = cluster.app(leader);
    app.world_mut().insert_resource(runner::Paused);
    let paused = cluster.now();
    cluster.run_until(|apps| {
        apps.iter()
            .all(|app| table_of(app).bots().all(|(_, bot)| bot.member != leader))
    });
    let waited = cluster.now().since(paused);
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(cluster.elect(), leader, "its node still leads");
}

fn is_absent(app: &App) -> bool {
    let mut players = table_of(app).players();
    players.any(|(_, player)| !player.is_present())
}

/// A player whose machine is silent is absent after a while, and present again once it returns,
/// without an order.
#[test]
fn silent_player_is_absent_until_the_return() {
    let mut cluster = cluster();
    let leader = cluster.elect();
    let away = leader % 3 + 1;
    command(&mut cluster, away, Command::Sit);
    command(&mut cluster, leader, Command::Sit);
    command(&mut cluster, away, Command::Ready(true));
    command(&mut cluster, leader, Command::Start);
    cluster.network().isolate(NodeId(away));
    cluster.run_until(|apps| is_absent(&apps[leader as usize - 1]));
    cluster.network().heal();
    cluster.elect();
    cluster.run_until(|apps| apps.iter().all(|app| !is_absent(app)));
}

/// Any member may claim that a player is away, also with an app of its own; the player's app
/// answers.
#[test]
fn player_who_is_there_is_not_absent_for_long() {
    let mut cluster = cluster();
    let leader = cluster.elect();
    let (thinks, claims) = (leader % 3 + 1, leader);
    command(&mut cluster, thinks, Command::Sit);
    // Longer than the silence after which a player may be noted.
    for _ in 0..1_100 {
        cluster.frame();
    }
    command(&mut cluster, claims, Command::NoteAbsent { seat: 0 });
    let claimed = cluster.now();
    cluster.run_until(|apps| apps.iter().all(|app| !is_absent(app)));
    let waited = cluster.now().since(claimed);
    assert!(waited < Duration::from_millis(500), "{waited:?}");
    let verdicts = &cluster.app(claims).world().resource::<Verdicts>().0;
    assert!(
        verdicts.contains(&(NodeId(claims), Ok(()))),
        "the claim counted"
    );
    assert!(verdicts.contains(&(NodeId(thinks), Ok(()))));
}

/// A player whose machine is silent does not hold up the others before a match.
#[test]
fn silent_player_is_absent_before_a_match_too() {
    let mut cluster = cluster();
    let leader = cluster.elect();
    let away = leader % 3 + 1;
    command(&mut cluster, away, Command::Sit);
    command(&mut cluster, leader, Command::Sit);
    cluster.network().isolate(NodeId(away));
    cluster.run_until(|apps| is_absent(&apps[leader as usize - 1]));
    for one in [bot(Level::Captain, Archetype::Boom), Command::Start] {
        propose(&mut cluster, leader, one);
    }
    cluster.run_until(|apps| table_of(&apps[leader as usize - 1]).is_playing());
}

/// A machine that was away receives the match in a snapshot and shows it.
#[test]
fn entities_follow_a_match_that_comes_in_a_snapshot() {
    let settings = |config: &mut raftian_raft::Config| {
        (config.snapshot_entries, config.snapshot_keep) = (Some(20), 1);
    };
    let mut cluster = TestCluster::with_plugin(3, settings, replication::configured, |app| {
        app.add_plugins(replication::plugin).init_resource::<Feed>();
    });
    let leader = cluster.elect();
    let away = leader % 3 + 1;
    cluster.network().isolate(NodeId(away));
    let present = [leader, away % 3 + 1];
    for one in [
        Command::Sit,
        bot(Level::Captain, Archetype::Raid),
        bot(Level::Captain, Archetype::Expand),
        Command::Start,
    ] {
        propose(&mut cluster, present[0], one);
        (0..20).for_each(|_| cluster.frame());
    }
    for _ in 0..6_000 {
        cluster.frame();
    }
    cluster.network().heal();
    let last = applied(&cluster, present[1]);
    cluster.run_until(|apps| {
        apps[away as usize - 1]
            .world()
            .resource::<AppliedLog>()
            .index
            >= last
    });
    cluster.frame();
    let app = cluster.app(away);
    let game = table(app).game().unwrap().clone();
    let world = app.world_mut();
    let mut cities = world.query::<(&projection::Site, &projection::Stock, &projection::Keep)>();
    assert_eq!(cities.iter(world).count(), 3);
    for (site, stock, keep) in cities.iter(world) {
        let Place::City(seat) = site.0 else {
            panic!("{site:?} has a keep");
        };
        assert_eq!(stock.amounts, game.stock(seat).unwrap().amounts());
        assert_eq!(keep.0, game.seats()[usize::from(seat)].keep());
    }
    let mut sites = world.query::<&projection::Site>();
    assert_eq!(sites.iter(world).count(), 3 + game.map().oases.len() + 1);
    let mut marches = world.query::<&projection::March>();
    let mut shown: Vec<_> = marches.iter(world).map(|march| march.number).collect();
    shown.sort_unstable();
    let expected: Vec<_> = game.marches().map(|(number, _)| number).collect();
    assert_eq!(shown, expected);
}

/// The first match of another table has the number of the last one, and reports of its own.
#[test]
fn reports_of_the_first_match_of_another_table_are_new() {
    let played = |random: u64| {
        let mut table = Table::default();
        let mut send = |stamp: u64, command: Command| {
            let origin = Origin {
                player: PlayerId([1; 16]),
                member: 1,
                stamp,
                random,
                round: table.rounds(),
            };
            assert_eq!(table.apply(&command, &origin), Ok(()), "{command:?}");
        };
        let level = Level::Recruit;
        let archetype = Archetype::Boom;
        send(0, Command::Sit);
        send(0, Command::AddBot { level, archetype });
        send(0, Command::Start);
        send(1_000, Command::Order(Order::Concede));
        table
    };
    let mut app = App::new();
    app.init_resource::<AppliedLog>()
        .init_resource::<RaftStatus>()
        .init_resource::<SeenReports>()
        .init_resource::<Feed>()
        .add_systems(Update, report)
        .add_observer(|report: On<Reported>, mut feed: ResMut<Feed>| {
            feed.0.push((report.at, report.report.clone()));
        });
    for matches in 1..=3 {
        app.insert_resource(ReplicatedTable(played(matches)));
        app.update();
        app.update();
        let feed = &app.world().resource::<Feed>().0;
        let expected = played(matches).game().expect("a match").next_report();
        assert!(expected > 0, "giving up is reported");
        assert_eq!(feed.len() as u64, matches * expected);
    }
}
