//! No more frames a second than asked for.

use std::time::{Duration, Instant};

use bevy::prelude::*;

/// When the current frame may end.
#[derive(Resource)]
struct FrameCap {
    frame: Duration,
    end: Instant,
}

/// Lets frames take at least their share of a second, at their ends. One that took longer is not
/// made up for.
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
    // Sleeping too long costs no frame: the next one is the shorter for it.
    cap.end = (cap.end + frame).max(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_one_after_the_other_and_a_late_one_moves_those_after_it() {
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
            "nothing is made up for"
        );
    }
}
