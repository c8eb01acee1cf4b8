//! One system for each setting that has its effect elsewhere.

use bevy::prelude::*;
use bevy::window::{MonitorSelection, PresentMode, PrimaryWindow, WindowMode};

use super::bindings::Bindings;
use super::{Mode, Settings};
use crate::audio::AudioSettings;
use crate::frame_cap::FrameCap;
use crate::language::{self, ShownLanguage};
use crate::ui::ReducedMotion;
use crate::ui::contrast::HighContrast;
use crate::ui::scale::OwnScale;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<OwnScale>()
        .init_resource::<ReducedMotion>()
        .init_resource::<HighContrast>()
        .init_resource::<AudioSettings>()
        .add_plugins(language::plugin)
        .add_systems(
            First,
            (
                shape_window,
                scale_interface,
                bind_keys,
                calm_motion,
                raise_contrast,
                set_volumes,
                set_language,
            )
                .run_if(resource_changed::<Settings>),
        );
}

/// Lets the setting limit frames per second.
pub(super) fn follow_frame_cap(app: &mut App) {
    app.add_systems(First, cap_frames.run_if(resource_changed::<Settings>));
}

impl Mode {
    /// The other one of the two.
    pub(crate) fn other(self) -> Mode {
        match self {
            Mode::Windowed => Mode::FullScreen,
            Mode::FullScreen => Mode::Windowed,
        }
    }

    /// The mode of a window of this shape.
    pub(crate) fn of_window(self) -> WindowMode {
        match self {
            Mode::Windowed => WindowMode::Windowed,
            Mode::FullScreen => WindowMode::BorderlessFullscreen(MonitorSelection::Current),
        }
    }
}

fn shape_window(settings: Res<Settings>, mut windows: Query<&mut Window, With<PrimaryWindow>>) {
    let mode = settings.video.mode.of_window();
    let present = if settings.video.vsync {
        PresentMode::AutoVsync
    } else {
        PresentMode::AutoNoVsync
    };
    for mut window in &mut windows {
        if window.mode != mode {
            window.mode = mode;
        }
        if window.present_mode != present {
            window.present_mode = present;
        }
    }
}

fn cap_frames(settings: Res<Settings>, mut cap: ResMut<FrameCap>) {
    cap.limit(u32::try_from(settings.video.frame_cap).unwrap_or(0));
}

fn scale_interface(settings: Res<Settings>, mut scale: ResMut<OwnScale>) {
    scale.set_if_neq(OwnScale(settings.accessibility.scale as f32 / 100.0));
}

fn bind_keys(settings: Res<Settings>, mut bindings: ResMut<Bindings>) {
    bindings.set_if_neq(settings.controls.clone());
}

fn calm_motion(settings: Res<Settings>, mut motion: ResMut<ReducedMotion>) {
    motion.set_if_neq(ReducedMotion(settings.accessibility.reduced_motion));
}

fn raise_contrast(settings: Res<Settings>, mut contrast: ResMut<HighContrast>) {
    contrast.set_if_neq(HighContrast(settings.accessibility.high_contrast));
}

fn set_volumes(settings: Res<Settings>, mut audio: ResMut<AudioSettings>) {
    audio.set_if_neq(settings.audio);
}

fn set_language(settings: Res<Settings>, mut shown: ResMut<ShownLanguage>) {
    language::speak(settings.profile.language);
    shown.set_if_neq(ShownLanguage(settings.profile.language));
}

#[cfg(test)]
mod tests {
    use super::super::bindings::KeyAction;
    use super::*;
    use crate::language::Language;
    use crate::language::tests::{Spoken, run_on_this_thread};

    fn app() -> App {
        let mut app = App::new();
        app.init_resource::<Settings>()
            .init_resource::<Bindings>()
            .init_resource::<FrameCap>()
            .add_plugins(plugin);
        follow_frame_cap(&mut app);
        app.world_mut().spawn((Window::default(), PrimaryWindow));
        app.update();
        app
    }

    /// Changes the settings, and lets them take effect.
    fn change(app: &mut App, change: impl FnOnce(&mut Settings)) {
        change(&mut app.world_mut().resource_mut::<Settings>());
        app.update();
    }

    fn window(app: &mut App) -> Window {
        let mut windows = app.world_mut().query::<&Window>();
        windows.single(app.world()).expect("one window").clone()
    }

    #[test]
    fn volumes_are_those_of_the_settings() {
        let mut app = app();
        let quiet = AudioSettings {
            master: 0.1,
            captions: true,
            ..AudioSettings::default()
        };
        change(&mut app, |settings| settings.audio = quiet);
        assert_eq!(*app.world().resource::<AudioSettings>(), quiet);
    }

    #[test]
    fn mode_shapes_the_window() {
        let mut app = app();
        assert_eq!(window(&mut app).mode, WindowMode::Windowed);
        change(&mut app, |settings| settings.video.mode = Mode::FullScreen);
        let full = WindowMode::BorderlessFullscreen(MonitorSelection::Current);
        assert_eq!(window(&mut app).mode, full);
    }

    #[test]
    fn vsync_is_that_of_the_window() {
        let mut app = app();
        assert_eq!(window(&mut app).present_mode, PresentMode::AutoVsync);
        change(&mut app, |settings| settings.video.vsync = false);
        assert_eq!(window(&mut app).present_mode, PresentMode::AutoNoVsync);
    }

    #[test]
    fn frame_cap_is_that_of_the_frames() {
        let mut app = app();
        assert_eq!(app.world().resource::<FrameCap>().per_second(), None);
        change(&mut app, |settings| settings.video.frame_cap = 120);
        assert_eq!(app.world().resource::<FrameCap>().per_second(), Some(120));
        change(&mut app, |settings| settings.video.frame_cap = 0);
        assert_eq!(app.world().resource::<FrameCap>().per_second(), None);
    }

    #[test]
    fn scale_is_that_of_the_interface() {
        let mut app = app();
        assert_eq!(*app.world().resource::<OwnScale>(), OwnScale(1.0));
        change(&mut app, |settings| settings.accessibility.scale = 250);
        assert_eq!(*app.world().resource::<OwnScale>(), OwnScale(2.5));
    }

    #[test]
    fn keys_are_those_of_the_match() {
        let mut app = app();
        change(&mut app, |settings| {
            let free = settings.controls.bind(KeyAction::Ram, KeyCode::KeyP);
            assert_eq!(free, Ok(None));
        });
        let bindings = app.world().resource::<Bindings>();
        assert_eq!(bindings.key(KeyAction::Ram), KeyCode::KeyP);
    }

    #[test]
    fn language_is_that_of_the_texts() {
        let mut app = app();
        run_on_this_thread(&mut app);
        let _spoken = Spoken::new(Language::English);
        let words = wording!("Settings");
        let text = app.world_mut().spawn((Text::new(words.text()), words)).id();
        for (language, shown) in [
            (Language::Italian, "Impostazioni"),
            (Language::English, "Settings"),
        ] {
            change(&mut app, |settings| settings.profile.language = language);
            let text = app.world().get::<Text>(text).expect("a text");
            assert_eq!(text.0, shown);
        }
    }

    #[test]
    fn reduced_motion_reaches_the_effects() {
        let mut app = app();
        assert!(!app.world().resource::<ReducedMotion>().0);
        change(&mut app, |settings| {
            settings.accessibility.reduced_motion = true;
        });
        assert!(app.world().resource::<ReducedMotion>().0);
    }

    #[test]
    fn high_contrast_reaches_the_interface() {
        let mut app = app();
        assert!(!app.world().resource::<HighContrast>().0);
        change(&mut app, |settings| {
            settings.accessibility.high_contrast = true;
        });
        assert!(app.world().resource::<HighContrast>().0);
    }
}
