//! The cues: short sounds, each with one meaning.
//!
//! All are tuned to the mode of the [music](super::music), D dorian, so that none of them is out of
//! tune with it.

use std::time::Duration;

use super::sound::Sound;
use super::synth::{Tone, Track, bar, bell, drum, pitch, rumble, string};

/// A short sound with a meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Cue {
    /// An order of the player is on its way.
    Given,
    /// An order of the player is committed.
    Committed,
    /// An order of the player was refused.
    Refused,
    /// An army marches against the player.
    Attack(ArmySize),
    /// The player won a battle.
    BattleWon,
    /// The player lost a battle.
    BattleLost,
    /// The player's keep was hit.
    KeepHit,
    /// The player took an oasis.
    OasisTaken,
    /// The Throne can be taken from now on.
    ThroneOpened,
    /// A seat took the Throne.
    ThroneTaken,
    /// A city fell.
    CityFell,
    /// A seat has 80 % of the crowns that win.
    GoalNear,
    /// There is no leader.
    QuorumLost,
    /// There is a leader again.
    QuorumBack,
    /// A message, an offer or a gift of another player.
    Message,
    /// The player won the match.
    MatchWon,
    /// The match ended otherwise.
    MatchOver,
}

/// Size of an army in classes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum ArmySize {
    /// Fewer than 8 units.
    Small,
    /// Fewer than 24 units.
    Medium,
    /// More.
    Large,
}

impl ArmySize {
    /// The class of a number of units.
    pub(crate) fn of(units: u64) -> Self {
        match units {
            0..8 => ArmySize::Small,
            8..24 => ArmySize::Medium,
            24.. => ArmySize::Large,
        }
    }
}

impl Cue {
    /// All cues.
    pub(super) const ALL: [Cue; 19] = [
        Cue::Given,
        Cue::Committed,
        Cue::Refused,
        Cue::Attack(ArmySize::Small),
        Cue::Attack(ArmySize::Medium),
        Cue::Attack(ArmySize::Large),
        Cue::BattleWon,
        Cue::BattleLost,
        Cue::KeepHit,
        Cue::OasisTaken,
        Cue::ThroneOpened,
        Cue::ThroneTaken,
        Cue::CityFell,
        Cue::GoalNear,
        Cue::QuorumLost,
        Cue::QuorumBack,
        Cue::Message,
        Cue::MatchWon,
        Cue::MatchOver,
    ];

    /// Name of its file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Cue::Given => "given",
            Cue::Committed => "committed",
            Cue::Refused => "refused",
            Cue::Attack(ArmySize::Small) => "attack-small",
            Cue::Attack(ArmySize::Medium) => "attack-medium",
            Cue::Attack(ArmySize::Large) => "attack-large",
            Cue::BattleWon => "battle-won",
            Cue::BattleLost => "battle-lost",
            Cue::KeepHit => "keep-hit",
            Cue::OasisTaken => "oasis-taken",
            Cue::ThroneOpened => "throne-opened",
            Cue::ThroneTaken => "throne-taken",
            Cue::CityFell => "city-fell",
            Cue::GoalNear => "goal-near",
            Cue::QuorumLost => "quorum-lost",
            Cue::QuorumBack => "quorum-back",
            Cue::Message => "message",
            Cue::MatchWon => "match-won",
            Cue::MatchOver => "match-over",
        }
    }

    /// The sound and its meaning in words, for players who do not hear it.
    pub(crate) fn caption(self) -> String {
        match self {
            Cue::Given => text!("[click: order given]"),
            Cue::Committed => text!("[thud: order committed]"),
            Cue::Refused => text!("[knock: order refused]"),
            Cue::Attack(ArmySize::Small) => text!("[high horn: a small attack is coming]"),
            Cue::Attack(ArmySize::Medium) => text!("[horn: an attack is coming]"),
            Cue::Attack(ArmySize::Large) => text!("[deep horn: a large attack is coming]"),
            Cue::BattleWon => text!("[rising strings: battle won]"),
            Cue::BattleLost => text!("[falling strings: battle lost]"),
            Cue::KeepHit => text!("[crash: your keep is hit]"),
            Cue::OasisTaken => text!("[two bells: oasis taken]"),
            Cue::ThroneOpened => text!("[chord and bell: the Throne opens]"),
            Cue::ThroneTaken => text!("[bells: the Throne is taken]"),
            Cue::CityFell => text!("[three drums: a city has fallen]"),
            Cue::GoalNear => text!("[tolling bell: a player is close to the goal]"),
            Cue::QuorumLost => text!("[low falling tone: no leader]"),
            Cue::QuorumBack => text!("[rising tone: there is a leader again]"),
            Cue::Message => text!("[two notes: message]"),
            Cue::MatchWon => text!("[fanfare: you have won]"),
            Cue::MatchOver => text!("[slow chord: the match is over]"),
        }
    }

    /// Its length.
    pub(super) fn length(self) -> Duration {
        Duration::from_millis(match self {
            Cue::Given => 100,
            Cue::Committed => 300,
            Cue::Refused => 260,
            Cue::Attack(ArmySize::Small) => 1_300,
            Cue::Attack(ArmySize::Medium) => 1_600,
            Cue::Attack(ArmySize::Large) => 2_000,
            Cue::BattleWon | Cue::BattleLost => 1_500,
            Cue::KeepHit => 1_000,
            Cue::OasisTaken => 1_100,
            Cue::ThroneOpened => 2_600,
            Cue::ThroneTaken => 2_000,
            Cue::CityFell | Cue::GoalNear => 2_200,
            Cue::QuorumLost | Cue::QuorumBack => 1_400,
            Cue::Message => 600,
            Cue::MatchWon => 3_400,
            Cue::MatchOver => 3_200,
        })
    }

    /// Its highest peak in dBFS: the rarer a cue, the louder.
    fn peak(self) -> f32 {
        match self {
            Cue::Given => -13.0,
            Cue::Committed | Cue::Message | Cue::QuorumBack => -10.0,
            Cue::Refused | Cue::QuorumLost => -9.0,
            Cue::BattleWon | Cue::BattleLost | Cue::OasisTaken | Cue::GoalNear => -8.0,
            Cue::Attack(_) | Cue::ThroneOpened | Cue::ThroneTaken | Cue::MatchOver => -7.0,
            Cue::KeepHit | Cue::CityFell | Cue::MatchWon => -6.0,
        }
    }

    /// Renders it.
    pub(super) fn render(self) -> Sound {
        let mut track = Track::new(self.length().as_secs_f32());
        let track_mut = &mut track;
        let room = match self {
            Cue::Given => given(track_mut),
            Cue::Committed => committed(track_mut),
            Cue::Refused => refused(track_mut),
            Cue::Attack(size) => attack(track_mut, size),
            Cue::BattleWon => battle_won(track_mut),
            Cue::BattleLost => battle_lost(track_mut),
            Cue::KeepHit => keep_hit(track_mut),
            Cue::OasisTaken => oasis_taken(track_mut),
            Cue::ThroneOpened => throne_opened(track_mut),
            Cue::ThroneTaken => throne_taken(track_mut),
            Cue::CityFell => city_fell(track_mut),
            Cue::GoalNear => goal_near(track_mut),
            Cue::QuorumLost => glide(track_mut, [50.0, 45.0, 43.0]),
            Cue::QuorumBack => glide(track_mut, [50.0, 57.0, 62.0]),
            Cue::Message => message(track_mut),
            Cue::MatchWon => match_won(track_mut),
            Cue::MatchOver => match_over(track_mut),
        };
        Sound::cue(track.in_room(room, 0), self.peak())
    }
}

// Keys of D dorian as MIDI numbers them.
const A2: f32 = 45.0;
const D3: f32 = 50.0;
const F3: f32 = 53.0;
const A3: f32 = 57.0;
const C4: f32 = 60.0;
const D4: f32 = 62.0;
const E4: f32 = 64.0;
const F4: f32 = 65.0;
const F_SHARP_4: f32 = 66.0;
const G4: f32 = 67.0;
const A4: f32 = 69.0;
const D5: f32 = 74.0;
const E5: f32 = 76.0;
const A5: f32 = 81.0;

/// A horn.
fn horn(key: f32, held: f32, release: f32) -> Tone {
    Tone {
        frequency: pitch(key),
        attack: 0.09,
        held,
        release,
        brightness: 0.66,
        detune: 0.004,
        vibrato: 0.002_5,
    }
}

/// A soft chord tone.
fn soft(key: f32, attack: f32, held: f32, release: f32) -> Tone {
    Tone {
        frequency: pitch(key),
        attack,
        held,
        release,
        brightness: 0.34,
        detune: 0.005,
        vibrato: 0.001,
    }
}

// Each of these adds the voices of a cue, and returns its share of reverberation.

fn given(track: &mut Track) -> f32 {
    track.add(0.0, 1.0, bar(pitch(A5), 0.06));
    track.add(0.0, 0.3, rumble(3_000.0, 0.02));
    0.1
}

fn committed(track: &mut Track) -> f32 {
    track.add(0.0, 1.0, drum(240.0, pitch(A2), 0.24));
    track.add(0.0, 0.5, bar(pitch(D4), 0.12));
    track.add(0.0, 1.6, rumble(600.0, 0.06));
    0.12
}

fn refused(track: &mut Track) -> f32 {
    for (at, key) in [(0.0, F4), (0.09, C4)] {
        track.add(at, 1.0, bar(pitch(key), 0.14));
        track.add(at, 1.4, rumble(700.0, 0.03));
    }
    0.1
}

fn attack(track: &mut Track, size: ArmySize) -> f32 {
    // The larger the army, the deeper and longer its horn.
    let (key, held) = match size {
        ArmySize::Small => (D4, 0.5),
        ArmySize::Medium => (A3, 0.8),
        ArmySize::Large => (D3, 1.2),
    };
    track.add(0.0, 0.6, horn(key - 5.0, 0.15, 0.06).voice());
    track.add(0.18, 1.0, horn(key, held, 0.35).voice());
    if size == ArmySize::Large {
        track.add(0.18, 0.5, horn(key + 7.0, held, 0.35).voice());
        track.add(0.18, 0.5, drum(110.0, 55.0, 0.6));
    }
    0.5
}

fn battle_won(track: &mut Track) -> f32 {
    for (at, key) in [(0.0, D4), (0.1, F4), (0.2, A4), (0.3, D5)] {
        track.add(at, 1.0, string(pitch(key), 1.2));
    }
    for key in [D4, A4] {
        track.add(0.28, 0.3, horn(key, 0.4, 0.5).voice());
    }
    track.add(0.3, 0.5, drum(120.0, 65.0, 0.4));
    0.45
}

fn battle_lost(track: &mut Track) -> f32 {
    for (at, key) in [(0.0, A3), (0.16, F3), (0.32, D3)] {
        track.add(at, 1.0, string(pitch(key), 1.1));
    }
    track.add(0.3, 0.45, soft(D3, 0.1, 0.4, 0.6).voice());
    track.add(0.3, 0.35, soft(F3, 0.1, 0.4, 0.6).voice());
    track.add(0.32, 0.8, drum(100.0, 50.0, 0.6));
    0.45
}

fn keep_hit(track: &mut Track) -> f32 {
    track.add(0.0, 1.0, drum(190.0, 52.0, 0.6));
    track.add(0.0, 3.0, rumble(900.0, 0.35));
    // Stones that fall.
    for (at, below, level) in [
        (0.12, 1_400.0, 1.0),
        (0.21, 1_000.0, 0.8),
        (0.34, 1_700.0, 0.5),
    ] {
        track.add(at, level, rumble(below, 0.12));
    }
    0.4
}

fn oasis_taken(track: &mut Track) -> f32 {
    track.add(0.0, 0.8, bell(pitch(A4), 0.9));
    track.add(0.13, 1.0, bell(pitch(E5), 0.9));
    0.4
}

fn throne_opened(track: &mut Track) -> f32 {
    for (at, key) in [(0.0, D3), (0.1, A3), (0.2, D4), (0.3, E4), (0.4, A4)] {
        track.add(at, 0.5, soft(key, 0.7, 1.1, 0.9).voice());
    }
    track.add(0.7, 0.9, bell(pitch(D5), 1.8));
    track.add(0.0, 0.6, drum(110.0, 55.0, 0.7));
    0.6
}

fn throne_taken(track: &mut Track) -> f32 {
    for (at, key) in [(0.0, D5), (0.14, A4), (0.28, D5), (0.42, A5)] {
        track.add(at, 0.7, bell(pitch(key), 1.4));
    }
    track.add(0.0, 0.9, drum(120.0, 58.0, 0.6));
    track.add(0.4, 0.35, horn(D4, 0.5, 0.6).voice());
    0.5
}

fn city_fell(track: &mut Track) -> f32 {
    for (at, level) in [(0.0, 1.0), (0.32, 0.85), (0.64, 0.7)] {
        track.add(at, level, drum(150.0, 58.0, 0.7));
        track.add(at, 2.0 * level, rumble(500.0, 0.25));
    }
    for (key, level) in [(D3, 0.4), (F3, 0.3)] {
        track.add(0.64, level, horn(key, 0.6, 0.7).voice());
    }
    0.55
}

fn goal_near(track: &mut Track) -> f32 {
    for at in [0.0, 0.55] {
        track.add(at, 1.0, bell(pitch(A4), 1.4));
        track.add(at, 0.5, bell(pitch(E4), 1.4));
    }
    0.45
}

/// Three soft notes that become one movement.
fn glide(track: &mut Track, keys: [f32; 3]) -> f32 {
    for (at, key) in [0.0, 0.22, 0.44].into_iter().zip(keys) {
        track.add(at, 1.0, soft(key, 0.12, 0.25, 0.4).voice());
        track.add(at, 0.3, soft(key + 12.0, 0.12, 0.2, 0.3).voice());
    }
    0.4
}

fn message(track: &mut Track) -> f32 {
    track.add(0.0, 0.8, bar(pitch(G4 + 12.0), 0.35));
    track.add(0.09, 1.0, bar(pitch(D5 + 12.0), 0.45));
    0.25
}

fn match_won(track: &mut Track) -> f32 {
    for (at, key, held) in [
        (0.0, D4, 0.12),
        (0.2, D4, 0.06),
        (0.34, A4, 0.2),
        (0.68, D5, 1.2),
    ] {
        track.add(at, 0.7, horn(key, held, 0.25).voice());
    }
    // The fanfare ends in major.
    for key in [D3, A3, D4, F_SHARP_4, A4] {
        track.add(0.68, 0.32, horn(key, 1.2, 0.9).voice());
    }
    for (at, key) in [(0.68, D5), (0.9, A5)] {
        track.add(at, 0.4, bell(pitch(key), 1.8));
    }
    track.add(0.68, 0.9, drum(120.0, 58.0, 0.8));
    0.55
}

fn match_over(track: &mut Track) -> f32 {
    for (at, key) in [(0.0, A4), (0.35, F4), (0.7, E4), (1.05, D4)] {
        track.add(at, 0.9, string(pitch(key), 1.6));
    }
    for key in [D3, A3, D4] {
        track.add(0.9, 0.35, soft(key, 0.4, 0.9, 1.2).voice());
    }
    track.add(1.05, 0.5, string(pitch(A2), 1.8));
    0.6
}
