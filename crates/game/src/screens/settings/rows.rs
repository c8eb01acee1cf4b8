//! The rows of the page: what each shows, and how it changes.

use crate::audio::HAS_SOUND;
use crate::settings::bindings::{Bindings, KeyAction};
use crate::settings::{FRAME_CAPS, Mode, SCALES, Settings};

/// Step of a volume.
const VOLUME_STEP: f32 = 0.1;

/// Step of the size of the interface, in percent.
const SCALE_STEP: i64 = 25;

/// A group of settings, with a tab of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Group {
    #[default]
    Profile,
    Video,
    Audio,
    Controls,
    Game,
    Network,
    Accessibility,
}

/// A setting on the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Row {
    Player,
    Language,
    Mode,
    Vsync,
    FrameCap,
    Master,
    Effects,
    Music,
    Captions,
    Key(KeyAction),
    UsualKeys,
    ConfirmLeaving,
    AutoFill,
    Announce,
    Scale,
    HighContrast,
    ReducedMotion,
    HoldToConfirm,
}

/// A way to change a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Down,
    Up,
    /// Up, and from the highest value to the lowest: a press on the row.
    Around,
}

impl Group {
    pub(super) const ALL: [Group; 7] = [
        Group::Profile,
        Group::Video,
        Group::Audio,
        Group::Controls,
        Group::Game,
        Group::Network,
        Group::Accessibility,
    ];

    /// The tab of the group.
    pub(super) fn title(self) -> String {
        match self {
            Group::Profile => text!("Profile"),
            Group::Video => text!("Video"),
            Group::Audio => text!("Audio"),
            Group::Controls => text!("Controls"),
            Group::Game => text!("Game"),
            Group::Network => text!("Network"),
            Group::Accessibility => text!("Accessibility"),
        }
    }

    /// The group in the tab beside this one.
    pub(super) fn beside(self, step: Step) -> Group {
        let count = Group::ALL.len();
        let by = match step {
            Step::Down => count - 1,
            Step::Up | Step::Around => 1,
        };
        Group::ALL[(self as usize + by) % count]
    }

    /// The rows of the group.
    pub(super) fn rows(self) -> Vec<Row> {
        match self {
            Group::Profile => vec![Row::Player, Row::Language],
            Group::Video => vec![Row::Mode, Row::Vsync, Row::FrameCap],
            Group::Audio if HAS_SOUND => {
                vec![Row::Master, Row::Effects, Row::Music, Row::Captions]
            }
            // The rest would have no effect.
            Group::Audio => vec![Row::Captions],
            Group::Controls => {
                let keys = KeyAction::all().map(Row::Key);
                keys.chain([Row::UsualKeys]).collect()
            }
            Group::Game => vec![Row::ConfirmLeaving, Row::AutoFill],
            Group::Network => vec![Row::Announce],
            Group::Accessibility => vec![
                Row::Scale,
                Row::HighContrast,
                Row::ReducedMotion,
                Row::HoldToConfirm,
            ],
        }
    }
}

impl Row {
    /// Name of the setting.
    pub(super) fn title(self) -> String {
        match self {
            Row::Player => text!("Name in matches with others"),
            Row::Language => text!("Language"),
            Row::Mode => text!("Window"),
            Row::Vsync => text!("Wait for the display (vsync)"),
            Row::FrameCap => text!("Most frames per second"),
            Row::Master => text!("Volume of everything"),
            Row::Effects => text!("Volume of sounds"),
            Row::Music => text!("Volume of music"),
            Row::Captions => text!("Sounds also as text"),
            Row::Key(action) => action.title(),
            Row::UsualKeys => text!("All keys as they were at first"),
            Row::ConfirmLeaving => text!("Ask before a match is left"),
            Row::AutoFill => text!("A new march takes all but the spears"),
            Row::Announce => text!("Announce matches on this network"),
            Row::Scale => text!("Size of the interface"),
            Row::HighContrast => text!("High contrast"),
            Row::ReducedMotion => text!("Reduced motion"),
            Row::HoldToConfirm => text!("Hold the button to leave or give up"),
        }
    }

    /// Present value, as a text.
    pub(super) fn value(self, settings: &Settings) -> String {
        match self {
            Row::Player => settings.profile.player.clone(),
            Row::Language => settings.profile.language.name().to_owned(),
            Row::Mode => match settings.video.mode {
                Mode::Windowed => text!("window"),
                Mode::FullScreen => text!("full screen"),
            },
            Row::Vsync => on_or_off(settings.video.vsync),
            Row::FrameCap => match settings.video.frame_cap {
                0 => text!("no limit"),
                cap => cap.to_string(),
            },
            Row::Master => percent(settings.audio.master),
            Row::Effects => percent(settings.audio.effects),
            Row::Music => percent(settings.audio.music),
            Row::Captions => on_or_off(settings.audio.captions),
            Row::Key(action) => settings.controls.label(action),
            Row::UsualKeys => String::new(),
            Row::ConfirmLeaving => on_or_off(settings.game.confirm_leaving),
            Row::AutoFill => on_or_off(settings.game.auto_fill),
            Row::Announce => on_or_off(settings.network.announce),
            Row::Scale => format!("{} %", settings.accessibility.scale),
            Row::HighContrast => on_or_off(settings.accessibility.high_contrast),
            Row::ReducedMotion => on_or_off(settings.accessibility.reduced_motion),
            Row::HoldToConfirm => on_or_off(settings.accessibility.hold_to_confirm),
        }
    }

    /// Whether the row has values below and above the present one.
    pub(super) fn has_steps(self) -> bool {
        match self {
            Row::FrameCap | Row::Master | Row::Effects | Row::Music | Row::Scale => true,
            Row::Player
            | Row::Language
            | Row::Mode
            | Row::Vsync
            | Row::Captions
            | Row::Key(_)
            | Row::UsualKeys
            | Row::ConfirmLeaving
            | Row::AutoFill
            | Row::Announce
            | Row::HighContrast
            | Row::ReducedMotion
            | Row::HoldToConfirm => false,
        }
    }

    /// Changes the setting by a step. Names and keys are entered instead.
    pub(super) fn change(self, settings: &mut Settings, step: Step) {
        let audio = &mut settings.audio;
        match self {
            Row::Player | Row::Key(_) => {}
            Row::Language => settings.profile.language = settings.profile.language.next(),
            Row::Mode => settings.video.mode = settings.video.mode.other(),
            Row::Vsync => settings.video.vsync ^= true,
            Row::FrameCap => settings.video.frame_cap = cap_beside(settings.video.frame_cap, step),
            Row::Master => audio.master = volume_beside(audio.master, step),
            Row::Effects => audio.effects = volume_beside(audio.effects, step),
            Row::Music => audio.music = volume_beside(audio.music, step),
            Row::Captions => audio.captions ^= true,
            Row::UsualKeys if step == Step::Around => settings.controls = Bindings::default(),
            Row::UsualKeys => {}
            Row::ConfirmLeaving => settings.game.confirm_leaving ^= true,
            Row::AutoFill => settings.game.auto_fill ^= true,
            Row::Announce => settings.network.announce ^= true,
            Row::Scale => {
                let scale = &mut settings.accessibility.scale;
                *scale = scale_beside(*scale, step);
            }
            Row::HighContrast => settings.accessibility.high_contrast ^= true,
            Row::ReducedMotion => settings.accessibility.reduced_motion ^= true,
            Row::HoldToConfirm => settings.accessibility.hold_to_confirm ^= true,
        }
    }
}

fn on_or_off(is_on: bool) -> String {
    if is_on { text!("on") } else { text!("off") }
}

fn percent(volume: f32) -> String {
    format!("{:.0} %", volume * 100.0)
}

/// The limit beside one of [`FRAME_CAPS`]; the highest is none.
fn cap_beside(cap: i64, step: Step) -> i64 {
    let mut caps = FRAME_CAPS;
    caps.rotate_left(1);
    let last = caps.len() - 1;
    let place = caps.iter().position(|other| *other == cap).unwrap_or(last);
    match step {
        Step::Down => caps[place.saturating_sub(1)],
        Step::Up => caps[(place + 1).min(last)],
        Step::Around => caps[(place + 1) % caps.len()],
    }
}

fn volume_beside(volume: f32, step: Step) -> f32 {
    let next = match step {
        Step::Down => volume - VOLUME_STEP,
        Step::Around if volume >= 1.0 => 0.0,
        Step::Up | Step::Around => volume + VOLUME_STEP,
    };
    // Sums of tenths are not exact.
    (next.clamp(0.0, 1.0) * 100.0).round() / 100.0
}

fn scale_beside(scale: i64, step: Step) -> i64 {
    let [least, most] = SCALES;
    let next = match step {
        Step::Down => scale - SCALE_STEP,
        Step::Around if scale >= most => least,
        Step::Up | Step::Around => scale + SCALE_STEP,
    };
    next.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a row in the order of its steps, until they repeat.
    fn values(row: Row, step: Step) -> Vec<String> {
        let mut settings = Settings::default();
        let mut values = vec![row.value(&settings)];
        loop {
            row.change(&mut settings, step);
            let value = row.value(&settings);
            if values.contains(&value) {
                return values;
            }
            values.push(value);
        }
    }

    #[test]
    fn rows_go_through_their_values() {
        assert_eq!(
            values(Row::Scale, Step::Around),
            [
                "100 %", "125 %", "150 %", "175 %", "200 %", "225 %", "250 %", "75 %"
            ]
        );
        assert_eq!(values(Row::Scale, Step::Down), ["100 %", "75 %"]);
        assert_eq!(
            values(Row::FrameCap, Step::Down),
            ["no limit", "144", "120", "60", "30"]
        );
        assert_eq!(values(Row::FrameCap, Step::Up), ["no limit"]);
        assert_eq!(values(Row::Master, Step::Up), ["80 %", "90 %", "100 %"]);
        assert_eq!(values(Row::Master, Step::Around).len(), 11);
        assert_eq!(values(Row::Mode, Step::Down), ["window", "full screen"]);
        let languages = values(Row::Language, Step::Around);
        assert_eq!(languages, ["English", "Italiano"]);
    }

    /// A row that changes nothing would be one without effect.
    #[test]
    fn every_row_changes_a_setting_of_its_own() {
        let mut changed: Vec<Settings> = Vec::new();
        for row in Group::ALL.into_iter().flat_map(Group::rows) {
            let mut settings = Settings::default();
            match row {
                Row::Player => settings.profile.player.push_str("Ada"),
                Row::Key(action) => {
                    let free = settings.controls.bind(action, bevy::prelude::KeyCode::KeyP);
                    assert_eq!(free, Ok(None));
                }
                Row::UsualKeys => {
                    let bound = settings
                        .controls
                        .bind(KeyAction::Ram, bevy::prelude::KeyCode::KeyQ);
                    assert!(bound.is_ok());
                    row.change(&mut settings, Step::Up);
                    assert_ne!(settings, Settings::default(), "only a press restores them");
                    row.change(&mut settings, Step::Around);
                    assert_eq!(settings, Settings::default());
                    continue;
                }
                row => row.change(&mut settings, Step::Around),
            }
            assert_ne!(settings, Settings::default(), "{row:?}");
            assert!(!changed.contains(&settings), "{row:?}");
            changed.push(settings);
        }
    }

    #[test]
    fn tabs_go_around() {
        let mut group = Group::Profile;
        for expected in Group::ALL.into_iter().skip(1).chain([Group::Profile]) {
            group = group.beside(Step::Up);
            assert_eq!(group, expected);
        }
        assert_eq!(group.beside(Step::Down), Group::Accessibility);
    }
}
