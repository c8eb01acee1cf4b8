//! Pacts between two seats, and gifts.
//!
//! Seats with a pact do not march against each other. A pact ends after a notice, when two cities
//! are left, and when one of its seats is close to victory.

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::{Crowns, SECOND};
use crate::crowns::order::{MAX_CARAVANS, PactOrder, Place, Refusal};
use crate::crowns::report::{PactChange, Report};
use crate::crowns::rules::Resources;

/// A pact or an offer of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Pact {
    /// One seat offers it.
    Offered {
        /// That seat.
        by: u8,
    },
    /// It holds.
    Agreed,
    /// It holds up to this stamp.
    Ends(u64),
}

/// Goods under way from one seat to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Caravan {
    /// The giver.
    pub from: u8,
    /// The receiver.
    pub to: u8,
    /// The goods.
    pub goods: Resources,
    /// Stamp of its departure.
    pub leaves: u64,
    /// Stamp of its arrival.
    pub arrives: u64,
    /// Whether it returns to the giver, since the city of the receiver has fallen.
    pub returns: bool,
}

/// Two seats, the smaller number first.
pub(super) type Pair = (u8, u8);

fn pair(one: u8, other: u8) -> Pair {
    (one.min(other), one.max(other))
}

impl Crowns {
    /// The pact between two seats, or the offer of one.
    pub fn pact(&self, one: u8, other: u8) -> Option<Pact> {
        self.pacts.get(&pair(one, other)).copied()
    }

    /// Whether two seats have a pact.
    pub fn are_at_peace(&self, one: u8, other: u8) -> bool {
        let pact = self.pact(one, other);
        matches!(pact, Some(Pact::Agreed | Pact::Ends(_)))
    }

    /// The caravans under way, by number.
    pub fn caravans(&self) -> impl ExactSizeIterator<Item = (u64, &Caravan)> + '_ {
        let all = self.caravans.iter();
        all.map(|(number, caravan)| (*number, caravan))
    }

    /// Crowns from which a seat has no pacts.
    fn last_crowns_of_pacts(&self) -> u64 {
        self.goal() * self.rules.pact.void_percent / 100
    }

    pub(super) fn pact_order(
        &mut self,
        seat: u8,
        with: u8,
        order: PactOrder,
    ) -> Result<(), Refusal> {
        self.check_other(seat, with)?;
        let key = pair(seat, with);
        let change = match (order, self.pact(seat, with)) {
            (PactOrder::Offer, None) => {
                self.check_pact(seat, with)?;
                self.pacts.insert(key, Pact::Offered { by: seat });
                PactChange::Offered
            }
            // Two offers are a pact.
            (PactOrder::Offer | PactOrder::Accept, Some(Pact::Offered { by })) if by == with => {
                self.check_pact(seat, with)?;
                self.pacts.insert(key, Pact::Agreed);
                PactChange::Agreed
            }
            (PactOrder::End, Some(Pact::Offered { .. })) => {
                self.pacts.remove(&key);
                PactChange::Declined
            }
            (PactOrder::End, Some(Pact::Agreed)) => {
                let end = self.now + self.rules.pact.notice * SECOND;
                self.pacts.insert(key, Pact::Ends(end));
                let (one, other) = key;
                self.plan(end, Event::PactEnded { one, other });
                PactChange::Ends(end)
            }
            (PactOrder::Offer, Some(_)) => return Err(Refusal::SamePact),
            (PactOrder::Accept, _) => return Err(Refusal::NoOffer),
            (PactOrder::End, None | Some(Pact::Ends(_))) => return Err(Refusal::NoPact),
        };
        self.report(Report::Pact { seat, with, change });
        if change == PactChange::Agreed {
            // The holder of the Throne has something to lose at fewer crowns than the goal.
            self.settle_crowns();
            self.end_by_crowns();
        }
        Ok(())
    }

    /// Checks that a number is that of another seat.
    fn check_other(&self, seat: u8, other: u8) -> Result<(), Refusal> {
        if usize::from(other) >= self.seats.len() {
            return Err(Refusal::NoSeat);
        }
        if other == seat {
            return Err(Refusal::OwnSeat);
        }
        Ok(())
    }

    fn check_pact(&self, seat: u8, with: u8) -> Result<(), Refusal> {
        if !self.seats[usize::from(with)].stands() {
            return Err(Refusal::FallenPlace);
        }
        let standing = self.seats.iter().filter(|seat| seat.stands()).count();
        if standing <= 2 {
            return Err(Refusal::TwoLeft);
        }
        let most = self.last_crowns_of_pacts();
        let is_close = |seat: u8| self.crowns(seat) >= most;
        if is_close(seat) || is_close(with) {
            return Err(Refusal::CloseToVictory);
        }
        Ok(())
    }

    pub(super) fn pact_ended(&mut self, one: u8, other: u8) {
        if self.pact(one, other) == Some(Pact::Ends(self.now)) {
            self.end_pact((one, other));
        }
    }

    fn end_pact(&mut self, (seat, with): Pair) {
        self.pacts.remove(&(seat, with));
        let change = PactChange::Over;
        self.report(Report::Pact { seat, with, change });
    }

    /// Ends the pacts that the rules no longer allow.
    pub(super) fn end_pacts(&mut self) {
        let standing = self.seats.iter().filter(|seat| seat.stands()).count();
        let most = self.last_crowns_of_pacts();
        let may_have = |seat: u8| {
            let own = &self.seats[usize::from(seat)];
            standing > 2 && own.stands() && own.crowns < most
        };
        let pairs = self.pacts.keys().copied();
        let void: Vec<_> = pairs
            .filter(|(one, other)| !may_have(*one) || !may_have(*other))
            .collect();
        void.into_iter().for_each(|pair| self.end_pact(pair));
    }

    /// Crowns at which something happens to a seat: its victory, or before it the end of its pacts.
    pub(super) fn next_crowns(&self, seat: u8) -> u64 {
        let has_pact = self
            .pacts
            .keys()
            .any(|(one, other)| *one == seat || *other == seat);
        if has_pact {
            self.last_crowns_of_pacts()
        } else {
            self.goal()
        }
    }

    pub(super) fn give(&mut self, seat: u8, to: u8, goods: Resources) -> Result<(), Refusal> {
        self.check_other(seat, to)?;
        if !self.seats[usize::from(to)].stands() {
            return Err(Refusal::FallenPlace);
        }
        if goods == [0; 3] {
            return Err(Refusal::NoGoods);
        }
        let own = self
            .caravans
            .values()
            .filter(|caravan| caravan.from == seat);
        if own.count() >= MAX_CARAVANS {
            return Err(Refusal::TooManyCaravans);
        }
        self.seat_mut(seat).stock.take(goods)?;
        let caravan = Caravan {
            from: seat,
            to,
            goods,
            leaves: self.now,
            arrives: self.now + self.caravan_time(seat, to),
            returns: false,
        };
        self.send(caravan);
        Ok(())
    }

    /// Milliseconds of a caravan between two cities.
    pub fn caravan_time(&self, from: u8, to: u8) -> u64 {
        let tile = |seat| self.map.tile(Place::City(seat));
        let distance = tile(from)
            .zip(tile(to))
            .map_or(0, |(from, to)| from.distance(to));
        distance * self.rules.caravan.tile * SECOND / 10
    }

    fn send(&mut self, caravan: Caravan) {
        let number = self.new_number();
        self.caravans.insert(number, caravan);
        self.plan(caravan.arrives, Event::CaravanArrived { number });
    }

    pub(super) fn caravan_arrived(&mut self, number: u64) {
        let Some(caravan) = self.caravans.remove(&number) else {
            return;
        };
        let Caravan { from, to, .. } = caravan;
        let receiver = if caravan.returns { from } else { to };
        if self.seats[usize::from(receiver)].stands() {
            self.settle(receiver);
            let capacity = self.capacity(receiver);
            let stock = &mut self.seat_mut(receiver).stock;
            let goods = stock.add(caravan.goods, capacity);
            self.plan_starvation(receiver);
            if !caravan.returns {
                self.report(Report::Gift { from, to, goods });
            }
        } else if caravan.returns {
            self.tally.lose(caravan.goods);
        } else {
            self.send(Caravan {
                leaves: self.now,
                arrives: self.now + (caravan.arrives - caravan.leaves),
                returns: true,
                ..caravan
            });
        }
    }
}
