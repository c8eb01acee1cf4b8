//! Effects of the orders.

use super::events::Event;
use super::{Crowns, LATEST_STAMP, March, Pact, SECOND, Waiting};
use crate::crowns::army::Army;
use crate::crowns::battle::Attack;
use crate::crowns::order::{
    Building, MAX_BATCH, MAX_BATCHES, MAX_MARCHES, MAX_WAITING, Order, Place, Refusal,
};
use crate::crowns::report::Report;
use crate::crowns::rules::{Resource, UnitKind};

impl Crowns {
    /// Performs what is due up to the stamp `at`, then the order of a seat. In a match with fair
    /// windows the order waits for the end of its window, and a refusal then is a
    /// [`Report::Refused`].
    ///
    /// # Errors
    /// [`Refusal`]; the order changes nothing then but the allowance of its seat. After the end not
    /// even that.
    pub fn order(&mut self, seat: u8, order: &Order, at: u64) -> Result<(), Refusal> {
        self.advance(at);
        self.check_played(seat, order)?;
        self.charge(seat, at)?;
        self.check_city(seat, order)?;
        if self.window == 0 || order.is_message() {
            self.perform_order(seat, order)
        } else {
            self.wait(seat, order.clone())
        }
    }

    /// Refuses an order of a seat that does not exist, and after the end all but messages.
    fn check_played(&self, seat: u8, order: &Order) -> Result<(), Refusal> {
        if usize::from(seat) >= self.seats.len() {
            return Err(Refusal::NoSeat);
        }
        if self.end.is_some() && !order.is_message() {
            return Err(Refusal::Ended);
        }
        Ok(())
    }

    /// Refuses an order of a fallen city. Its player still talks.
    fn check_city(&self, seat: u8, order: &Order) -> Result<(), Refusal> {
        if order.is_message() || self.seats[usize::from(seat)].stands() {
            Ok(())
        } else {
            Err(Refusal::Fallen)
        }
    }

    /// Takes the price of an order from the allowance of a seat, before it is known whether the
    /// order is refused: refused orders are entries of the log as well.
    ///
    /// The allowance grows with the stamps, also after the end: players still talk then.
    pub(super) fn charge(&mut self, seat: u8, at: u64) -> Result<(), Refusal> {
        let limit = &self.rules.limit;
        let price = SECOND.div_ceil(limit.per_second);
        let most = limit.burst * price;
        let own = self.seat_mut(seat);
        let at = at.clamp(own.allowed_at, LATEST_STAMP);
        let allowance = own.allowance.saturating_add(at - own.allowed_at).min(most);
        own.allowance = allowance.checked_sub(price).ok_or(Refusal::TooFast)?;
        own.allowed_at = at;
        Ok(())
    }

    /// Makes an order wait for the end of the present window.
    fn wait(&mut self, seat: u8, order: Order) -> Result<(), Refusal> {
        let own = self.waiting.values().filter(|(by, _)| *by == seat);
        if own.count() >= MAX_WAITING {
            return Err(Refusal::TooFast);
        }
        let passed = self.elapsed() % self.window;
        let number = self.new_number();
        self.waiting.insert(number, (seat, order));
        let due = self.now + (self.window - passed);
        self.plan_in_order(due, seat, Event::WindowEnded { number });
        Ok(())
    }

    pub(super) fn window_ended(&mut self, number: u64) {
        let Some((seat, order)) = self.waiting.remove(&number) else {
            return;
        };
        let done = self
            .check_city(seat, &order)
            .and_then(|()| self.perform_order(seat, &order));
        if let Err(refusal) = done {
            self.report(Report::Refused {
                seat,
                order,
                refusal,
            });
        }
    }

    fn perform_order(&mut self, seat: u8, order: &Order) -> Result<(), Refusal> {
        self.settle(seat);
        match *order {
            Order::Build(building) => self.build(seat, building)?,
            Order::CancelBuild => self.cancel_build(seat)?,
            Order::Train(kind, count) => self.train(seat, kind, count)?,
            Order::March { army, to, attack } => self.march(seat, army, to, attack)?,
            Order::TurnBack { march } => self.turn_back(seat, march)?,
            Order::CallHome(place) => self.call_home(seat, place)?,
            Order::Swap {
                give,
                amount,
                receive,
            } => self.swap(seat, give, amount, receive)?,
            Order::Repair(begin) => self.repair(seat, begin)?,
            Order::Pact { with, order } => self.pact_order(seat, with, order)?,
            Order::Give { to, goods } => self.give(seat, to, goods)?,
            Order::Concede => self.fall(seat, None),
            Order::Say(ref words) => self.report(Report::Said {
                seat,
                words: words.clone(),
            }),
            Order::Ping(tile) if self.map.contains(tile) => {
                self.report(Report::Pinged { seat, tile });
            }
            Order::Ping(_) => return Err(Refusal::OffMap(self.map.reach())),
        }
        self.plan_starvation(seat);
        self.end_by_keeps();
        Ok(())
    }

    fn build(&mut self, seat: u8, building: Building) -> Result<(), Refusal> {
        let own = &self.seats[usize::from(seat)];
        if own.waiting.is_some() {
            return Err(Refusal::SiteTaken);
        }
        let planned = own.site.filter(|site| site.building == building);
        let next = self.next_level(&own.levels, building, u8::from(planned.is_some()));
        let (cost, level) = next.ok_or(Refusal::HighestLevel)?;
        let own = self.seat_mut(seat);
        own.stock.pay(cost)?;
        let waiting = Waiting { building, cost };
        if own.site.is_some() {
            own.waiting = Some(waiting);
        } else {
            self.begin_site(seat, waiting, level);
        }
        Ok(())
    }

    fn cancel_build(&mut self, seat: u8) -> Result<(), Refusal> {
        let capacity = self.capacity(seat);
        let percent = self.rules.building.refund_percent;
        let own = self.seat_mut(seat);
        let waiting = own.waiting.take().map(|waiting| waiting.cost);
        let cost = waiting.or_else(|| own.site.take().map(|site| site.cost));
        let cost = cost.ok_or(Refusal::NothingBuilt)?;
        own.stock
            .gain(cost.map(|cost| cost * percent / 100), capacity);
        Ok(())
    }

    fn train(&mut self, seat: u8, kind: UnitKind, count: u32) -> Result<(), Refusal> {
        if !(1..=MAX_BATCH).contains(&count) {
            return Err(Refusal::Number(MAX_BATCH));
        }
        let least = match kind {
            UnitKind::Spear | UnitKind::Axe => 1,
            UnitKind::Rider => self.rules.barracks.riders_from,
            UnitKind::Ram => self.rules.barracks.rams_from,
        };
        let cost = self.rules.unit(kind).cost;
        let own = self.seat_mut(seat);
        if own.levels.barracks < least {
            return Err(Refusal::SmallBarracks(least));
        }
        if own.batches.len() >= MAX_BATCHES {
            return Err(Refusal::BusyBarracks);
        }
        own.stock.pay(cost.map(|cost| cost * u64::from(count)))?;
        own.batches.push_back((kind, count));
        if own.batches.len() == 1 {
            self.plan_training(seat);
        }
        Ok(())
    }

    fn march(&mut self, seat: u8, army: Army, to: Place, attack: Attack) -> Result<(), Refusal> {
        self.check_marches(seat)?;
        self.check_target(seat, to)?;
        if army.is_empty() {
            return Err(Refusal::NoUnits);
        }
        let time = self.march_time(seat, to, &army)?;
        let holder = match to {
            Place::City(other) => Some(other),
            Place::Oasis(_) | Place::Throne => self.holding(to).and_then(|place| place.holder),
        };
        match holder.and_then(|holder| self.pact(seat, holder)) {
            Some(Pact::Agreed) => return Err(Refusal::AtPeace),
            Some(Pact::Ends(at)) => return Err(Refusal::PactEnding(at)),
            Some(Pact::Offered { .. }) | None => {}
        }
        let own = self.seat_mut(seat);
        own.home = own.home.minus(&army).ok_or(Refusal::NoSuchUnits)?;
        let march = March {
            seat,
            army,
            place: to,
            attack,
            leaves: self.now,
            arrives: self.now + time,
            returns: false,
            loot: [0; 3],
        };
        self.begin_march(march);
        Ok(())
    }

    /// Refuses places of the map to which no army of the seat marches.
    fn check_target(&self, seat: u8, to: Place) -> Result<(), Refusal> {
        match to {
            Place::City(other) if other == seat => Err(Refusal::OwnCity),
            Place::City(other) => match self.seats.get(usize::from(other)) {
                None => Err(Refusal::NoSuchCity(self.seats.len())),
                Some(city) if !city.stands() => Err(Refusal::FallenPlace),
                Some(_) => Ok(()),
            },
            Place::Oasis(_) if self.map.tile(to).is_none() => {
                Err(Refusal::NoSuchOasis(self.map.oases.len()))
            }
            Place::Oasis(_) | Place::Throne => Ok(()),
        }
    }

    fn begin_march(&mut self, march: March) {
        let number = self.new_number();
        let arrives = march.arrives;
        self.marches.insert(number, march);
        self.plan(arrives, Event::Arrived { march: number });
    }

    fn check_marches(&self, seat: u8) -> Result<(), Refusal> {
        let under_way = self.marches.values().filter(|march| march.seat == seat);
        if under_way.count() < MAX_MARCHES {
            Ok(())
        } else {
            Err(Refusal::TooManyMarches)
        }
    }

    /// Milliseconds of a march between a city and a place.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPlace`], or [`Refusal::NoSuchUnits`] for an army without a unit.
    pub fn march_time(&self, seat: u8, place: Place, army: &Army) -> Result<u64, Refusal> {
        let from = self.map.seat(usize::from(seat)).ok_or(Refusal::NoSeat)?;
        let to = self.map.tile(place).ok_or(Refusal::NoSuchPlace)?;
        let pace = army.tile(&self.rules).ok_or(Refusal::NoSuchUnits)?;
        // Seconds per tile, and tenths of a tile.
        Ok(from.distance(to) * pace * SECOND / 10)
    }

    fn turn_back(&mut self, seat: u8, number: u64) -> Result<(), Refusal> {
        let now = self.now;
        let march = self
            .marches
            .get_mut(&number)
            .filter(|march| march.seat == seat);
        let march = march.filter(|march| !march.returns);
        let march = march.ok_or(Refusal::NoSuchMarch)?;
        march.arrives = now + (now - march.leaves);
        march.leaves = now;
        march.returns = true;
        let arrives = march.arrives;
        self.plan(arrives, Event::Arrived { march: number });
        Ok(())
    }

    fn call_home(&mut self, seat: u8, place: Place) -> Result<(), Refusal> {
        let held = self
            .holding(place)
            .filter(|holding| holding.holder == Some(seat));
        let army = held.ok_or(Refusal::NoGarrison)?.garrison;
        self.check_marches(seat)?;
        let time = self.march_time(seat, place, &army)?;
        self.set_holding(place, None, Army::NONE);
        self.report(Report::Left { seat, place });
        self.begin_march(March {
            seat,
            army,
            place,
            attack: Attack::Assault,
            leaves: self.now,
            arrives: self.now + time,
            returns: true,
            loot: [0; 3],
        });
        Ok(())
    }

    fn swap(
        &mut self,
        seat: u8,
        give: Resource,
        amount: u64,
        receive: Resource,
    ) -> Result<(), Refusal> {
        if give == receive {
            return Err(Refusal::SameResource);
        }
        let market = &self.rules.market;
        let (numerator, denominator) = (market.receive, market.give);
        let capacity = self.capacity(seat);
        let own = self.seat_mut(seat);
        let mut stock = own.stock.clone();
        let mut cost = [0; 3];
        cost[give as usize] = amount;
        stock.pay(cost)?;
        let mut received = [0; 3];
        received[receive as usize] = amount * numerator / denominator;
        if received == [0; 3] {
            return Err(Refusal::TooLittle);
        }
        if stock.gain(received, capacity) != received {
            return Err(Refusal::NoRoom);
        }
        own.stock = stock;
        Ok(())
    }

    fn repair(&mut self, seat: u8, begin: bool) -> Result<(), Refusal> {
        if begin && self.is_sudden_death() {
            return Err(Refusal::SuddenDeath);
        }
        let own = &self.seats[usize::from(seat)];
        if begin && own.keep >= self.rules.start.keep {
            return Err(Refusal::WholeKeep);
        }
        let repairs = own.repairs;
        match (begin, repairs) {
            (true, None) => self.plan_repair(seat),
            (false, Some(_)) => self.seat_mut(seat).repairs = None,
            (true, Some(_)) | (false, None) => {}
        }
        Ok(())
    }
}
