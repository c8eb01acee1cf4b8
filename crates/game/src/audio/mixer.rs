//! Which cues sound at once, and how loud the music is beside them.

use std::time::Duration;

use super::cues::Cue;

/// Maximum number of cues that play at once; more than that are dropped.
const MAX_VOICES: usize = 8;

/// Time in which the same cue does not sound again: together they would only be louder.
const REPEAT_AFTER: Duration = Duration::from_millis(80);

/// The cues that sound at present, with the time at which each began.
#[derive(Default)]
pub(super) struct Voices(Vec<(Cue, Duration)>);

impl Voices {
    /// Begins a cue. Returns false for one that must not sound, which is left out.
    pub(super) fn begin(&mut self, cue: Cue, now: Duration) -> bool {
        self.0
            .retain(|(cue, since)| now.saturating_sub(*since) < cue.length());
        let repeats = self
            .0
            .iter()
            .any(|(other, since)| *other == cue && now.saturating_sub(*since) < REPEAT_AFTER);
        if repeats || self.0.len() >= MAX_VOICES {
            return false;
        }
        self.0.push((cue, now));
        true
    }
}

/// The music steps back after a battle, so that the player notices it.
#[cfg(any(test, feature = "audio", windows, target_os = "macos"))]
pub(super) struct Ducking {
    gain: f32,
    until: Duration,
}

#[cfg(any(test, feature = "audio", windows, target_os = "macos"))]
impl Ducking {
    /// Gain of the music after a battle.
    const LOW: f32 = 0.4;

    /// Time for which it stays low.
    const HELD: Duration = Duration::from_secs(4);

    /// Change of the gain in a second, downwards and upwards.
    const FALL: f32 = 2.0;
    const RISE: f32 = 0.3;

    /// Lowers the music, if the cue is one of a battle.
    pub(super) fn note(&mut self, cue: Cue, now: Duration) {
        if matches!(cue, Cue::BattleWon | Cue::BattleLost | Cue::KeepHit) {
            self.until = now + Self::HELD;
        }
    }

    /// The gain at `now`, `passed` seconds after the call before.
    pub(super) fn advance(&mut self, now: Duration, passed: f32) -> f32 {
        self.gain = if now < self.until {
            (self.gain - Self::FALL * passed).max(Self::LOW)
        } else {
            (self.gain + Self::RISE * passed).min(1.0)
        };
        self.gain
    }
}

#[cfg(any(test, feature = "audio", windows, target_os = "macos"))]
impl Default for Ducking {
    fn default() -> Self {
        Ducking {
            gain: 1.0,
            until: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn cue_does_not_repeat_at_once() {
        let mut voices = Voices::default();
        assert!(voices.begin(Cue::Given, at(0)));
        assert!(!voices.begin(Cue::Given, at(79)));
        assert!(voices.begin(Cue::Refused, at(79)), "another cue may sound");
        assert!(voices.begin(Cue::Given, at(80)));
        assert!(!voices.begin(Cue::Given, at(120)));
    }

    #[test]
    fn at_most_eight_cues_sound_at_once() {
        let mut voices = Voices::default();
        for number in 0..8 {
            assert!(voices.begin(Cue::MatchWon, at(100 * number)), "{number}");
        }
        assert!(!voices.begin(Cue::MatchWon, at(800)));
        assert!(!voices.begin(Cue::Committed, at(800)), "whichever it is");
        // The first one has ended.
        let length = Cue::MatchWon.length();
        assert!(voices.begin(Cue::Committed, length));
    }

    #[test]
    fn no_cue_ends_before_it_may_repeat() {
        for cue in Cue::ALL {
            assert!(cue.length() >= REPEAT_AFTER, "{cue:?}");
        }
    }

    #[test]
    fn music_steps_back_after_a_battle_and_returns() {
        let mut ducking = Ducking::default();
        let step = 0.1;
        assert_eq!(ducking.advance(at(100), step), 1.0);
        ducking.note(Cue::Committed, at(100));
        assert_eq!(ducking.advance(at(200), step), 1.0, "it was no battle");
        ducking.note(Cue::BattleLost, at(200));
        let gains: Vec<_> = (3..90)
            .map(|number| ducking.advance(at(100 * number), step))
            .collect();
        assert!((gains[0] - 0.8).abs() < 1e-6, "it falls without a jump");
        assert_eq!(gains[5..38], [0.4; 33]);
        assert!(gains[45] > 0.4 && gains[45] < 1.0);
        assert_eq!(gains.last(), Some(&1.0));
    }
}
