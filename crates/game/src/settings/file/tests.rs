//! Files of settings in every state, and when they are written.

use bevy::time::{TimePlugin, TimeUpdateStrategy};

use super::super::bindings::KeyAction;
use super::super::{Mode, plugin as settings_plugin};
use super::*;
use crate::screens::learn::Lesson;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("raftian/settings.toml");
    fs::create_dir(folder.path().join("raftian")).expect("a new folder");
    (folder, path)
}

/// Names of the files beside a file of settings, sorted.
fn files(path: &Path) -> Vec<String> {
    let folder = path.parent().expect("a file in a folder");
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Settings of which none is the default.
fn other_settings() -> Settings {
    let mut settings = Settings::default();
    settings.profile.player = "Ada \"the first\" of 東京".to_owned();
    settings.profile.language = Language::Italian;
    settings.video.mode = Mode::FullScreen;
    settings.video.vsync = false;
    settings.video.frame_cap = 144;
    settings.audio.master = 0.3;
    settings.audio.effects = 0.0;
    settings.audio.music = 0.9;
    settings.audio.captions = true;
    let swapped = settings.controls.bind(KeyAction::Ram, KeyCode::KeyQ);
    assert_eq!(swapped, Ok(Some(KeyAction::BuildWood)));
    settings.game.confirm_leaving = false;
    settings.game.auto_fill = false;
    settings.network.announce = false;
    settings.accessibility.scale = 225;
    settings.accessibility.high_contrast = true;
    settings.accessibility.reduced_motion = true;
    for lesson in Lesson::ALL {
        settings.lessons.finish(lesson);
    }
    settings
}

#[test]
fn saved_settings_are_read_again() {
    let (_folder, path) = folder();
    for settings in [Settings::default(), other_settings()] {
        save(&path, &settings, &toml::Table::new()).expect("a new file");
        let loaded = Loaded::read(Some(&path));
        assert_eq!(loaded.settings, settings);
        assert_eq!(loaded.sentences(), Vec::<String>::new());
    }
    let text = fs::read_to_string(&path).expect("the file");
    assert!(text.contains("master = 0.3\n"), "{text}");
    assert!(text.contains("ram = \"KeyQ\"\n"), "{text}");
}

#[test]
fn language_of_the_system_is_used_until_the_file_names_one() {
    let (_folder, path) = folder();
    for (text, language) in [
        ("", Language::Italian),
        ("[profile]\nplayer = \"Ada\"\n", Language::Italian),
        ("[profile]\nlanguage = \"en\"\n", Language::English),
        ("[profile]\nlanguage = \"it\"\n", Language::Italian),
    ] {
        fs::write(&path, text).expect("a new file");
        let loaded = Loaded::read(Some(&path)).with_usual_language(Language::Italian);
        assert_eq!(loaded.settings.profile.language, language, "{text:?}");
        assert_eq!(loaded.settings, loaded.file.saved, "it is no change");
        assert_eq!(loaded.sentences(), Vec::<String>::new());
    }
}

#[test]
fn file_with_an_unknown_language_is_set_aside() {
    let (_folder, path) = folder();
    fs::write(&path, "[profile]\nlanguage = \"xx\"\n").expect("a new file");
    let loaded = Loaded::read(Some(&path));
    assert_eq!(loaded.settings, Settings::default());
    assert!(
        loaded.sentences()[0].contains("line 2"),
        "{:?}",
        loaded.sentences()
    );
    assert_eq!(files(&path), ["settings.toml.broken"]);
}

#[test]
fn missing_file_means_the_defaults() {
    let (_folder, path) = folder();
    let loaded = Loaded::read(Some(&path));
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.sentences(), Vec::<String>::new());
    assert_eq!(files(&path), Vec::<String>::new());
}

#[test]
fn file_with_a_part_of_the_settings_keeps_the_other_defaults() {
    let (_folder, path) = folder();
    fs::write(&path, "[accessibility]\nscale = 150\n").expect("a new file");
    let loaded = Loaded::read(Some(&path));
    let mut expected = Settings::default();
    expected.accessibility.scale = 150;
    assert_eq!(loaded.settings, expected);
    assert_eq!(loaded.sentences(), Vec::<String>::new());
}

#[test]
fn every_kind_of_bad_file_is_set_aside() {
    let kinds: [(&[u8], &str); 10] = [
        (b"[video\n", "line 1: "),
        (b"\n\n[video]\nvsync = \"perhaps\"\n", "line 4: "),
        (b"[video]\nmode = \"upside-down\"\n", "line 2: "),
        (b"video = 3\n", "line 1: "),
        (
            b"[accessibility]\nscale = 99999999999999999999\n",
            "line 2: ",
        ),
        (b"[lessons]\nleader = 3\n", "line 2: "),
        (b"\xff\xfe\x00", "it is not text in UTF-8"),
        (b"schema = 2\n[video]\nvsync = \"later\"\n", "schema 2"),
        (&[b'#'; 70_000], "more than 65536 bytes"),
        (b"\x00\x00\x00", "line 1: "),
    ];
    for (bytes, reason) in kinds {
        let (_folder, path) = folder();
        fs::write(&path, bytes).expect("a new file");
        let loaded = Loaded::read(Some(&path));
        assert_eq!(loaded.settings, Settings::default(), "{reason}");
        assert_eq!(loaded.sentences().len(), 1, "{:?}", loaded.sentences());
        let note = &loaded.sentences()[0];
        assert!(note.contains(reason), "{note}");
        assert!(!note.contains('\n'), "one line: {note}");
        assert_eq!(files(&path), ["settings.toml.broken"]);
        let kept = fs::read(path.with_extension("toml.broken")).expect("the file");
        assert_eq!(kept, bytes, "nothing of it is lost");
        assert_eq!(loaded.file.path, Some(path), "changes are saved");
    }
}

#[test]
fn folder_in_place_of_the_file_is_set_aside() {
    let (_folder, path) = folder();
    fs::create_dir(&path).expect("a new folder");
    let loaded = Loaded::read(Some(&path));
    assert!(loaded.sentences()[0].contains("cannot be read"));
    assert_eq!(files(&path), ["settings.toml.broken"]);
}

#[test]
fn bad_files_do_not_replace_each_other() {
    let (_folder, path) = folder();
    for number in 0..3 {
        fs::write(&path, format!("broken {number}")).expect("a new file");
        assert_eq!(Loaded::read(Some(&path)).sentences().len(), 1);
    }
    let names = [
        "settings.toml.broken",
        "settings.toml.broken.2",
        "settings.toml.broken.3",
    ];
    assert_eq!(files(&path), names);
    let last = fs::read_to_string(path.with_extension("toml.broken.3"));
    assert_eq!(last.expect("the last file"), "broken 2");
}

#[test]
fn values_that_cannot_be_used_are_reported_and_the_rest_is_kept() {
    let (_folder, path) = folder();
    let text = "[video]\nvsync = false\nframe_cap = 7\n[controls]\nram = \"Escape\"\n\
                [audio]\nmaster = 2\n";
    fs::write(&path, text).expect("a new file");
    let loaded = Loaded::read(Some(&path));
    assert!(!loaded.settings.video.vsync);
    assert_eq!(loaded.settings.video.frame_cap, 30);
    assert_eq!(loaded.settings.audio.master, 1.0);
    assert_eq!(loaded.settings.controls, Bindings::default());
    assert_eq!(loaded.sentences().len(), 3, "{:?}", loaded.sentences());
    assert_eq!(files(&path), ["settings.toml"]);
}

#[test]
fn unknown_settings_are_reported_and_kept() {
    let (_folder, path) = folder();
    let text = "colour = 1\n[video]\nhdr = true\nvsync = false\n[controls]\nchat = \"KeyM\"\n\
                [lab]\ndepth = [1, 2]\n";
    fs::write(&path, text).expect("a new file");
    let loaded = Loaded::read(Some(&path));
    let mut notes = loaded.sentences();
    notes.sort();
    let names = ["colour", "controls.chat", "lab.depth", "video.hdr"];
    let expected =
        names.map(|name| format!("`{name}` is no setting of this build, and has no effect."));
    assert_eq!(notes, expected);
    save(&path, &loaded.settings, &loaded.file.unknown).expect("a file");
    let again = Loaded::read(Some(&path));
    assert_eq!(again.file.unknown, loaded.file.unknown);
    assert_eq!(again.settings, loaded.settings);
}

#[test]
fn interrupted_write_leaves_the_old_file() {
    let (_folder, path) = folder();
    save(&path, &other_settings(), &toml::Table::new()).expect("a new file");
    let failed = replace(&path, |file| {
        file.write_all(b"[video]\nvsy")?;
        Err(io::Error::other("the disk is full"))
    });
    assert!(failed.is_err());
    assert_eq!(Loaded::read(Some(&path)).settings, other_settings());
    assert_eq!(files(&path), ["settings.toml"], "no rest of the write");
    // A process that was killed leaves one; it is never read.
    fs::write(path.with_file_name(".tmpA1b2C3"), "[video]\nvsy").expect("a new file");
    assert_eq!(Loaded::read(Some(&path)).settings, other_settings());
}

#[cfg(unix)]
#[test]
fn link_to_the_file_stays_a_link() {
    let (folder, path) = folder();
    let target = folder.path().join("elsewhere.toml");
    save(&target, &Settings::default(), &toml::Table::new()).expect("a new file");
    std::os::unix::fs::symlink(&target, &path).expect("a new link");
    save(&path, &other_settings(), &toml::Table::new()).expect("a file");
    assert!(path.is_symlink());
    assert_eq!(Loaded::read(Some(&target)).settings, other_settings());
}

/// An app with the settings of a file, in frames of 200 ms.
fn app(path: &Path) -> App {
    let mut app = App::new();
    let frame = TimeUpdateStrategy::ManualDuration(Duration::from_millis(200));
    app.add_plugins(TimePlugin).insert_resource(frame);
    app.init_resource::<crate::frame_cap::FrameCap>();
    settings_plugin(&mut app, Loaded::read(Some(path)), false);
    // The first frame takes no time.
    app.update();
    app
}

#[test]
fn changes_are_saved_half_a_second_after_the_last_one() {
    let (_folder, path) = folder();
    let mut app = app(&path);
    (0..5).for_each(|_| app.update());
    assert_eq!(files(&path), Vec::<String>::new(), "nothing was changed");
    for scale in [125, 150] {
        let mut settings = app.world_mut().resource_mut::<Settings>();
        settings.accessibility.scale = scale;
        (0..2).for_each(|_| app.update());
        assert_eq!(files(&path), Vec::<String>::new(), "{scale}: too early");
    }
    (0..2).for_each(|_| app.update());
    let saved = Loaded::read(Some(&path)).settings;
    assert_eq!(saved.accessibility.scale, 150);
}

#[test]
fn changes_are_saved_at_the_end() {
    let (_folder, path) = folder();
    let mut app = app(&path);
    app.world_mut().resource_mut::<Settings>().video.vsync = false;
    app.world_mut().write_message(AppExit::Success);
    app.update();
    assert!(!Loaded::read(Some(&path)).settings.video.vsync);
}

#[test]
fn folder_is_created_with_the_first_save() {
    let (folder, _) = folder();
    let path = folder.path().join("a/b/settings.toml");
    save(&path, &Settings::default(), &toml::Table::new()).expect("new folders");
    assert_eq!(files(&path), ["settings.toml"]);
}

#[test]
fn failed_save_is_reported_and_does_not_end_the_game() {
    let (folder, _) = folder();
    fs::write(folder.path().join("file"), "").expect("a new file");
    let path = folder.path().join("file/settings.toml");
    let mut app = App::new();
    let frame = TimeUpdateStrategy::ManualDuration(Duration::from_millis(200));
    app.add_plugins(TimePlugin).insert_resource(frame);
    app.init_resource::<crate::frame_cap::FrameCap>();
    let mut loaded = Loaded::default();
    loaded.file.path = Some(path);
    settings_plugin(&mut app, loaded, false);
    app.update();
    app.world_mut().resource_mut::<Settings>().video.vsync = false;
    (0..5).for_each(|_| app.update());
    let notice = app.world().resource::<SettingsNotice>();
    assert!(notice.0.starts_with("The settings cannot be saved: "));
}
