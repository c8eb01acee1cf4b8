//! Scheduled events: what happens without an order.

use serde::{Deserialize, Serialize};

use super::{Crowns, End, EndReason, SECOND, Site, Waiting};
use crate::crowns::army::Army;
use crate::crowns::order::Place;
use crate::crowns::report::Report;
use crate::crowns::rules::{Resource, UnitKind};

/// An event. A number that is no longer that of its subject makes it void.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// A building is done.
    Built { seat: u8, number: u64 },
    /// A unit is trained.
    Trained { seat: u8 },
    /// An army starves.
    Starved { seat: u8 },
    /// A hit point of a keep is repaired.
    Repaired { seat: u8, number: u64 },
    /// A march arrives.
    Arrived { march: u64 },
    /// A seat has enough crowns.
    GoalReached { number: u64 },
    /// A pact ends after its notice.
    PactEnded { one: u8, other: u8 },
    /// A caravan arrives.
    CaravanArrived { number: u64 },
    /// The fair window of an order ends.
    WindowEnded { number: u64 },
    /// The time is over.
    TimeOver,
}

impl Event {
    /// The seats that it names.
    pub(super) fn seats(&self) -> impl Iterator<Item = u8> + use<> {
        let seats = match self {
            Event::Built { seat, .. }
            | Event::Trained { seat }
            | Event::Starved { seat }
            | Event::Repaired { seat, .. } => [Some(*seat), None],
            Event::PactEnded { one, other } => [Some(*one), Some(*other)],
            Event::Arrived { .. }
            | Event::GoalReached { .. }
            | Event::CaravanArrived { .. }
            | Event::WindowEnded { .. }
            | Event::TimeOver => [None; 2],
        };
        seats.into_iter().flatten()
    }
}

impl Crowns {
    /// Performs everything that is due up to the stamp `to`. No-op for an earlier stamp, and after
    /// the end, at which the time of the match stands still.
    pub fn advance(&mut self, to: u64) {
        while self.end.is_none()
            && let Some(entry) = self.schedule.first_entry()
            && entry.key().0 <= to
        {
            let ((due, ..), event) = entry.remove_entry();
            self.now = self.now.max(due);
            self.perform(event);
        }
        if self.end.is_none() {
            self.now = self.now.max(to);
        }
    }

    fn perform(&mut self, event: Event) {
        match event {
            Event::Built { seat, number } => self.built(seat, number),
            Event::Trained { seat } => self.trained(seat),
            Event::Starved { seat } => self.starved(seat),
            Event::Repaired { seat, number } => self.repaired(seat, number),
            Event::Arrived { march } => self.arrived(march),
            Event::GoalReached { number } if number == self.throne.goal => {
                self.settle_crowns();
                self.end_by_crowns();
            }
            Event::GoalReached { .. } => {}
            Event::PactEnded { one, other } => self.pact_ended(one, other),
            Event::CaravanArrived { number } => self.caravan_arrived(number),
            Event::WindowEnded { number } => self.window_ended(number),
            Event::TimeOver => self.time_over(),
        }
    }

    /// Begins to build what was paid.
    pub(super) fn begin_site(&mut self, seat: u8, paid: Waiting, level: u8) {
        let number = self.new_number();
        let seconds = self.rules.building.seconds_per_level * u64::from(level);
        let done = self.now + seconds * SECOND;
        self.seat_mut(seat).site = Some(Site {
            building: paid.building,
            done,
            cost: paid.cost,
            number,
        });
        self.plan(done, Event::Built { seat, number });
    }

    fn built(&mut self, seat: u8, number: u64) {
        let own = &self.seats[usize::from(seat)];
        let Some(site) = own.site.filter(|site| site.number == number) else {
            return;
        };
        self.settle(seat);
        let building = site.building;
        let own = self.seat_mut(seat);
        let level = own.levels.of_mut(building);
        *level += 1;
        let level = *level;
        own.site = None;
        let next = own.waiting.take();
        self.report(Report::Built {
            seat,
            building,
            level,
        });
        if let Some(next) = next {
            // Its cost was paid when it began to wait. A wall may have been broken since.
            let levels = self.seats[usize::from(seat)].levels.clone();
            if let Some((_, level)) = self.next_level(&levels, next.building, 0) {
                self.begin_site(seat, next, level);
            }
        }
        self.plan_starvation(seat);
    }

    /// Plans the next unit of the first batch.
    pub(super) fn plan_training(&mut self, seat: u8) {
        let own = &self.seats[usize::from(seat)];
        let Some((kind, _)) = own.batches.front().copied() else {
            return;
        };
        let level = usize::from(own.levels.barracks).saturating_sub(1);
        let percent = self.rules.barracks.train_percent.get(level).copied();
        let seconds = self.rules.unit(kind).train;
        let due = self.now + seconds * SECOND * percent.unwrap_or(100) / 100;
        self.plan(due, Event::Trained { seat });
    }

    fn trained(&mut self, seat: u8) {
        self.settle(seat);
        let own = self.seat_mut(seat);
        if let Some((kind, left)) = own.batches.front_mut() {
            let kind = *kind;
            *left -= 1;
            if *left == 0 {
                own.batches.pop_front();
            }
            own.home = own.home.plus(&one(kind));
            self.tally.made += 1;
        }
        self.plan_training(seat);
        self.plan_starvation(seat);
    }

    /// Plans the moment at which the grain is used up, in place of an earlier plan. Called after
    /// the rates of a seat have changed, or its grain.
    pub(super) fn plan_starvation(&mut self, seat: u8) {
        let rate = self.rates(seat)[Resource::Grain as usize];
        let now = self.now;
        let own = self.seat_mut(seat);
        let starved_at = own.starved_at;
        let left = own.stock.lasts(Resource::Grain, rate);
        if let Some(earlier) = own.starving.take() {
            self.schedule.remove(&earlier);
        }
        if let Some(left) = left {
            // A starving army loses one soldier after the other.
            let due = starved_at + self.rules.battle.starvation * SECOND;
            self.seat_mut(seat).starving = self.plan(due.max(now + left), Event::Starved { seat });
        }
    }

    fn starved(&mut self, seat: u8) {
        self.settle(seat);
        if self.seats[usize::from(seat)].stock.of(Resource::Grain) == 0 {
            self.seat_mut(seat).starved_at = self.now;
            let all = self.army_of(seat);
            // The last of several kinds with the same count: the dearest one.
            let most = UnitKind::ALL
                .into_iter()
                .max_by_key(|kind| all.count(*kind));
            if let Some(kind) = most.filter(|kind| all.count(*kind) > 0) {
                self.take_one(seat, kind);
                self.report(Report::Starved { seat, kind });
            }
        }
        self.plan_starvation(seat);
    }

    /// Takes one unit of a seat: from its city, or else from where there are the most.
    fn take_one(&mut self, seat: u8, kind: UnitKind) {
        let unit = one(kind);
        let own = self.seat_mut(seat);
        if let Some(left) = own.home.minus(&unit) {
            own.home = left;
        } else if let Some(place) = self.largest_garrison(seat, kind) {
            let garrison = self
                .holding(place)
                .map_or(Army::NONE, |holding| holding.garrison);
            self.set_holding(place, Some(seat), garrison.minus(&unit).unwrap_or(garrison));
        } else {
            let marches = self
                .marches
                .iter_mut()
                .filter(|(_, march)| march.seat == seat);
            let largest = marches.max_by_key(|(number, march)| (march.army.count(kind), **number));
            let Some((number, march)) = largest else {
                return;
            };
            let number = *number;
            march.army = march.army.minus(&unit).unwrap_or(march.army);
            if march.army.is_empty() {
                let loot = march.loot;
                self.marches.remove(&number);
                self.tally.lose(loot);
            }
        }
        self.tally.lost += 1;
    }

    fn largest_garrison(&self, seat: u8, kind: UnitKind) -> Option<Place> {
        let count = |place| {
            self.holding(place)
                .map_or(0, |holding| holding.garrison.count(kind))
        };
        let held = |place: &Place| self.holding(*place).is_some_and(|h| h.holder == Some(seat));
        self.places()
            .filter(|place| held(place) && count(*place) > 0)
            .max_by_key(|place| (count(*place), *place))
    }

    /// All oases and the Throne.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let oases = u8::try_from(self.oases.len()).unwrap_or(u8::MAX);
        (0..oases).map(Place::Oasis).chain([Place::Throne])
    }

    fn repaired(&mut self, seat: u8, number: u64) {
        if self.seats[usize::from(seat)].repairs != Some(number) {
            return;
        }
        let is_late = self.is_sudden_death();
        let full = self.rules.start.keep;
        self.settle(seat);
        let wood = [self.rules.keep.repair_wood, 0, 0];
        let own = self.seat_mut(seat);
        if is_late {
            own.repairs = None;
            return;
        }
        if own.keep < full && own.stock.pay(wood).is_ok() {
            own.keep += 1;
        }
        self.plan_repair(seat);
    }

    pub(super) fn plan_repair(&mut self, seat: u8) {
        let due = self.now + self.rules.keep.repair * SECOND;
        let number = self.new_number();
        self.seat_mut(seat).repairs = Some(number);
        self.plan(due, Event::Repaired { seat, number });
    }

    /// Gives the holder of the Throne its crowns up to now.
    pub(super) fn settle_crowns(&mut self) {
        let Some(holder) = self.throne.holding.holder else {
            self.throne.settled = self.now;
            return;
        };
        let (crowns, settled) = self.crowns_since_settled();
        self.throne.settled = settled;
        self.seat_mut(holder).crowns += crowns;
    }

    /// Crowns of the holder of the Throne since they were given the last time, and the stamp up to
    /// which they are counted: whole seconds only.
    pub(super) fn crowns_since_settled(&self) -> (u64, u64) {
        let from = self.throne.settled;
        let late = self.stamp_of(self.rules.throne.late_from);
        let seconds = self.now.saturating_sub(from) / SECOND;
        let end = from + seconds * SECOND;
        let late_seconds = end.saturating_sub(late.max(from)) / SECOND;
        let crowns = (seconds - late_seconds) * self.rules.throne.crowns
            + late_seconds * self.rules.throne.late_crowns;
        (crowns, end)
    }

    /// Plans the moment at which the holder of the Throne has enough crowns.
    pub(super) fn plan_goal(&mut self) {
        let number = self.new_number();
        self.throne.goal = number;
        let Some(holder) = self.throne.holding.holder else {
            return;
        };
        let missing = self
            .next_crowns(holder)
            .saturating_sub(self.seats[usize::from(holder)].crowns);
        let late = self.stamp_of(self.rules.throne.late_from);
        let early = late.saturating_sub(self.throne.settled) / SECOND;
        let by_late = early * self.rules.throne.crowns;
        let seconds = if missing <= by_late {
            missing.div_ceil(self.rules.throne.crowns.max(1))
        } else {
            early + (missing - by_late).div_ceil(self.rules.throne.late_crowns.max(1))
        };
        // The event plans itself again if this is too early.
        let due = self.throne.settled + seconds * SECOND;
        self.plan(due.max(self.now), Event::GoalReached { number });
    }

    /// Ends the match if a seat has enough crowns, and the pacts of one that is close.
    pub(super) fn end_by_crowns(&mut self) {
        self.end_pacts();
        let goal = self.goal();
        let best = self.seats.iter().map(|seat| seat.crowns).max().unwrap_or(0);
        if best >= goal {
            self.finish(EndReason::Crowns, |seat| seat.crowns);
        } else {
            self.plan_goal();
        }
    }

    /// Ends the match if one city is left.
    pub(super) fn end_by_keeps(&mut self) {
        let standing: Vec<_> = (0..)
            .zip(&self.seats)
            .filter(|(_, seat)| seat.stands())
            .collect();
        match standing[..] {
            [(winner, _)] => self.finish_with(Some(winner), EndReason::LastKeep),
            [] => self.finish_with(None, EndReason::LastKeep),
            _ => {}
        }
    }

    fn time_over(&mut self) {
        self.settle_crowns();
        self.finish(EndReason::Time, |seat| {
            if seat.stands() {
                seat.crowns + u64::from(seat.keep)
            } else {
                0
            }
        });
    }

    /// Ends the match with the seat that has the most; several are a draw.
    fn finish(&mut self, reason: EndReason, points: impl Fn(&super::Seat) -> u64) {
        let all: Vec<_> = self.seats.iter().map(points).collect();
        let best = all.iter().copied().max().unwrap_or(0);
        let mut winners = (0..).zip(&all).filter(|(_, points)| **points == best);
        let winner = winners.next().map(|(seat, _)| seat);
        let is_draw = winners.next().is_some();
        self.finish_with(winner.filter(|_| !is_draw), reason);
    }

    /// Ends the match without a winner, up to a stamp of its clock.
    pub fn abandon(&mut self, stamp: u64) {
        self.advance(stamp);
        self.finish_with(None, EndReason::Abandoned);
    }

    fn finish_with(&mut self, winner: Option<u8>, reason: EndReason) {
        if self.end.is_some() {
            return;
        }
        self.settle_crowns();
        let end = End {
            winner,
            reason,
            at: self.now,
        };
        self.end = Some(end);
        self.report(Report::Ended(end));
        self.schedule.clear();
        self.waiting.clear();
    }
}

fn one(kind: UnitKind) -> Army {
    let mut counts = [0; 4];
    counts[kind as usize] = 1;
    Army::new(counts)
}
