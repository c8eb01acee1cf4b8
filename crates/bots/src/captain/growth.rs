//! Buildings of a Captain.

use raftian_realm::crowns::{Building, Order, Resource, Resources};

use super::Plan;

/// Seconds after which no field pays for itself any more.
const LAST_FIELD: u64 = 720;

impl Plan<'_> {
    /// Builds what is due, or saves for it.
    pub(super) fn grow(&mut self) {
        self.repair();
        let (site, waiting) = self.look.own.sites();
        if site.is_some() || waiting.is_some() {
            return;
        }
        let Some((building, due)) = self.next_building() else {
            return;
        };
        let Some(cost) = self.look.game.building_cost(self.look.seat, building) else {
            return;
        };
        let is_due = due <= self.look.elapsed;
        let is_rich = (0..3).all(|place| self.stock[place] >= 2 * cost[place] + 60);
        if !is_due && !is_rich {
            return;
        }
        if self.can_have(cost) && self.pay(cost) {
            self.orders.push(Order::Build(building));
        } else if is_due {
            self.reserve = cost;
        }
    }

    fn can_have(&mut self, cost: Resources) -> bool {
        let has_all = (0..3).all(|place| self.stock[place] >= cost[place]);
        has_all || self.swap_for(cost)
    }

    /// The building that is due first, and when.
    fn next_building(&self) -> Option<(Building, u64)> {
        let (levels, style) = (self.look.own.levels(), self.style);
        let mut steps = Vec::new();
        let grown: u64 = levels.fields.iter().map(|level| u64::from(*level)).sum();
        if self.look.elapsed < LAST_FIELD {
            let fields = Resource::ALL.map(|resource| (resource, levels.fields[resource as usize]));
            let low = fields
                .into_iter()
                .filter(|(_, level)| *level < style.most_fields);
            // The scarcest one; grain is eaten.
            let least = low.min_by_key(|(resource, _)| self.look.rates[*resource as usize]);
            let due = grown.saturating_sub(3) * style.field_every;
            steps.extend(least.map(|(resource, _)| (Building::Field(resource), due)));
        }
        let is_hungry = self.look.rates[Resource::Grain as usize] < 30;
        if is_hungry && levels.fields[Resource::Grain as usize] < 5 {
            steps.push((Building::Field(Resource::Grain), self.look.elapsed));
        }
        let barracks = style
            .barracks
            .get(usize::from(levels.barracks).saturating_sub(1));
        steps.extend(barracks.map(|due| (Building::Barracks, *due)));
        if levels.wall < style.most_wall {
            let due = style.wall_from + u64::from(levels.wall) * style.wall_every;
            steps.push((Building::Wall, due));
        }
        let is_full = self
            .stock
            .iter()
            .filter(|amount| **amount * 10 > self.look.capacity * 8);
        if is_full.count() >= 2 {
            steps.push((Building::Store, self.look.elapsed));
        }
        let game = self.look.game;
        steps.retain(|(building, _)| game.building_cost(self.look.seat, *building).is_some());
        let next = steps.into_iter().min_by_key(|(_, due)| *due)?;
        // A cost that finds no room needs a larger store first.
        let cost = game.building_cost(self.look.seat, next.0)?;
        if cost.iter().any(|amount| *amount > self.look.capacity) {
            return Some((Building::Store, next.1));
        }
        Some(next)
    }

    /// Begins to repair a damaged keep, and ends it when it is whole.
    fn repair(&mut self) {
        let full = self.look.game.rules().start.keep;
        let is_damaged = self.look.own.keep() < full && !self.look.game.is_sudden_death();
        if is_damaged != self.look.own.is_repaired() && !self.look.game.is_sudden_death() {
            self.orders.push(Order::Repair(is_damaged));
        }
    }
}
