//! The size of the interface: it grows with the window, times what the player has set.

use bevy::prelude::*;
use bevy::window::PrimaryWindow;

/// Logical size of a window in which the interface has its natural size.
const NATURAL: Vec2 = Vec2::new(1280.0, 800.0);

/// Smallest and largest size that follow from the window.
const OF_WINDOW: [f32; 2] = [0.6, 3.0];

/// Least room for the interface, in its own pixels: it does not grow beyond what the window holds.
#[derive(Resource, Clone, Copy, PartialEq, Debug)]
pub(crate) struct LeastRoom(pub(crate) Vec2);

impl Default for LeastRoom {
    fn default() -> Self {
        LeastRoom(Vec2::new(640.0, 480.0))
    }
}

/// Size of the interface that the player has set.
#[derive(Resource, Clone, Copy, PartialEq, Debug)]
pub(crate) struct OwnScale(pub(crate) f32);

impl Default for OwnScale {
    fn default() -> Self {
        OwnScale(1.0)
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<OwnScale>()
        .init_resource::<LeastRoom>()
        .add_systems(PreUpdate, follow_window);
}

fn follow_window(
    own: Res<OwnScale>,
    room: Res<LeastRoom>,
    window: Option<Single<&Window, With<PrimaryWindow>>>,
    mut scale: ResMut<UiScale>,
) {
    let Some(window) = window else { return };
    let wanted = scale_of(window.resolution.size(), own.0, *room);
    if scale.0 != wanted {
        scale.0 = wanted;
    }
}

/// Scale of the interface in a window of this logical size.
fn scale_of(window: Vec2, own: f32, room: LeastRoom) -> f32 {
    let [least, most] = OF_WINDOW;
    let fits = (window / NATURAL).min_element().clamp(least, most);
    let most = (window / room.0).min_element().max(least);
    // Steps, so that glyphs are not rasterised anew with every pixel of a resize.
    let wanted = (fits * own * 20.0).round().min((most * 20.0).floor());
    wanted / 20.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_grows_with_the_window() {
        let scale_of = |window, own| scale_of(window, own, LeastRoom::default());
        assert_eq!(scale_of(NATURAL, 1.0), 1.0);
        assert_eq!(scale_of(Vec2::new(800.0, 600.0), 1.0), 0.65);
        assert_eq!(scale_of(Vec2::new(3840.0, 2160.0), 1.0), 2.7);
        assert_eq!(scale_of(NATURAL, 1.5), 1.5);
        assert_eq!(scale_of(Vec2::ZERO, 1.0), 0.6);
    }

    #[test]
    fn interface_fits_into_the_window() {
        for window in [(800.0, 600.0), (1280.0, 800.0), (3840.0, 2160.0)] {
            let window = Vec2::from(window);
            let room = LeastRoom::default();
            let scale = scale_of(window, 2.5, room);
            assert!((window / scale).cmpge(room.0).all(), "{window} {scale}");
            let natural = scale_of(window, 1.0, room);
            assert!(scale > 1.5 * natural, "{window} {scale}");
            let wide = LeastRoom(Vec2::new(960.0, 560.0));
            let scale = scale_of(window, 2.5, wide);
            assert!((window / scale).cmpge(wide.0).all(), "{window} {scale}");
            assert!(scale > 1.1 * natural, "{window} {scale}");
        }
    }
}
