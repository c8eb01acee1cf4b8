//! Every text of the screen goes through the table of the languages.

use std::time::Duration;

use bevy::asset::AssetPlugin;
use bevy::input_focus::{InputFocusPlugin, InputFocusVisible};
use bevy::state::app::StatesPlugin;
use bevy::time::Real;
use bevy::ui_widgets::Activate;
use bevy_raft::{AppliedLog, CurrentMatch, RaftStatus};
use raftian_node::match_record::MatchRecord;
use raftian_node::ticket::MatchId;
use raftian_raft::{Change, Membership, NodeId};
use raftian_realm::crowns::{
    Army, Attack, BattleReport, BattleResult, Building, End, EndReason, Order, PactChange,
    PactOrder, Phrase, Place, Report, Resource as Goods, Tile, UnitKind, Words,
};
use raftian_realm::table::{Archetype, Command, Level, Table};

use serde_json::json;

use super::composer::Composer;
use super::control::Action;
use super::input::{HoveredPlace, HoveredTile};
use super::layout::MapLayout;
use super::orders::Notice;
use super::panels::SideMode;
use super::pause::{IsGivingUp, IsLeaving, IsPaused};
use super::perspective::Perspective;
use super::*;
use crate::audio::{AudioSettings, Cue, Started};
use crate::cluster_view::{ClusterView, MemberView};
use crate::language::tests::{Spoken, assert_translated, bare_words, run_on_this_thread};
use crate::language::{self, Language, ShownLanguage, speak};
use crate::overlay::derived::tests::node;
use crate::overlay::latency::CommitLatency;
use crate::settings::{Settings, bindings};
use crate::table::projection::Site;
use crate::table::{LastVerdict, ReplicatedTable, Reported, command_at};
use crate::ui::ReducedMotion;
use crate::view::fonts::Typeface;

/// Names in the tests, which are the same in every language.
const NAMES: [&str; 3] = ["Ada", "Brand", "Cleo"];

/// The screen without layout, pointer and network.
fn app() -> App {
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins,
        StatesPlugin,
        AssetPlugin::default(),
        InputFocusPlugin,
    ))
    .init_asset::<Font>()
    .init_asset::<Image>()
    .init_resource::<Typeface>()
    .init_resource::<ButtonInput<KeyCode>>()
    .init_resource::<InputFocusVisible>()
    .init_resource::<Settings>()
    .init_resource::<Perspective>()
    .init_resource::<ReplicatedTable>()
    .init_resource::<LastVerdict>()
    .init_resource::<AppliedLog>()
    .init_resource::<RaftStatus>()
    .init_resource::<CurrentMatch>()
    .init_resource::<CommitLatency>()
    .init_resource::<ReducedMotion>()
    .init_resource::<MapLayout>()
    .init_resource::<HoveredPlace>()
    .init_resource::<HoveredTile>()
    .insert_resource(AudioSettings {
        captions: true,
        ..default()
    })
    .insert_resource(cluster())
    .insert_state(Screen::Match)
    .configure_sets(
        Update,
        (
            CrownsSystems::Look,
            CrownsSystems::Input,
            CrownsSystems::Draw,
        )
            .chain(),
    )
    .add_plugins((
        art::plugin,
        orders::plugin,
        composer::plugin,
        control::plugin,
        sites::plugin,
        effects::plugin,
        panels::plugin,
        feed::plugin,
        news::plugin,
        lobby::plugin,
        pause::plugin,
        summary::plugin,
        chat::plugin,
        invitation::plugin,
    ))
    .add_plugins((language::plugin, bindings::plugin, captions::plugin));
    run_on_this_thread(&mut app);
    app
}

/// Three members, of which two are there.
fn cluster() -> ClusterView {
    let members = (1..).zip(NAMES).map(|(id, name)| MemberView {
        id: NodeId(id),
        name: name.to_owned(),
        node: None,
        up: id < 3,
        state: None,
    });
    ClusterView {
        members: members.collect(),
        seat: Some(NodeId(1)),
        embedded: false,
    }
}

/// Shows a table, from its first seat.
fn show(app: &mut App, table: &Table) {
    app.insert_resource(ReplicatedTable(table.clone()));
    app.insert_resource(Perspective {
        own: Some(0),
        names: NAMES.map(str::to_owned).to_vec(),
        game: table.game().cloned(),
    });
    app.update();
    app.update();
}

/// Checks all texts, and returns them in one.
fn texts(app: &mut App) -> String {
    app.update();
    app.update();
    let keys = bindings::Bindings::default();
    let keys: Vec<_> = bindings::KeyAction::all()
        .map(|key| keys.label(key))
        .collect();
    let keys = keys.iter().map(String::as_str);
    let names: Vec<_> = NAMES.into_iter().chain(keys).collect();
    let texts: Vec<_> = assert_translated(app, &names).into_iter().collect();
    texts.join("\n")
}

/// Asserts that all of these are shown.
fn assert_shown(texts: &str, parts: &[&str]) {
    for part in parts {
        assert!(texts.contains(part), "{part:?} is not in\n{texts}");
    }
}

/// A table at which a player and bots sit.
fn table(bots: usize) -> Table {
    let mut table = Table::default();
    command_at(&mut table, 1, 0, Command::Sit);
    for _ in 0..bots {
        let bot = Command::AddBot {
            level: Level::Captain,
            archetype: Archetype::Rush,
        };
        command_at(&mut table, 1, 0, bot);
    }
    table
}

/// A match of a player and bots.
fn begun(bots: usize) -> Table {
    let mut table = table(bots);
    command_at(&mut table, 1, 0, Command::Start);
    table
}

#[test]
fn lobby_is_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let table = table(1);
    app.insert_resource(CurrentMatch {
        ticket: Some("7".to_owned()),
        ..default()
    });
    show(&mut app, &table);
    let shown = texts(&mut app);
    let seats = ["Brand: ⟦Captain⟧, ⟦rush⟧", "⟦3  open⟧", "Ada (you)"];
    assert_shown(&shown, &seats);
    assert_shown(
        &shown,
        &["⟦Take a seat⟧", "⟦Copy the ticket⟧", "Start when"],
    );
    app.world_mut().trigger(control::Perform {
        action: Action::ShowTicket,
        is_many: false,
    });
    assert_shown(&texts(&mut app), &["Whoever has the ticket"]);
}

#[test]
fn panels_of_a_match_are_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let mut table = begun(2);
    for place in [Place::City(0), Place::Oasis(0), Place::Throne] {
        app.world_mut().spawn(Site(place));
    }
    for order in [
        Order::Build(Building::Wall),
        Order::Train(UnitKind::Spear, 1),
        Order::Pact {
            with: 1,
            order: PactOrder::Offer,
        },
    ] {
        command_at(&mut table, 1, 0, Command::Order(order));
    }
    show(&mut app, &table);
    let shown = texts(&mut app);
    let city = ["⟦Lumber camp⟧", "⟦barracks 2⟧", "⟦keep 100⟧", "⟦goal "];
    assert_shown(&shown, &city);
    assert_shown(
        &shown,
        &["⟦opens in 4:00⟧", "⟦Hello⟧", "⟦Close Esc⟧", "⟦Say:⟧"],
    );
    for place in [Place::City(1), Place::Oasis(0), Place::Throne] {
        for count in [0, 1] {
            let mut composer = Composer::default();
            let perspective = app.world().resource::<Perspective>();
            composer.open(perspective, place);
            composer.change(perspective, UnitKind::Spear, count);
            app.insert_resource(composer);
            assert_shown(&texts(&mut app), &["⟦March to "]);
        }
    }
    *app.world_mut().resource_mut::<SideMode>() = SideMode::Others;
    assert_shown(&texts(&mut app), &["⟦The others⟧", "pact⟧"]);
}

#[test]
fn menu_over_a_match_is_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let table = begun(2);
    show(&mut app, &table);
    app.insert_resource(IsPaused(true));
    assert_shown(&texts(&mut app), &["⟦Menu⟧", "⟦Play on⟧", "F3 shows"]);
    app.insert_resource(IsGivingUp(true));
    assert_shown(&texts(&mut app), &["⟦Really give up?⟧"]);
    app.insert_resource(IsLeaving(true));
    assert_shown(&texts(&mut app), &["⟦Leave the match⟧?"]);
}

#[test]
fn open_menu_knows_that_the_match_has_ended() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let mut table = begun(1);
    show(&mut app, &table);
    app.insert_resource(IsPaused(true));
    assert_shown(&texts(&mut app), &["⟦The match goes on meanwhile"]);
    command_at(&mut table, 1, 1_000, Command::Order(Order::Concede));
    show(&mut app, &table);
    let shown = texts(&mut app);
    assert_shown(&shown, &["⟦The match is over.⟧"]);
    assert!(!shown.contains("goes on"), "{shown}");
}

#[test]
fn summary_is_translated_and_follows_the_language() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let mut table = begun(1);
    command_at(&mut table, 1, 1_000, Command::Order(Order::Concede));
    let mut latency = CommitLatency::default();
    latency.record(Duration::from_millis(7));
    app.insert_resource(latency);
    show(&mut app, &table);
    let shown = texts(&mut app);
    assert_shown(
        &shown,
        &["⟦Play again⟧", "⟦Brand wins⟧", "median", "⟦fallen⟧"],
    );
    speak(Language::Italian);
    app.insert_resource(ShownLanguage(Language::Italian));
    app.update();
    let world = app.world_mut();
    let mut shown = world.query::<&Text>();
    let shown: Vec<_> = shown.iter(world).map(|text| text.0.as_str()).collect();
    for words in ["Gioca ancora", "Vince Brand", "Pareggio"] {
        assert_eq!(shown.contains(&words), words != "Pareggio", "{shown:?}");
    }
}

/// Asserts that every reason why an action of a button is impossible went through the table.
fn assert_reasons(app: &mut App, composer: &Composer) {
    let world = app.world_mut();
    let mut buttons = world.query::<&Action>();
    let actions: Vec<_> = buttons.iter(world).copied().collect();
    assert!(actions.len() > 50, "{} buttons", actions.len());
    let perspective = world.resource::<Perspective>();
    for action in actions {
        if let Err(reason) = control::check(action, perspective, composer) {
            let bare = bare_words(&reason);
            assert!(bare.is_empty(), "{action:?}: {reason:?}");
        }
    }
}

#[test]
fn reasons_of_impossible_actions_are_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let first = begun(2);
    let mut busy = first.clone();
    for order in [
        Order::Build(Building::Wall),
        Order::Train(UnitKind::Spear, 1),
    ] {
        command_at(&mut busy, 1, 1_000, Command::Order(order));
    }
    for table in [table(1), first, busy] {
        show(&mut app, &table);
        let mut composer = Composer::default();
        assert_reasons(&mut app, &composer);
        for place in [Place::Throne, Place::City(1)] {
            composer.open(app.world().resource::<Perspective>(), place);
            assert_reasons(&mut app, &composer);
        }
    }
}

/// Reports of all kinds.
fn reports() -> Vec<Report> {
    let battle = BattleReport {
        place: Place::City(1),
        attacker: 0,
        defender: Some(1),
        attack: Attack::Raid,
        attackers: Army::new([1, 2, 0, 0]),
        defenders: Army::new([1, 0, 0, 0]),
        result: BattleResult {
            is_won: true,
            attack: 9,
            defence: 8,
            attacker_lost: Army::new([1, 0, 0, 0]),
            defender_lost: Army::NONE,
        },
        loot: [1, 2, 3],
        hit: 2,
    };
    let mut lost = battle.clone();
    lost.result.is_won = false;
    lost.place = Place::Throne;
    let refused = Report::Refused {
        seat: 0,
        order: Order::March {
            army: Army::new([1, 0, 0, 0]),
            to: Place::City(1),
            attack: Attack::Raid,
        },
        refusal: raftian_realm::crowns::Refusal::NoRoom,
    };
    let pacts = [
        PactChange::Offered,
        PactChange::Declined,
        PactChange::Agreed,
        PactChange::Ends(9_000),
        PactChange::Over,
    ];
    let pacts = pacts.map(|change| Report::Pact {
        seat: 0,
        with: 1,
        change,
    });
    let mut reports = vec![
        Report::Battle(battle),
        Report::Battle(lost),
        refused,
        Report::Built {
            seat: 0,
            building: Building::Field(Goods::Iron),
            level: 2,
        },
        Report::Taken {
            seat: 0,
            place: Place::Oasis(0),
        },
        Report::Left {
            seat: 0,
            place: Place::Throne,
        },
        Report::Returned {
            seat: 0,
            army: Army::new([1, 0, 0, 0]),
            loot: [0, 1, 0],
        },
        Report::Starved {
            seat: 0,
            kind: UnitKind::Axe,
        },
        Report::Fell {
            seat: 1,
            by: Some(0),
        },
        Report::Fell { seat: 1, by: None },
        Report::Gift {
            from: 0,
            to: 1,
            goods: [1, 0, 0],
        },
        Report::Gift {
            from: 0,
            to: 1,
            goods: [0; 3],
        },
        Report::Said {
            seat: 1,
            words: Words::Phrase(Phrase::Attack),
        },
        Report::Pinged {
            seat: 1,
            tile: Tile { x: 1, y: -1 },
        },
    ];
    reports.extend(pacts);
    for reason in [EndReason::Crowns, EndReason::LastKeep, EndReason::Time] {
        for winner in [None, Some(0)] {
            let at = 1_000;
            reports.push(Report::Ended(End { winner, reason, at }));
        }
    }
    reports
}

#[test]
fn feed_captions_and_news_are_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let table = begun(2);
    show(&mut app, &table);
    for report in reports() {
        app.world_mut().trigger(Reported {
            at: 1_000,
            report: report.clone(),
            replayed: false,
        });
        let shown = texts(&mut app);
        assert!(
            shown.contains("Ada") || shown.contains("Draw"),
            "{report:?}"
        );
    }
    for cue in [Cue::KeepHit, Cue::Message] {
        app.world_mut().trigger(Started(cue));
        assert_shown(&texts(&mut app), &["⟦["]);
    }
    let now = app.world().resource::<Time<Real>>().elapsed();
    let reason = control::check(
        Action::CallHome,
        app.world().resource::<Perspective>(),
        &Composer::default(),
    );
    let reason = reason.expect_err("there is no garrison");
    app.world_mut().resource_mut::<Notice>().show(reason, now);
    assert_shown(&texts(&mut app), &["⟦You have no garrison there.⟧"]);
    assert_shown(&texts(&mut app), &["⟦Your node has stopped."]);
}

/// Lets time pass before the next frame.
fn pass(app: &mut App, time: Duration) {
    let mut clock = app.world_mut().resource_mut::<Time<Real>>();
    let now = clock.last_update().unwrap_or_else(|| clock.startup());
    clock.update_with_instant(now + time);
}

/// Two players, in a match that players join.
fn status_of_two() -> RaftStatus {
    let record = MatchRecord {
        id: MatchId([1; 16]),
        name: String::new(),
        rules: String::new(),
        next_member: 3,
        next_invite: 1,
        code: None,
        invites: Vec::new(),
        spectators: Vec::new(),
        ballots: Vec::new(),
    };
    let recorded = Change::Record {
        contacts: Vec::new(),
        annex: Some(record.encode().expect("a record within its bounds")),
    };
    let members = Membership::new([1, 2].map(NodeId)).expect("two members");
    let mut node = node(1, 1);
    node.status.membership = members.after(&recorded).expect("a record");
    RaftStatus {
        view: Some(node),
        ..default()
    }
}

/// Presses the button that votes on Brand.
fn press_vote(app: &mut App) {
    let mut captions = app.world_mut().query::<(&Text, &ChildOf)>();
    let mut captions = captions.iter(app.world());
    let caption = captions.find(|(text, _)| {
        ["remove Brand", "against Brand"]
            .iter()
            .any(|words| text.0.contains(words))
    });
    let entity = caption.expect("the button").1.parent();
    app.world_mut().trigger(Activate { entity });
    app.update();
}

#[test]
fn vote_on_another_player_takes_two_presses() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    let mut table = table(0);
    command_at(&mut table, 2, 0, Command::Sit);
    for player in [1, 2] {
        command_at(&mut table, player, 0, Command::Ready(true));
    }
    command_at(&mut table, 1, 0, Command::Start);
    show(&mut app, &table);
    *app.world_mut().resource_mut::<SideMode>() = SideMode::Others;
    // Nobody is removed from a match in one process.
    assert!(!texts(&mut app).contains("⟦Vote to remove"));
    app.insert_resource(status_of_two());
    let brand = json!({"name": "Brand", "fingerprint": null, "part": "Player", "key": vec![2; 32]});
    let roster = json!({"present": {"2": brand}, "former": {}, "signed": null});
    let roster = serde_json::from_value(roster).expect("a roster");
    app.world_mut().resource_mut::<AppliedLog>().roster = roster;
    assert_shown(&texts(&mut app), &["⟦Vote to remove Brand⟧"]);
    press_vote(&mut app);
    // The second press of a double click is no answer.
    press_vote(&mut app);
    assert_shown(&texts(&mut app), &["⟦Really vote against Brand?⟧"]);
    pass(&mut app, Duration::from_secs(1));
    press_vote(&mut app);
    let shown = texts(&mut app);
    assert_shown(&shown, &["⟦Vote to remove Brand⟧"]);
    // The vote is requested: here it is refused, because no node runs.
    let notice = app.world().resource::<Notice>();
    let now = app.world().resource::<Time<Real>>().elapsed();
    assert!(notice.at(now).is_some_and(|text| text.contains("no match")));
    // A closed panel forgets the first press.
    press_vote(&mut app);
    *app.world_mut().resource_mut::<SideMode>() = SideMode::City;
    app.update();
    *app.world_mut().resource_mut::<SideMode>() = SideMode::Others;
    assert_shown(&texts(&mut app), &["⟦Vote to remove Brand⟧"]);
}
