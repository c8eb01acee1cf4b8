//! A Recruit: a fixed list of buildings, a few soldiers, and attacks at random.

use raftian_realm::crowns::{Attack, Building, Order, Place, Resource, UnitKind};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::outlook::{Outlook, only};

/// Buildings, in order.
const LIST: [(Building, u8); 10] = [
    (Building::Field(Resource::Grain), 2),
    (Building::Field(Resource::Wood), 2),
    (Building::Field(Resource::Iron), 2),
    (Building::Wall, 1),
    (Building::Barracks, 2),
    (Building::Store, 2),
    (Building::Field(Resource::Grain), 3),
    (Building::Wall, 2),
    (Building::Barracks, 3),
    (Building::Wall, 3),
];

/// Strength of an attack compared with the defence, in percent, from which a Recruit dares it.
const RATIO: u64 = 150;

pub(crate) fn orders(look: &Outlook<'_>, rng: &mut ChaCha8Rng) -> Vec<Order> {
    // A long thought.
    if rng.random_range(0..100) < 20 {
        return Vec::new();
    }
    let mut orders = Vec::new();
    orders.extend(build(look));
    if orders.is_empty() || rng.random_range(0..100) < 50 {
        orders.extend(train(look, rng));
    }
    if rng.random_range(0..100) < 50 {
        orders.extend(attack(look, rng));
    }
    orders
}

fn build(look: &Outlook<'_>) -> Option<Order> {
    let (site, waiting) = look.own.sites();
    if site.is_some() || waiting.is_some() {
        return None;
    }
    let levels = look.own.levels();
    let next = LIST
        .iter()
        .find(|(building, level)| levels.of(*building) < *level);
    let (building, _) = next?;
    let cost = look.game.building_cost(look.seat, *building)?;
    let can = (0..3).all(|place| look.stock[place] >= cost[place]);
    can.then_some(Order::Build(*building))
}

fn train(look: &Outlook<'_>, rng: &mut ChaCha8Rng) -> Option<Order> {
    if look.own.batches().len() > 1 || look.rates[Resource::Grain as usize] < 20 {
        return None;
    }
    let kinds = [
        UnitKind::Spear,
        UnitKind::Axe,
        UnitKind::Axe,
        UnitKind::Rider,
    ];
    let kind = kinds[rng.random_range(0..kinds.len())];
    let rules = look.game.rules();
    let can = kind != UnitKind::Rider || look.own.levels().barracks >= rules.barracks.riders_from;
    let kind = if can { kind } else { UnitKind::Spear };
    let cost = rules.unit(kind).cost;
    let most = (0..3)
        .map(|place| look.stock[place] / cost[place].max(1))
        .min()?;
    let count = u32::try_from(most.min(4)).unwrap_or(0);
    (count > 0).then_some(Order::Train(kind, count))
}

/// Attacks something at random that looks much weaker, with all that attacks. Forgets the Throne
/// three times in ten.
fn attack(look: &Outlook<'_>, rng: &mut ChaCha8Rng) -> Option<Order> {
    let army = only(look.own.home(), &[UnitKind::Axe, UnitKind::Rider]);
    if army.total() < 4 {
        return None;
    }
    let mut places: Vec<_> = look.foes.iter().map(|foe| Place::City(*foe)).collect();
    places.extend(look.oases().filter(|place| !look.holds(*place)));
    let opens = look.game.rules().throne.opens;
    let is_open = look.elapsed + look.seconds_to(Place::Throne, &army) >= opens;
    if is_open && !look.holds(Place::Throne) && rng.random_range(0..100) >= 30 {
        places.push(Place::Throne);
        places.push(Place::Throne);
    }
    if places.is_empty() {
        return None;
    }
    let to = places[rng.random_range(0..places.len())];
    if look.goes_to(to) {
        return None;
    }
    let attack = Attack::Assault;
    let result = look.game.preview(look.seat, army, to, attack).ok()?.result;
    let dares = result.attack * 100 > result.defence * RATIO;
    dares.then_some(Order::March { army, to, attack })
}
