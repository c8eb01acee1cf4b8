//! Every text of the menu and its pages goes through the table of the languages.

use bevy::asset::AssetPlugin;
use bevy::input_focus::{InputFocusPlugin, InputFocusVisible};
use bevy::state::app::StatesPlugin;
use bevy_raft::{CurrentMatch, FailureKind, MatchFailed, MatchState, RaftStatus, Refusal};
use raftian_realm::table::Level;

use super::*;
use crate::cli::StoppedMatch;
use crate::cluster_view::ClusterView;
use crate::language::Language;
use crate::language::tests::{Spoken, assert_translated, bare_words, run_on_this_thread};
use crate::projection::ReplicatedRealm;
use crate::settings::{Settings, SettingsNotice, bindings};
use crate::table::{LastVerdict, ReplicatedTable};
use crate::view::fonts::Typeface;

/// The menu and its pages, without a network.
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
    .init_resource::<SettingsNotice>()
    .init_resource::<ClusterView>()
    .init_resource::<RaftStatus>()
    .init_resource::<CurrentMatch>()
    .init_resource::<ReplicatedRealm>()
    .init_resource::<ReplicatedTable>()
    .init_resource::<LastVerdict>()
    .init_resource::<nearby::Nearby>()
    .init_resource::<practice::Opponents>()
    .init_resource::<practice::LastFailure>()
    .insert_state(Screen::Menu)
    .init_state::<MatchState>()
    .add_plugins((
        bindings::plugin,
        menu::plugin,
        learn::plugin,
        settings::plugin,
    ));
    app.insert_resource(menu::Unfinished(Some(StoppedMatch {
        name: "7".to_owned(),
        directory: "7".into(),
    })));
    run_on_this_thread(&mut app);
    app
}

/// Checks all texts, and returns them in one.
fn texts(app: &mut App) -> String {
    for _ in 0..3 {
        app.update();
    }
    let keys = bindings::Bindings::default();
    let keys: Vec<_> = bindings::KeyAction::all()
        .map(|key| keys.label(key))
        .collect();
    let keys = keys.iter().map(String::as_str);
    let names: Vec<_> = ["RAFTIAN", "English"].into_iter().chain(keys).collect();
    let texts: Vec<_> = assert_translated(app, &names).into_iter().collect();
    texts.join("\n")
}

#[test]
fn menu_is_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    for level in Level::ALL {
        let mut opponents = app.world_mut().resource_mut::<practice::Opponents>();
        opponents.level = level;
        opponents.count = 1 + level as usize;
        opponents.speed = 1 + level as u64;
        let texts = texts(&mut app);
        for part in [
            "⟦Play now⟧",
            "⟦Opponents: ",
            "⟦Level: ",
            "⟦On this network⟧",
        ] {
            assert!(texts.contains(part), "{part:?} is not in\n{texts}");
        }
    }
    for state in [
        MatchState::Starting,
        MatchState::Joining,
        MatchState::Leaving,
    ] {
        app.world_mut()
            .resource_mut::<NextState<MatchState>>()
            .set(state);
        assert!(texts(&mut app).contains("...⟧"), "{state:?}");
    }
}

#[test]
fn page_of_settings_is_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    app.update();
    app.world_mut().trigger(settings::ShowSettings);
    for title in ["⟦Language⟧", "⟦Reduced motion⟧", "⟦Ram: train, or send⟧"] {
        let mut tabs = 0;
        while !texts(&mut app).contains(title) {
            tabs += 1;
            assert!(tabs < 8, "{title} is on no page");
            let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
            keys.reset_all();
            keys.press(KeyCode::ArrowRight);
            app.update();
            let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
            keys.reset_all();
        }
    }
}

#[test]
fn list_of_lessons_is_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let mut app = app();
    app.update();
    app.world_mut().trigger(learn::ShowLessons);
    assert!(texts(&mut app).contains("⟦Split the world⟧"));
}

#[test]
fn failures_are_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    for kind in [
        FailureKind::TakesPart,
        FailureKind::NoMatch,
        FailureKind::Input,
        FailureKind::Refused(Refusal::NoCode),
        FailureKind::Refused(Refusal::Full(8)),
        FailureKind::Refused(Refusal::HasWitness),
        FailureKind::Unreachable,
        FailureKind::Version,
        FailureKind::Listen,
        FailureKind::Files,
        FailureKind::Stopped,
        FailureKind::System,
    ] {
        let failed = MatchFailed {
            kind,
            reason: "no".to_owned(),
        };
        let words = with_others::failure_text(&failed);
        assert_eq!(bare_words(&words), Vec::<String>::new(), "{words:?}");
    }
}
