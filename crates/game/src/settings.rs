//! Settings of the player, kept in a file in the platform's folder for configuration.
//!
//! [`Settings`] is the state; `screens/settings.rs` is the page that changes it, [`file`] reads and
//! writes it, and [`apply`] has one system for each setting that lives outside of this module. A
//! value that is out of bounds is clamped, and a file that cannot be used is set aside.

mod apply;
pub(crate) mod bindings;
mod file;

use bevy::prelude::*;
use bevy_raft::{JoinMatch, Part, StartMatch};
use raftian_node::cluster::check_player_name;
use serde::{Deserialize, Serialize};

use self::bindings::Bindings;
pub(crate) use self::file::Loaded;
use crate::audio::AudioSettings;
use crate::language::{self, Language, Wording};
use crate::screens::learn::Lesson;

/// Layout of the file. A file with a higher number was written by a later build.
const SCHEMA: i64 = 1;

/// Limits on frames per second that can be chosen; 0 is none.
pub(crate) const FRAME_CAPS: [i64; 5] = [0, 30, 60, 120, 144];

/// Smallest and largest size of the interface, in percent of the size that fits the window.
pub(crate) const SCALES: [i64; 2] = [75, 250];

/// Everything that a player can set.
#[derive(Resource, Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    schema: i64,
    pub(crate) profile: Profile,
    pub(crate) video: Video,
    pub(crate) audio: AudioSettings,
    /// The file names actions and keys; [`file`] reads and writes them, because a bad one must not
    /// spoil the rest.
    #[serde(skip)]
    pub(crate) controls: Bindings,
    pub(crate) game: Game,
    pub(crate) network: Network,
    pub(crate) accessibility: Accessibility,
    pub(crate) lessons: Lessons,
}

/// The player.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Profile {
    /// Name in matches that are begun from now on; empty for that of the system's user.
    pub(crate) player: String,
    /// Language of the window.
    pub(crate) language: Language,
}

/// Shape of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    #[default]
    Windowed,
    /// A window without borders that fills the screen.
    FullScreen,
}

/// The window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Video {
    pub(crate) mode: Mode,
    /// Whether a frame waits for the display.
    pub(crate) vsync: bool,
    /// Most frames per second, one of [`FRAME_CAPS`].
    pub(crate) frame_cap: i64,
}

/// Playing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Game {
    /// Whether a match is left only after a second press.
    pub(crate) confirm_leaving: bool,
    /// Whether a new plan of a march begins with all units but the spears.
    pub(crate) auto_fill: bool,
}

/// Matches with others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Network {
    /// Whether matches founded in the window are announced on the local network.
    pub(crate) announce: bool,
}

/// Reading and seeing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Accessibility {
    /// Size of the interface in percent, within [`SCALES`].
    pub(crate) scale: i64,
    /// Whether the colours of the interface differ more.
    pub(crate) high_contrast: bool,
    /// Whether decorative animations are off.
    pub(crate) reduced_motion: bool,
    /// Whether a match is left, and a city given up, by holding the button.
    pub(crate) hold_to_confirm: bool,
}

/// Lessons that the player has done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Lessons {
    classic: bool,
    grow: bool,
    fight: bool,
    throne: bool,
    leader: bool,
    split: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            schema: SCHEMA,
            profile: Profile::default(),
            video: Video::default(),
            audio: AudioSettings::default(),
            controls: Bindings::default(),
            game: Game::default(),
            network: Network::default(),
            accessibility: Accessibility::default(),
            lessons: Lessons::default(),
        }
    }
}

impl Default for Video {
    fn default() -> Self {
        Video {
            mode: Mode::Windowed,
            vsync: true,
            frame_cap: 0,
        }
    }
}

impl Default for Game {
    fn default() -> Self {
        Game {
            confirm_leaving: true,
            auto_fill: true,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network { announce: true }
    }
}

impl Default for Accessibility {
    fn default() -> Self {
        Accessibility {
            scale: 100,
            high_contrast: false,
            reduced_motion: false,
            hold_to_confirm: false,
        }
    }
}

impl Lessons {
    /// Notes that a lesson is done.
    pub(crate) fn finish(&mut self, lesson: Lesson) {
        *match lesson {
            Lesson::Classic => &mut self.classic,
            Lesson::Grow => &mut self.grow,
            Lesson::Fight => &mut self.fight,
            Lesson::Throne => &mut self.throne,
            Lesson::Leader => &mut self.leader,
            Lesson::Split => &mut self.split,
        } = true;
    }

    /// Whether a lesson is done.
    pub(crate) fn is_done(&self, lesson: Lesson) -> bool {
        match lesson {
            Lesson::Classic => self.classic,
            Lesson::Grow => self.grow,
            Lesson::Fight => self.fight,
            Lesson::Throne => self.throne,
            Lesson::Leader => self.leader,
            Lesson::Split => self.split,
        }
    }

    /// Number of lessons that are done.
    pub(crate) fn count(&self) -> usize {
        let lessons = Lesson::ALL.into_iter();
        lessons.filter(|lesson| self.is_done(*lesson)).count()
    }
}

impl Settings {
    /// Options of a match that this player founds.
    pub(crate) fn start_match(&self) -> StartMatch {
        StartMatch {
            player: self.player(),
            announced: self.network.announce,
            ..StartMatch::default()
        }
    }

    /// Options with which this player joins by `invitation`.
    pub(crate) fn join_match(&self, invitation: impl Into<String>, part: Part) -> JoinMatch {
        JoinMatch {
            player: self.player(),
            part,
            ..JoinMatch::from(invitation)
        }
    }

    /// The player's own name, if one is set.
    pub(crate) fn player(&self) -> Option<String> {
        let name = &self.profile.player;
        (!name.is_empty()).then(|| name.clone())
    }

    /// Brings every value within its bounds, and returns a sentence for each that was not.
    fn clamp(&mut self) -> Vec<Wording> {
        let mut notes = Vec::new();
        let default = Settings::default();
        let player = &mut self.profile.player;
        if !player.is_empty()
            && let Err(reason) = check_player_name(player)
        {
            notes.push(wording!("`profile.player` is not used: {reason}.", reason));
            player.clear();
        }
        let cap = &mut self.video.frame_cap;
        if !FRAME_CAPS.contains(cap) {
            let nearest = FRAME_CAPS.into_iter().skip(1);
            let nearest = nearest.min_by_key(|allowed| allowed.abs_diff(*cap));
            clamp_to("video.frame_cap", cap, nearest.unwrap_or(0), &mut notes);
        }
        for (name, volume, usual) in [
            ("audio.master", &mut self.audio.master, default.audio.master),
            (
                "audio.effects",
                &mut self.audio.effects,
                default.audio.effects,
            ),
            ("audio.music", &mut self.audio.music, default.audio.music),
        ] {
            let within = if volume.is_nan() {
                usual
            } else {
                volume.clamp(0.0, 1.0)
            };
            clamp_to(name, volume, within, &mut notes);
        }
        let [least, most] = SCALES;
        let scale = &mut self.accessibility.scale;
        let within = (*scale).clamp(least, most);
        clamp_to("accessibility.scale", scale, within, &mut notes);
        notes
    }
}

/// Sets a value to `within`, with a note if that is another one.
fn clamp_to<T: PartialEq + Copy + std::fmt::Display + Send + Sync + 'static>(
    name: &'static str,
    value: &mut T,
    within: T,
    notes: &mut Vec<Wording>,
) {
    let before = std::mem::replace(value, within);
    if before != within {
        notes.push(wording!(
            "`{name}` was {before} and is now {within}.",
            name,
            before,
            within
        ));
    }
}

/// Latest sentence about the file of settings, for the menu and for the page.
#[derive(Resource, Default)]
pub(crate) struct SettingsNotice(pub(crate) String);

/// Adds the settings that were read, saves their changes, and applies them. `has_frame_cap` is set
/// if the command line limits frames per second, which precedes the setting.
pub(crate) fn plugin(app: &mut App, loaded: Loaded, has_frame_cap: bool) {
    // The first screen is spawned before the first frame.
    language::speak(loaded.settings.profile.language);
    let notice = loaded.sentences().join(" ");
    app.insert_resource(loaded.settings)
        .insert_resource(loaded.file)
        .insert_resource(SettingsNotice(notice))
        .add_plugins((file::plugin, bindings::plugin, apply::plugin));
    if !has_frame_cap {
        apply::follow_frame_cap(app);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_within_their_bounds() {
        let mut settings = Settings::default();
        assert!(settings.clamp().is_empty());
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn each_lesson_is_done_for_itself() {
        let mut lessons = Lessons::default();
        for (done, lesson) in (0..).zip(Lesson::ALL) {
            assert_eq!(lessons.count(), done);
            assert!(!lessons.is_done(lesson), "{lesson:?}");
            lessons.finish(lesson);
            assert!(lessons.is_done(lesson), "{lesson:?}");
        }
        assert_eq!(lessons.count(), 6);
    }

    #[test]
    fn values_out_of_bounds_are_clamped_with_a_note() {
        let mut settings = Settings::default();
        settings.profile.player = "x".repeat(1_000);
        settings.video.frame_cap = 100;
        settings.audio.master = -3.0;
        settings.audio.effects = f32::NAN;
        settings.audio.music = f32::INFINITY;
        settings.accessibility.scale = 9_999;
        let notes: Vec<_> = settings.clamp().iter().map(Wording::text).collect();
        assert_eq!(notes.len(), 6, "{notes:?}");
        assert_eq!(settings.profile.player, "");
        assert_eq!(settings.video.frame_cap, 120);
        let audio = &settings.audio;
        assert_eq!([audio.master, audio.effects, audio.music], [0.0, 0.8, 1.0]);
        assert_eq!(settings.accessibility.scale, 250);
        assert_eq!(notes[5], "`accessibility.scale` was 9999 and is now 250.");
        assert!(settings.clamp().is_empty(), "once is enough");
    }

    #[test]
    fn frame_cap_below_all_others_does_not_become_no_cap() {
        for cap in [-5, 1, 14] {
            let mut settings = Settings::default();
            settings.video.frame_cap = cap;
            settings.clamp();
            assert_eq!(settings.video.frame_cap, 30, "{cap}");
        }
    }

    #[test]
    fn matches_are_begun_under_the_name_of_the_profile() {
        let mut settings = Settings::default();
        assert_eq!(settings.start_match(), StartMatch::default());
        let join = settings.join_match("code", Part::Player);
        assert_eq!(join, JoinMatch::from("code"));
        settings.profile.player = "Ada".to_owned();
        settings.network.announce = false;
        let start = settings.start_match();
        assert_eq!(start.player.as_deref(), Some("Ada"));
        assert!(!start.announced);
        let join = settings.join_match("code", Part::Spectator);
        assert_eq!(join.part, Part::Spectator);
        assert_eq!(join.player.as_deref(), Some("Ada"));
        assert_eq!(join.invitation, "code");
    }
}
