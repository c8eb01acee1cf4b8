//! Panels of the debug overlay cover the controls below them.

use bevy::picking::PickingSystems;
use bevy::picking::backend::{HitData, PointerHits};
use bevy::picking::pointer::{PointerId, PointerLocation};
use bevy::prelude::*;
use bevy_egui::{EguiContext, PrimaryEguiContext};

use crate::view::input::is_covered;

/// Order of the overlay among all that can be pressed: nearest.
const NEAREST: f32 = 1e6;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, cover.in_set(PickingSystems::Backend));
}

fn cover(
    pointers: Query<(&PointerId, &PointerLocation)>,
    mut panels: Query<(Entity, &mut EguiContext), With<PrimaryEguiContext>>,
    mut hits: MessageWriter<PointerHits>,
) {
    for (pointer, location) in &pointers {
        let Some(location) = &location.location else {
            continue;
        };
        for (overlay, mut context) in &mut panels {
            if is_covered(context.get_mut(), location.position) {
                let hit = (overlay, HitData::new(overlay, 0.0, None, None));
                hits.write(PointerHits::new(*pointer, vec![hit], NEAREST));
            }
        }
    }
}
