//! The match of Crowns as entities, which the engine's systems read instead of the replicated
//! state.
//!
//! There is one entity for each seat, each oasis, the Throne and each march. Data never flows back
//! from an entity to the table.

use std::collections::BTreeMap;

use bevy::prelude::*;
use raftian_realm::crowns::{self, Army, Crowns, Holding, Levels, Place, Resources};

use super::ReplicatedTable;

/// The entity of a place: a city, an oasis or the Throne.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
#[component(immutable)]
pub struct Site(pub Place);

/// Units in a city, an oasis or on the Throne.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Garrison(pub Army);

/// The seat that holds an oasis or the Throne.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holder(pub Option<u8>);

/// Hit points of the keep of a city.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keep(pub u32);

/// Stock of a city and its rates per minute, at the last entry.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stock {
    /// Whole amounts of wood, iron and grain.
    pub amounts: Resources,
    /// Change per minute.
    pub rates: [i64; 3],
}

/// Levels of the buildings of a city.
#[derive(Component, Clone, PartialEq, Eq, Debug)]
pub struct Buildings(pub Levels);

/// Crowns of a seat, at the last entry.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CrownCount(pub u64);

/// An army under way, with its number.
#[derive(Component, Clone, PartialEq, Eq, Debug)]
pub struct March {
    /// Number of the march.
    pub number: u64,
    /// The march.
    pub march: crowns::March,
}

/// The systems in `PreUpdate` that bring the entities in line with a changed [`ReplicatedTable`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableProjection;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        PreUpdate,
        (respawn_sites, (project_sites, project_marches))
            .chain()
            .in_set(TableProjection)
            .run_if(resource_exists_and_changed::<ReplicatedTable>),
    );
}

/// Spawns an entity for each place of the match, if there is another match than before.
fn respawn_sites(
    mut commands: Commands,
    table: Res<ReplicatedTable>,
    sites: Query<(Entity, &Site)>,
    mut shown: Local<Option<u64>>,
) {
    let seed = table.0.game().and_then(|_| table.0.seed());
    if *shown == seed && (seed.is_none() || !sites.is_empty()) {
        return;
    }
    *shown = seed;
    sites
        .iter()
        .for_each(|(site, _)| commands.entity(site).despawn());
    let Some(game) = table.0.game() else {
        return;
    };
    for (seat, own) in (0..).zip(game.seats()) {
        commands.spawn((
            Name::new(format!("City of seat {seat}")),
            Site(Place::City(seat)),
            Garrison::default(),
            Keep::default(),
            Stock::default(),
            CrownCount::default(),
            Buildings(own.levels().clone()),
        ));
    }
    let oases = (0..)
        .zip(&game.map().oases)
        .map(|(number, _)| Place::Oasis(number));
    for place in oases.chain([Place::Throne]) {
        let name = Name::new(format!("{place:?}"));
        commands.spawn((name, Site(place), Garrison::default(), Holder::default()));
    }
}

type SiteParts<'a> = (
    &'a Site,
    &'a mut Garrison,
    Option<&'a mut Holder>,
    Option<&'a mut Keep>,
    Option<&'a mut Stock>,
    Option<&'a mut CrownCount>,
    Option<&'a mut Buildings>,
);

fn project_sites(table: Res<ReplicatedTable>, mut sites: Query<SiteParts>) {
    let Some(game) = table.0.game() else {
        return;
    };
    for (site, mut garrison, holder, keep, stock, crowns, buildings) in &mut sites {
        let Place::City(seat) = site.0 else {
            let none = Holding::default();
            let holding = game.holding(site.0).unwrap_or(&none);
            garrison.set_if_neq(Garrison(holding.garrison));
            if let Some(mut holder) = holder {
                holder.set_if_neq(Holder(holding.holder));
            }
            continue;
        };
        let Some(own) = game.seats().get(usize::from(seat)) else {
            continue;
        };
        garrison.set_if_neq(Garrison(*own.home()));
        if let Some(mut keep) = keep {
            keep.set_if_neq(Keep(own.keep()));
        }
        if let Some(mut stock) = stock {
            stock.set_if_neq(stock_of(game, seat));
        }
        if let Some(mut crowns) = crowns {
            crowns.set_if_neq(CrownCount(game.crowns(seat)));
        }
        if let Some(mut buildings) = buildings {
            buildings.set_if_neq(Buildings(own.levels().clone()));
        }
    }
}

fn stock_of(game: &Crowns, seat: u8) -> Stock {
    Stock {
        amounts: game.stock(seat).map_or([0; 3], |stock| stock.amounts()),
        rates: game.rates(seat),
    }
}

fn project_marches(
    mut commands: Commands,
    table: Res<ReplicatedTable>,
    mut shown: Query<(Entity, &mut March)>,
) {
    let marches = table.0.game().into_iter().flat_map(Crowns::marches);
    let mut present: BTreeMap<u64, &crowns::March> = marches.collect();
    for (entity, mut march) in &mut shown {
        match present.remove(&march.number) {
            Some(now) => {
                let now = March {
                    number: march.number,
                    march: now.clone(),
                };
                march.set_if_neq(now);
            }
            None => commands.entity(entity).despawn(),
        }
    }
    for (number, march) in present {
        let name = Name::new(format!("March {number}"));
        let march = march.clone();
        commands.spawn((name, March { number, march }));
    }
}
