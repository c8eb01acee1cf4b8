//! The cues in words, above the feed, for players who do not hear them.

use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;

use super::CrownsSystems;
use super::layout::{AboveFeed, RIGHT};
use crate::audio::{AudioSettings, Cue, Started};
use crate::language::Wording;
use crate::screens::Screen;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{column, unbroken};
use crate::view::fonts::Typeface;

/// Time for which a caption stays, and time in which it then fades.
const SHOWN_FOR: Duration = Duration::from_secs(2);
const FADES_FOR: Duration = Duration::from_millis(500);

/// Most lines at once; the oldest makes room for a further one.
const MAX_LINES: usize = 3;

/// The column of lines, the newest lowest.
#[derive(Component)]
struct Captions;

/// The line of a cue, and when it was written.
#[derive(Component, Clone, Copy, Debug)]
struct CaptionOf {
    cue: Cue,
    since: Duration,
}

pub(super) fn plugin(app: &mut App) {
    app.add_observer(write)
        .add_systems(OnEnter(Screen::Match), spawn)
        .add_systems(Update, fade.in_set(CrownsSystems::Draw));
}

fn spawn(mut commands: Commands) {
    commands.spawn((
        Name::new("Captions"),
        AboveFeed(0.0),
        Captions,
        DespawnOnExit(Screen::Match),
        Node {
            position_type: PositionType::Absolute,
            right: px(RIGHT),
            align_items: AlignItems::FlexEnd,
            ..column(px(0))
        },
        Pickable::IGNORE,
        GlobalZIndex(6),
    ));
}

fn write(
    started: On<Started>,
    settings: Res<AudioSettings>,
    time: Res<Time<Real>>,
    font: Res<Typeface>,
    columns: Query<Entity, With<Captions>>,
    lines: Query<(Entity, &CaptionOf)>,
    mut commands: Commands,
) {
    if !settings.captions {
        return;
    }
    let cue = started.0;
    let mut others: Vec<_> = lines.iter().collect();
    others.sort_by_key(|(_, line)| (line.cue != cue, line.since));
    // The line of the same cue goes, and the oldest ones do where there is no room.
    let repeats = others.first().is_some_and(|(_, line)| line.cue == cue);
    let excess = (others.len() + 1).saturating_sub(MAX_LINES);
    for (line, _) in others.iter().take(excess.max(usize::from(repeats))) {
        commands.entity(*line).despawn();
    }
    for column in &columns {
        commands.spawn((
            CaptionOf {
                cue,
                since: time.elapsed(),
            },
            ChildOf(column),
            Node {
                padding: UiRect::axes(space::NEAR, space::TIGHT),
                ..default()
            },
            BackgroundColor(colour::PANEL),
            unbroken(
                &font,
                Wording::new(move || cue.caption()),
                size::SMALL,
                colour::TEXT,
            ),
        ));
    }
}

fn fade(
    time: Res<Time<Real>>,
    mut lines: Query<(Entity, &CaptionOf, &mut TextColor, &mut BackgroundColor)>,
    mut commands: Commands,
) {
    for (entity, line, mut ink, mut ground) in &mut lines {
        let opacity = opacity(time.elapsed().saturating_sub(line.since));
        if opacity == 0.0 {
            commands.entity(entity).despawn();
        }
        ink.set_if_neq(TextColor(colour::TEXT.with_alpha(opacity)));
        ground.set_if_neq(BackgroundColor(colour::PANEL.with_alpha(opacity)));
    }
}

/// Opacity of a caption of this age.
fn opacity(age: Duration) -> f32 {
    let fading = age.saturating_sub(SHOWN_FOR).as_secs_f32();
    (1.0 - fading / FADES_FOR.as_secs_f32()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(captions: bool) -> App {
        let mut app = App::new();
        app.insert_resource(AudioSettings {
            captions,
            ..default()
        })
        .init_resource::<Time<Real>>()
        .init_resource::<Assets<Font>>()
        .init_resource::<Typeface>()
        .add_observer(write)
        .add_systems(Update, fade);
        app.world_mut().spawn(Captions);
        app
    }

    fn pass(app: &mut App, milliseconds: u64) {
        let mut time = app.world_mut().resource_mut::<Time<Real>>();
        time.advance_by(Duration::from_millis(milliseconds));
        app.update();
    }

    /// Begins cues, 100 ms apart.
    fn begin(app: &mut App, cues: &[Cue]) {
        for cue in cues {
            pass(app, 100);
            app.world_mut().trigger(Started(*cue));
            app.world_mut().flush();
        }
    }

    /// The lines with their opacity, from the upmost.
    fn shown(app: &mut App) -> Vec<(String, f32)> {
        let world = app.world_mut();
        let mut columns = world.query_filtered::<&Children, With<Captions>>();
        let Ok(lines) = columns.single(world) else {
            return Vec::new();
        };
        let lines = lines.iter().map(|line| {
            let text = world.get::<Text>(line).expect("a line has a text");
            let ink = world.get::<TextColor>(line).expect("a text has a colour");
            (text.0.clone(), ink.0.alpha())
        });
        lines.collect()
    }

    #[test]
    fn caption_stays_for_two_seconds_and_fades() {
        let mut app = app(true);
        begin(&mut app, &[Cue::KeepHit]);
        pass(&mut app, 2_000);
        let words = Cue::KeepHit.caption();
        assert_eq!(shown(&mut app), [(words.clone(), 1.0)]);
        pass(&mut app, 250);
        assert_eq!(shown(&mut app), [(words, 0.5)]);
        pass(&mut app, 250);
        assert_eq!(shown(&mut app), []);
    }

    #[test]
    fn captions_of_other_cues_stay_until_there_is_no_room() {
        let mut app = app(true);
        begin(&mut app, &[Cue::KeepHit, Cue::Given, Cue::Committed]);
        let words = |cues: &[Cue]| -> Vec<_> {
            let captions = cues.iter().map(|cue| (cue.caption(), 1.0));
            captions.collect()
        };
        let first = words(&[Cue::KeepHit, Cue::Given, Cue::Committed]);
        assert_eq!(shown(&mut app), first);
        begin(&mut app, &[Cue::Given]);
        let repeated = words(&[Cue::KeepHit, Cue::Committed, Cue::Given]);
        assert_eq!(shown(&mut app), repeated);
        begin(&mut app, &[Cue::Message]);
        let last = words(&[Cue::Committed, Cue::Given, Cue::Message]);
        assert_eq!(shown(&mut app), last);
    }

    #[test]
    fn captions_are_off_by_default() {
        assert!(!AudioSettings::default().captions);
        let mut app = app(false);
        begin(&mut app, &[Cue::KeepHit]);
        assert_eq!(shown(&mut app), []);
    }
}
