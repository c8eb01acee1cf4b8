//! Training of a Captain.

use raftian_realm::crowns::{Army, Order, Resource, UnitKind};

use super::Plan;

/// Seconds of training that a Captain plans ahead.
const QUEUE: u64 = 18;

impl Plan<'_> {
    pub(super) fn train(&mut self) {
        let rules = self.look.game.rules();
        let own = self.look.own;
        let queued: u64 = own
            .batches()
            .map(|(kind, count)| u64::from(count) * rules.unit(kind).train)
            .sum();
        if own.batches().len() >= 2 || queued > QUEUE {
            return;
        }
        let Some(kind) = self.wanted_unit() else {
            return;
        };
        let unit = rules.unit(kind);
        let grain = self.look.rates[Resource::Grain as usize];
        let is_starving = grain - i64::try_from(unit.upkeep * 3).unwrap_or(0) < 0
            && self.stock[Resource::Grain as usize] * 2 < self.look.capacity;
        if is_starving {
            return;
        }
        let level = usize::from(own.levels().barracks).saturating_sub(1);
        let percent = rules
            .barracks
            .train_percent
            .get(level)
            .copied()
            .unwrap_or(100);
        let most = (QUEUE + 6) * 100 / (unit.train * percent).max(1);
        let free = |place: usize| self.stock[place].saturating_sub(self.reserve[place]);
        let count = (0..3)
            .map(|place| free(place) / unit.cost[place].max(1))
            .min();
        let count = count.unwrap_or(0).min(most.max(1));
        let least = if kind == UnitKind::Ram {
            1
        } else {
            most.clamp(1, 3)
        };
        if count < least {
            let batch = unit.cost.map(|cost| cost * least);
            let kept: [u64; 3] = std::array::from_fn(|place| batch[place] + self.reserve[place]);
            if !self.swap_for(kept) || !self.pay(batch) {
                return;
            }
            let count = u32::try_from(least).unwrap_or(1);
            self.orders.push(Order::Train(kind, count));
            return;
        }
        if self.pay(unit.cost.map(|cost| cost * count)) {
            let count = u32::try_from(count).unwrap_or(1);
            self.orders.push(Order::Train(kind, count));
        }
    }

    /// The kind that is missing most in the mix, turned against the armies of the foes.
    fn wanted_unit(&self) -> Option<UnitKind> {
        let game = self.look.game;
        let rules = game.rules();
        let level = self.look.own.levels().barracks;
        let foes = self.look.foes.iter().map(|foe| game.army_of(*foe));
        let foes = foes.fold(Army::NONE, |all, army| all.plus(&army));
        let value = |army: &Army, kind| {
            let cost: u64 = rules.unit(kind).cost.iter().sum();
            u64::from(army.count(kind)) * cost
        };
        let total = self.look.value_of(&foes).max(1);
        let share = |kind| value(&foes, kind) * 100 / total;
        let mut mix: [u64; 4] = std::array::from_fn(|kind| self.style.mix[kind] * self.taste[kind]);
        // Spears stop riders, riders catch axes, axes and rams beat spears.
        let counters = [
            (UnitKind::Spear, share(UnitKind::Rider)),
            (UnitKind::Rider, share(UnitKind::Axe) / 2),
            (UnitKind::Axe, share(UnitKind::Spear) / 3),
        ];
        for (kind, more) in counters {
            if mix[kind as usize] > 0 {
                mix[kind as usize] += more * 50;
            }
        }
        let rams = game.army_of(self.look.seat).count(UnitKind::Ram);
        let has_rams = rams >= self.useful_rams();
        let can = |kind: &UnitKind| match kind {
            UnitKind::Spear | UnitKind::Axe => true,
            UnitKind::Rider => level >= rules.barracks.riders_from,
            UnitKind::Ram => level >= rules.barracks.rams_from && !has_rams,
        };
        let queued = self
            .look
            .own
            .batches()
            .fold(Army::NONE, |all, (kind, count)| {
                all.plus(&crate::outlook::units(kind, count))
            });
        let army = game.army_of(self.look.seat).plus(&queued);
        let wanted = UnitKind::ALL.into_iter().filter(can);
        wanted
            .filter(|kind| mix[*kind as usize] > 0)
            .min_by_key(|kind| (value(&army, *kind) + 100) * 100_000 / mix[*kind as usize])
    }

    /// Number of rams beyond which more break nothing: those for the highest wall of a foe, and
    /// those for the keep with one to spare.
    fn useful_rams(&self) -> u32 {
        let rules = self.look.game.rules();
        let seats = self.look.game.seats().iter();
        let walls = seats.map(|seat| u32::from(seat.levels().wall));
        let walls = walls.max().unwrap_or(0) * rules.battle.rams_per_wall_level;
        let more = rules.keep.max_hit.saturating_sub(rules.keep.hit);
        let keep = more.div_ceil(rules.keep.hit_per_ram.max(1)) + 1;
        walls.max(keep)
    }
}
