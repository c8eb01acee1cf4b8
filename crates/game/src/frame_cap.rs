//! Limits frames per second.

use std::time::{Duration, Instant};

use bevy::prelude::*;

/// Frame time and the time at which the current frame may end.
#[derive(Resource)]
struct FrameCap {
    frame: Duration,
    end: Instant,
}

/// Delays the end of frames to at most `frames_per_second`. Time lost by a slow frame is not made
/// up for.
pub(crate) fn plugin(app: &mut App, frames_per_second: u32) {
    let frame = Duration::from_secs(1) / frames_per_second.max(1);
    app.insert_resource(FrameCap {
        frame,
        end: Instant::now() + frame,
    })
    .add_systems(Last, keep);
}

fn keep(mut cap: ResMut<FrameCap>) {
    std::thread::sleep(cap.end.saturating_duration_since(Instant::now()));
    let (frame, now) = (cap.frame, Instant::now());
    // Sleeping too long costs no frame: the next one is shorter by that much.
    cap.end = (cap.end + frame).max(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_frame_delays_later_frames_instead_of_being_made_up() {
        let mut app = App::new();
        plugin(&mut app, 1_000);
        let began = Instant::now();
        (0..20).for_each(|_| app.update());
        assert!(
            began.elapsed() >= Duration::from_millis(19),
            "{:?}",
            began.elapsed()
        );
        app.world_mut().resource_mut::<FrameCap>().end = Instant::now() - Duration::from_secs(60);
        app.update();
        assert!(
            app.world().resource::<FrameCap>().end >= began + Duration::from_millis(19),
            "a late frame is not made up for"
        );
    }
}
