//! Which cues the player hears: of orders, battles, the Throne, the goal, and messages.

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::AppliedLog;
use bevy_raft::prelude::*;
use raftian_realm::crowns::{BattleReport, Crowns, PactChange, Place, Report};

use super::CrownsSystems;
use super::orders::{Give, Notice, PendingOrders};
use super::perspective::Perspective;
use crate::audio::{ArmySize, Cue, Play};
use crate::screens::Screen;
use crate::table::projection::March;
use crate::table::{LastVerdict, ReplicatedTable, Reported, TableCommand};

pub(super) fn plugin(app: &mut App) {
    app.add_observer(given)
        .add_observer(committed)
        .add_observer(reported)
        .add_systems(
            Update,
            (
                refused.run_if(resource_changed::<Notice>),
                warn_of_attacks,
                follow_milestones,
            )
                .in_set(CrownsSystems::Draw),
        );
}

fn given(_: On<Give>, mut commands: Commands) {
    commands.trigger(Play(Cue::Given));
}

fn committed(
    committed: On<Committed<TableCommand>>,
    verdict: Res<LastVerdict>,
    pending: Res<PendingOrders>,
    mut commands: Commands,
) {
    let is_own = pending.is_own(committed.proposal);
    // A refusal is a notice.
    if is_own && verdict.0 == Some((committed.entry.index, Ok(()))) {
        commands.trigger(Play(Cue::Committed));
    }
}

fn refused(notice: Res<Notice>, time: Res<Time<Real>>, mut commands: Commands) {
    if notice.at(time.elapsed()).is_some() {
        commands.trigger(Play(Cue::Refused));
    }
}

fn reported(
    reported: On<Reported>,
    screen: Res<State<Screen>>,
    perspective: Res<Perspective>,
    mut commands: Commands,
) {
    if reported.replayed || *screen.get() != Screen::Match {
        return;
    }
    if let Some(cue) = cue_of(&reported.report, perspective.own) {
        commands.trigger(Play(cue));
    }
}

/// The cue of a report for a seat, or for a spectator: `None` if it concerns others only.
fn cue_of(report: &Report, own: Option<u8>) -> Option<Cue> {
    let is_own = |seat: u8| own == Some(seat);
    match report {
        Report::Battle(battle) => cue_of_battle(battle, own?),
        Report::Taken {
            place: Place::Throne,
            ..
        } => Some(Cue::ThroneTaken),
        Report::Taken { seat, .. } if is_own(*seat) => Some(Cue::OasisTaken),
        Report::Fell { .. } => Some(Cue::CityFell),
        Report::Refused { seat, .. } if is_own(*seat) => Some(Cue::Refused),
        Report::Pact {
            with,
            change: PactChange::Offered | PactChange::Agreed | PactChange::Ends(_),
            ..
        } if is_own(*with) => Some(Cue::Message),
        Report::Gift { to, .. } if is_own(*to) => Some(Cue::Message),
        Report::Said { seat, .. } | Report::Pinged { seat, .. } if !is_own(*seat) => {
            Some(Cue::Message)
        }
        Report::Ended(end) if own.is_some() && end.winner == own => Some(Cue::MatchWon),
        Report::Ended(_) => Some(Cue::MatchOver),
        _ => None,
    }
}

/// The cue of a battle for a seat: `None` if others fought.
fn cue_of_battle(battle: &BattleReport, own: u8) -> Option<Cue> {
    let is_attacker = battle.attacker == own;
    let is_defender = battle.defender == Some(own);
    match (is_attacker, is_defender, battle.result.is_won) {
        (false, false, _) => None,
        (false, true, true) if battle.hit > 0 => Some(Cue::KeepHit),
        (true, _, true) | (false, true, false) => Some(Cue::BattleWon),
        (true, _, false) | (false, true, true) => Some(Cue::BattleLost),
    }
}

/// Sounds the horn when an army sets out against the player.
fn warn_of_attacks(
    marches: Query<&March, Added<March>>,
    perspective: Res<Perspective>,
    log: Res<AppliedLog>,
    mut commands: Commands,
) {
    let (Some(own), Some(game)) = (perspective.own, &perspective.game) else {
        return;
    };
    if log.is_past() {
        return;
    }
    for March { march, .. } in &marches {
        let holder = match march.place {
            Place::City(seat) => Some(seat),
            place @ (Place::Oasis(_) | Place::Throne) => {
                game.holding(place).and_then(|holding| holding.holder)
            }
        };
        // There are no marches between seats at peace.
        if holder == Some(own) && march.seat != own && !march.returns {
            let size = ArmySize::of(march.army.total());
            commands.trigger(Play(Cue::Attack(size)));
        }
    }
}

/// Points of a match that are passed once, as far as they have been.
#[derive(PartialEq, Eq, Debug, Default)]
struct Milestones {
    /// Seed of the match.
    seed: Option<u64>,
    is_throne_open: bool,
    /// Seats with 80 % of the goal.
    near: Vec<u8>,
}

impl Milestones {
    fn of(seed: Option<u64>, game: &Crowns) -> Self {
        let seats = game.seats().iter().zip(0_u8..);
        let near = seats.filter(|(_, seat)| is_near(game.crowns(*seat), game.goal()));
        Milestones {
            seed,
            is_throne_open: game.elapsed() >= 1_000 * game.rules().throne.opens,
            near: near.map(|(_, seat)| seat).collect(),
        }
    }

    /// The cues of those that were passed since `before`; none for those of another match.
    fn since(&self, before: &Milestones) -> [Option<Cue>; 2] {
        if self.seed != before.seed {
            return [None, None];
        }
        let opens = self.is_throne_open && !before.is_throne_open;
        let is_nearer = self.near.iter().any(|seat| !before.near.contains(seat));
        [
            opens.then_some(Cue::ThroneOpened),
            is_nearer.then_some(Cue::GoalNear),
        ]
    }
}

/// Whether crowns are at least 80 % of the goal.
fn is_near(crowns: u64, goal: u64) -> bool {
    5 * crowns >= 4 * goal
}

fn follow_milestones(
    table: Res<ReplicatedTable>,
    log: Res<AppliedLog>,
    perspective: Res<Perspective>,
    mut milestones: Local<Milestones>,
    mut commands: Commands,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    let now = Milestones::of(table.0.seed(), game);
    if now == *milestones {
        return;
    }
    // A member that catches up passes them long after the others.
    if !log.is_past() {
        let passed = now.since(&milestones);
        passed
            .into_iter()
            .flatten()
            .for_each(|cue| commands.trigger(Play(cue)));
    }
    *milestones = now;
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{
        Army, Attack, BattleResult, Building, End, EndReason, Order, Phrase, Refusal, Tile,
        UnitKind, Words,
    };

    use super::*;

    const OWN: u8 = 1;

    fn battle(attacker: u8, defender: Option<u8>, is_won: bool, hit: u32) -> Report {
        let army = Army::new([3, 0, 0, 0]);
        Report::Battle(BattleReport {
            place: defender.map_or(Place::Oasis(0), Place::City),
            attacker,
            defender,
            attack: Attack::Assault,
            attackers: army,
            defenders: army,
            result: BattleResult {
                is_won,
                attack: 2,
                defence: 1,
                attacker_lost: Army::default(),
                defender_lost: Army::default(),
            },
            loot: [0; 3],
            hit,
        })
    }

    fn end(winner: Option<u8>) -> Report {
        Report::Ended(End {
            winner,
            reason: EndReason::Crowns,
            at: 1,
        })
    }

    fn pact(seat: u8, with: u8, change: PactChange) -> Report {
        Report::Pact { seat, with, change }
    }

    #[test]
    fn battles_sound_for_those_who_fight_them() {
        let cases = [
            (battle(OWN, Some(2), true, 9), Some(Cue::BattleWon)),
            (battle(OWN, None, true, 0), Some(Cue::BattleWon)),
            (battle(OWN, Some(2), false, 0), Some(Cue::BattleLost)),
            (battle(2, Some(OWN), false, 0), Some(Cue::BattleWon)),
            (battle(2, Some(OWN), true, 0), Some(Cue::BattleLost)),
            (battle(2, Some(OWN), true, 5), Some(Cue::KeepHit)),
            (battle(2, Some(3), true, 5), None),
            (battle(2, None, false, 0), None),
        ];
        for (report, cue) in cases {
            assert_eq!(cue_of(&report, Some(OWN)), cue, "{report:?}");
            assert_eq!(cue_of(&report, None), None, "{report:?} for a spectator");
        }
    }

    #[test]
    fn reports_about_all_sound_for_all() {
        let [throne, oasis] = [Place::Throne, Place::Oasis(3)];
        let words = Words::Phrase(Phrase::Hello);
        let tile = Tile { x: 0, y: 0 };
        let cases = [
            (
                Report::Taken {
                    seat: 2,
                    place: throne,
                },
                Some(Cue::ThroneTaken),
            ),
            (
                Report::Taken {
                    seat: OWN,
                    place: throne,
                },
                Some(Cue::ThroneTaken),
            ),
            (
                Report::Taken {
                    seat: OWN,
                    place: oasis,
                },
                Some(Cue::OasisTaken),
            ),
            (
                Report::Fell {
                    seat: 2,
                    by: Some(3),
                },
                Some(Cue::CityFell),
            ),
            (
                Report::Said {
                    seat: 2,
                    words: words.clone(),
                },
                Some(Cue::Message),
            ),
            (Report::Pinged { seat: 2, tile }, Some(Cue::Message)),
            (end(Some(OWN)), Some(Cue::MatchWon)),
            (end(Some(2)), Some(Cue::MatchOver)),
            (end(None), Some(Cue::MatchOver)),
            (Report::Said { seat: OWN, words }, None),
            (Report::Pinged { seat: OWN, tile }, None),
        ];
        for (report, cue) in cases {
            assert_eq!(cue_of(&report, Some(OWN)), cue, "{report:?}");
        }
        assert_eq!(cue_of(&end(None), None), Some(Cue::MatchOver));
    }

    #[test]
    fn private_matters_sound_for_their_seat_only() {
        let refused = |seat| Report::Refused {
            seat,
            order: Order::CancelBuild,
            refusal: Refusal::NoSeat,
        };
        let gift = |to| Report::Gift {
            from: 3,
            to,
            goods: [1, 0, 0],
        };
        let built = |seat| Report::Built {
            seat,
            building: Building::Wall,
            level: 1,
        };
        let starved = |seat| Report::Starved {
            seat,
            kind: UnitKind::Axe,
        };
        let taken = |seat| Report::Taken {
            seat,
            place: Place::Oasis(0),
        };
        let cases = [
            (refused(OWN), Some(Cue::Refused)),
            (refused(2), None),
            (gift(OWN), Some(Cue::Message)),
            (gift(2), None),
            (pact(2, OWN, PactChange::Offered), Some(Cue::Message)),
            (pact(2, OWN, PactChange::Agreed), Some(Cue::Message)),
            (pact(2, OWN, PactChange::Ends(9)), Some(Cue::Message)),
            (pact(2, OWN, PactChange::Declined), None),
            (pact(OWN, 2, PactChange::Offered), None),
            (pact(2, 3, PactChange::Offered), None),
            (taken(2), None),
            (built(OWN), None),
            (starved(OWN), None),
        ];
        for (report, cue) in cases {
            assert_eq!(cue_of(&report, Some(OWN)), cue, "{report:?}");
        }
    }

    #[test]
    fn milestones_sound_once_and_in_their_match_only() {
        let milestones = |seed, is_throne_open, near: &[u8]| Milestones {
            seed: Some(seed),
            is_throne_open,
            near: near.to_vec(),
        };
        let begin = milestones(1, false, &[]);
        let open = milestones(1, true, &[]);
        let near = milestones(1, true, &[2]);
        assert_eq!(open.since(&begin), [Some(Cue::ThroneOpened), None]);
        assert_eq!(near.since(&open), [None, Some(Cue::GoalNear)]);
        assert_eq!(near.since(&near), [None, None]);
        let two = milestones(1, true, &[0, 2]);
        assert_eq!(two.since(&near), [None, Some(Cue::GoalNear)]);
        assert_eq!(near.since(&Milestones::default()), [None, None]);
        assert_eq!(milestones(2, true, &[0]).since(&begin), [None, None]);
    }

    #[test]
    fn goal_is_near_from_80_percent_on() {
        assert!(!is_near(255, 320));
        assert!(is_near(256, 320));
        assert!(is_near(400, 320));
    }
}
