//! The banner over the map while there is no majority.

use super::ViewSystems;
use super::canvas::{depth, middle, rgb};
use super::fonts::Typeface;
use super::footer::FooterFacts;
use super::shapes::Shapes;
use super::text::{Align, CanvasText};
use crate::classic_layout::{Area, Rgb};
use bevy::prelude::*;
use bevy::time::Real;
use std::time::Duration;

/// Delay before the banner shows: an ordinary election ends sooner and needs no notice.
const PATIENCE: Duration = Duration::from_millis(400);
/// At the upper edge of the map, above the cities of the first row.
const PLACE: Area = Area {
    x: 285,
    y: 114,
    width: 430,
    height: 54,
};
const GROUND: Rgb = [252, 222, 160];
const INK: Rgb = [72, 46, 0];

#[derive(Component)]
struct Banner;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_banner)
        .add_systems(Update, show_banner.in_set(ViewSystems::Draw));
}

fn spawn_banner(mut commands: Commands, typeface: Res<Typeface>, shapes: Res<Shapes>) {
    let place = middle(PLACE, depth::BANNER);
    let line = CanvasText {
        at: Vec2::new(place.x, -place.y),
        align: Align::Middle,
        size: 30.0,
        depth: depth::BANNER_TEXT,
    };
    let size = Vec2::new(PLACE.width as f32, PLACE.height as f32);
    commands
        .spawn((
            Name::new("Banner"),
            Banner,
            Transform::default(),
            Visibility::Hidden,
        ))
        .with_children(|banner| {
            banner.spawn((
                shapes.rounded(size, rgb(GROUND)),
                Transform::from_translation(place),
            ));
            banner.spawn(line.line(&typeface.0, INK, wording!("No majority — orders wait")));
        });
}

fn show_banner(
    facts: Res<FooterFacts>,
    time: Res<Time<Real>>,
    mut lost_at: Local<Option<Duration>>,
    mut banner: Single<&mut Visibility, With<Banner>>,
) {
    let now = time.elapsed();
    *lost_at = if facts.quorum {
        None
    } else {
        lost_at.or(Some(now))
    };
    let show = lost_at.is_some_and(|since| now.saturating_sub(since) >= PATIENCE);
    banner.set_if_neq(if show {
        Visibility::Inherited
    } else {
        Visibility::Hidden
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::time::{TimePlugin, TimeUpdateStrategy};

    #[test]
    fn banner_shows_after_a_delay_and_hides_with_a_majority() {
        let mut app = App::new();
        app.add_plugins(TimePlugin)
            .insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(
                100,
            )))
            .init_resource::<FooterFacts>()
            .add_systems(Update, show_banner);
        let banner = app.world_mut().spawn((Banner, Visibility::Hidden)).id();
        let shown =
            |app: &App| app.world().get::<Visibility>(banner) == Some(&Visibility::Inherited);
        app.update();
        app.world_mut().resource_mut::<FooterFacts>().quorum = false;
        for _ in 0..4 {
            app.update();
            assert!(!shown(&app));
        }
        app.update();
        assert!(shown(&app));
        app.world_mut().resource_mut::<FooterFacts>().quorum = true;
        app.update();
        assert!(!shown(&app));
    }
}
