//! Limits frames per second.

use std::time::{Duration, Instant};

use bevy::prelude::*;

/// Limit on frames per second, and the time at which the current frame may end.
#[derive(Resource, Debug)]
pub struct FrameCap {
    /// Least time of a frame; zero without a limit.
    frame: Duration,
    end: Instant,
}

impl Default for FrameCap {
    fn default() -> Self {
        FrameCap {
            frame: Duration::ZERO,
            end: Instant::now(),
        }
    }
}

/// Delays the end of frames to at most `frames_per_second`; 0 is no limit. Time lost by a slow
/// frame is not made up for.
pub fn plugin(app: &mut App, frames_per_second: u32) {
    let mut cap = FrameCap::default();
    cap.limit(frames_per_second);
    app.insert_resource(cap).add_systems(Last, keep);
}

fn keep(mut cap: ResMut<FrameCap>) {
    if cap.frame > Duration::ZERO {
        std::thread::sleep(cap.end.saturating_duration_since(Instant::now()));
        cap.advance(Instant::now());
    }
}

impl FrameCap {
    /// Sets the most frames per second; 0 is no limit.
    pub fn limit(&mut self, frames_per_second: u32) {
        self.frame = match frames_per_second {
            0 => Duration::ZERO,
            count => Duration::from_secs(1) / count,
        };
        self.end = Instant::now() + self.frame;
    }

    /// The most frames per second; `None` without a limit.
    pub fn per_second(&self) -> Option<u32> {
        let frame = self.frame.as_secs_f64();
        (frame > 0.0).then(|| (1.0 / frame).round() as u32)
    }

    /// Begins the next frame at `now`.
    fn advance(&mut self, now: Instant) {
        // Sleeping too long costs no frame: the next one is shorter by that much.
        self.end = (self.end + self.frame).max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_frame_delays_later_frames_instead_of_being_made_up() {
        let frame = Duration::from_millis(10);
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut cap = FrameCap { frame, end: at(10) };
        cap.advance(at(12));
        assert_eq!(cap.end, at(20), "the next frame is shorter by the delay");
        cap.advance(at(75));
        assert_eq!(cap.end, at(75), "a late frame is not made up for");
        cap.advance(at(75));
        assert_eq!(cap.end, at(85));
    }

    #[test]
    fn frames_are_no_shorter_than_the_cap() {
        let mut app = App::new();
        plugin(&mut app, 1_000);
        let began = Instant::now();
        (0..20).for_each(|_| app.update());
        let took = began.elapsed();
        // The first frame began before the measurement.
        assert!(took >= Duration::from_millis(19), "{took:?}");
    }
}
