//! The plan of a march: its target, its units, and what it would do.

use bevy::prelude::*;
use raftian_realm::crowns::{Army, Attack, Crowns, Place, Preview, Seat, Tile, UnitKind};

use super::CrownsSystems;
use super::perspective::Perspective;
use super::words::clock;
use crate::refusal_words::order_refusal_words;
use crate::report_words::army_words;
use crate::screens::Screen;
use crate::settings::Settings;
use crate::table::ReplicatedTable;

/// The plan of a march.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Composer {
    pub(super) target: Option<Place>,
    counts: [u32; 4],
    pub(super) attack: Attack,
    /// Whether it opens with all units but the spears, and not with none.
    fills: bool,
}

impl Default for Composer {
    fn default() -> Self {
        Composer {
            target: None,
            counts: [0; 4],
            attack: Attack::Assault,
            fills: true,
        }
    }
}

impl Composer {
    /// Opens with a target, and all units but the spears if it fills.
    pub(super) fn open(&mut self, perspective: &Perspective, target: Place) {
        if self.target.is_none()
            && self.fills
            && let Some((_, _, city)) = perspective.city()
        {
            self.counts = UnitKind::ALL.map(|kind| match kind {
                UnitKind::Spear => 0,
                UnitKind::Axe | UnitKind::Rider | UnitKind::Ram => city.home().count(kind),
            });
        }
        self.target = Some(target);
    }

    /// Closes without a march.
    pub(super) fn close(&mut self) {
        *self = Composer {
            fills: self.fills,
            ..Composer::default()
        };
    }

    /// Turns to the next target; opens with the Throne.
    pub(super) fn next_target(&mut self, perspective: &Perspective) {
        self.turn(perspective, 1);
    }

    /// Turns to the previous target.
    pub(super) fn previous_target(&mut self, perspective: &Perspective) {
        self.turn(perspective, -1);
    }

    fn turn(&mut self, perspective: &Perspective, step: isize) {
        let Some((own, game, _)) = perspective.city() else {
            return;
        };
        let targets = targets(game, own);
        let present = targets
            .iter()
            .position(|target| Some(*target) == self.target);
        let next = match present {
            None => 0,
            Some(place) => {
                let count = targets.len() as isize;
                (place as isize + step).rem_euclid(count) as usize
            }
        };
        if let Some(target) = targets.get(next) {
            self.open(perspective, *target);
        }
    }

    /// Changes the number of units of a kind, within those at home.
    pub(super) fn change(&mut self, perspective: &Perspective, kind: UnitKind, by: i32) {
        let Some((_, _, city)) = perspective.city() else {
            return;
        };
        let count = &mut self.counts[kind as usize];
        *count = count.saturating_add_signed(by).min(city.home().count(kind));
    }

    /// Takes all units of a kind.
    pub(super) fn take_all(&mut self, perspective: &Perspective, kind: UnitKind) {
        self.change(perspective, kind, i32::MAX);
    }

    /// Switches between raid and assault.
    pub(super) fn switch_attack(&mut self) {
        self.attack = match self.attack {
            Attack::Raid => Attack::Assault,
            Attack::Assault => Attack::Raid,
        };
    }

    /// The units that go.
    pub(super) fn army(&self) -> Army {
        Army::new(self.counts)
    }

    /// Number of units of a kind that go.
    pub(super) fn count(&self, kind: UnitKind) -> u32 {
        self.counts[kind as usize]
    }

    /// Whether the target is a city.
    pub(super) fn attacks_city(&self) -> bool {
        matches!(self.target, Some(Place::City(_)))
    }

    /// Checks that the march can leave.
    ///
    /// # Errors
    /// A sentence with the reason.
    pub(super) fn check(&self, game: &Crowns, own: u8, city: &Seat) -> Result<(), String> {
        let target = self.target.ok_or_else(|| text!("Choose a target."))?;
        if self.army().is_empty() {
            return Err(text!("Choose units."));
        }
        if city.home().minus(&self.army()).is_none() {
            return Err(text!("Some of these units are gone."));
        }
        game.preview(own, self.army(), target, self.attack)
            .map(|_| ())
            .map_err(|refusal| order_refusal_words(&refusal))
    }
}

/// All places to march to: the Throne, then oases and cities, the nearest first.
pub(super) fn targets(game: &Crowns, own: u8) -> Vec<Place> {
    let map = game.map();
    let home = map.tile(Place::City(own)).unwrap_or(Tile::THRONE);
    let oases = (0..).zip(&map.oases);
    let oases = oases.map(|(number, _)| Place::Oasis(number));
    let cities = (0..).zip(game.seats());
    let cities = cities
        .filter(|(seat, city)| *seat != own && city.stands())
        .map(|(seat, _)| Place::City(seat));
    let mut places: Vec<_> = oases.chain(cities).collect();
    places.sort_by_key(|place| map.tile(*place).map(|tile| tile.distance(home)));
    places.insert(0, Place::Throne);
    places
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Composer>()
        .add_systems(OnEnter(Screen::Match), close)
        .add_systems(
            Update,
            (follow_settings, keep_possible).in_set(CrownsSystems::Look),
        );
}

fn follow_settings(settings: Res<Settings>, mut composer: ResMut<Composer>) {
    let fills = settings.game.auto_fill;
    composer.set_if_neq(Composer { fills, ..*composer });
}

fn close(mut composer: ResMut<Composer>) {
    composer.close();
}

/// Closes the composer when there is no city any more, or another match has begun, and keeps its
/// numbers within those at home.
fn keep_possible(
    perspective: Res<Perspective>,
    table: Res<ReplicatedTable>,
    mut seed: Local<Option<u64>>,
    mut composer: ResMut<Composer>,
) {
    let is_another = *seed != table.0.seed();
    *seed = table.0.seed();
    let Some(target) = composer.target else {
        return;
    };
    let Some((_, game, city)) = perspective.city() else {
        composer.close();
        return;
    };
    if is_another || game.map().tile(target).is_none() {
        composer.close();
        return;
    }
    let mut kept = *composer;
    for kind in UnitKind::ALL {
        kept.counts[kind as usize] = kept.count(kind).min(city.home().count(kind));
    }
    composer.set_if_neq(kept);
}

/// Effects of the march in sentences, if it arrived at once.
pub(super) fn forecast(composer: &Composer, perspective: &Perspective) -> Vec<String> {
    let (Some(target), Some((own, game, city))) = (composer.target, perspective.city()) else {
        return Vec::new();
    };
    let holding = game.holding(target);
    let is_own = holding.is_some_and(|holding| holding.holder == Some(own));
    if composer.army().is_empty() {
        let here = holding.map_or(Army::NONE, |holding| holding.garrison);
        let there = match target {
            Place::City(seat) => game
                .seats()
                .get(usize::from(seat))
                .map_or(&here, Seat::home),
            Place::Oasis(_) | Place::Throne => &here,
        };
        let base = game
            .battle_at(own, Army::NONE, target, composer.attack)
            .base;
        let mut lines = vec![text!("There: {army}.", army = army_words(there))];
        if base > 0 && !is_own {
            lines.push(militia(target, base));
        }
        lines.push(text!("Choose units, here or with their keys."));
        return lines;
    }
    match game.preview(own, composer.army(), target, composer.attack) {
        Err(refusal) => {
            let reason = order_refusal_words(&refusal);
            vec![text!("Not possible: {reason}.", reason)]
        }
        Ok(preview) if is_own => vec![arrival(game, &preview), text!("Joins your garrison.")],
        Ok(preview) if target == Place::Throne && is_closed_at(game, preview.time) => {
            let opens = clock(game.rules().throne.opens * 1_000);
            vec![
                arrival(game, &preview),
                text!(
                    "The Throne is closed until {opens}: the army turns back there.",
                    opens
                ),
            ]
        }
        Ok(preview) => {
            let mut lines = vec![arrival(game, &preview)];
            if preview.battle.base > 0 {
                lines.push(militia(target, preview.battle.base));
            }
            lines.extend(result(composer, game, &preview));
            let left = city.home().minus(&composer.army()).unwrap_or(Army::NONE);
            lines.push(text!("At home stay: {army}.", army = army_words(&left)));
            lines
        }
    }
}

/// Who defends a place besides its garrison.
fn militia(place: Place, strength: u64) -> String {
    match place {
        Place::Throne => text!("Its guard adds {strength} to the defence.", strength),
        Place::City(_) | Place::Oasis(_) => {
            text!("Its militia adds {strength} to the defence.", strength)
        }
    }
}

/// Whether the Throne is still closed after this time.
fn is_closed_at(game: &Crowns, time: u64) -> bool {
    game.elapsed() + time < game.rules().throne.opens * 1_000
}

fn arrival(game: &Crowns, preview: &Preview) -> String {
    text!(
        "Arrives in {time}, at {clock}.",
        time = clock(preview.time),
        clock = clock(game.now() + preview.time)
    )
}

fn result(composer: &Composer, game: &Crowns, preview: &Preview) -> Vec<String> {
    let lost = army_words(&preview.result.attacker_lost);
    let killed = army_words(&preview.result.defender_lost);
    if !preview.result.is_won {
        return vec![
            text!("You would lose this fight."),
            text!("Your losses: {lost}. Theirs: {killed}.", lost, killed),
        ];
    }
    let mut lines = vec![text!(
        "You win. Your losses: {lost}. Theirs: {killed}.",
        lost,
        killed
    )];
    if let Some(Place::City(seat)) = composer.target
        && let Some(city) = game.seats().get(usize::from(seat))
    {
        let keep = city.keep();
        let loot: u64 = preview.loot.iter().sum();
        if preview.hit > 0 {
            let left = keep.saturating_sub(preview.hit);
            lines.push(text!(
                "Keep {keep} to {left}. Loot: {loot}.",
                keep,
                left,
                loot
            ));
        } else {
            lines.push(text!("The keep is not hurt. Loot: {loot}.", loot));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::Rules;

    use super::*;

    fn perspective() -> Perspective {
        let game = Crowns::new(4, 3, Rules::of_this_build(), 0).unwrap();
        Perspective {
            own: Some(1),
            names: ["Asta", "Brand", "Cleo", "Dag"].map(str::to_owned).to_vec(),
            game: Some(game),
        }
    }

    #[test]
    fn targets_are_all_other_places_once() {
        let perspective = perspective();
        let game = perspective.game.as_ref().unwrap();
        let targets = targets(game, 1);
        assert_eq!(targets.len(), 1 + 8 + 3);
        assert_eq!(targets[0], Place::Throne);
        assert!(!targets.contains(&Place::City(1)));
        let mut composer = Composer::default();
        let mut seen = Vec::new();
        for _ in 0..targets.len() {
            composer.next_target(&perspective);
            seen.extend(composer.target);
        }
        assert_eq!(seen, targets);
        composer.next_target(&perspective);
        assert_eq!(composer.target, Some(Place::Throne), "it begins again");
        composer.previous_target(&perspective);
        assert_eq!(composer.target, targets.last().copied());
    }

    #[test]
    fn plan_begins_without_units_if_that_is_set() {
        let mut app = App::new();
        app.init_resource::<Composer>()
            .init_resource::<Settings>()
            .add_systems(Update, follow_settings.run_if(resource_changed::<Settings>));
        for auto_fill in [false, true] {
            app.world_mut().resource_mut::<Settings>().game.auto_fill = auto_fill;
            app.update();
            let mut composer = app.world_mut().resource_mut::<Composer>();
            composer.close();
            assert_eq!(
                composer.fills, auto_fill,
                "also after the plan before was closed"
            );
        }
    }

    #[test]
    fn only_units_at_home_go() {
        let perspective = perspective();
        let mut composer = Composer::default();
        composer.open(&perspective, Place::Throne);
        assert!(composer.army().is_empty(), "the four spears stay at first");
        composer.change(&perspective, UnitKind::Spear, 3);
        assert_eq!(composer.count(UnitKind::Spear), 3);
        composer.take_all(&perspective, UnitKind::Spear);
        assert_eq!(composer.count(UnitKind::Spear), 4);
        composer.change(&perspective, UnitKind::Spear, -9);
        assert_eq!(composer.count(UnitKind::Spear), 0);
        composer.take_all(&perspective, UnitKind::Ram);
        assert!(composer.army().is_empty());
    }

    #[test]
    fn forecast_tells_a_defeat_before_it_happens() {
        let perspective = perspective();
        let mut composer = Composer::default();
        composer.open(&perspective, Place::City(0));
        let empty = forecast(&composer, &perspective);
        assert_eq!(empty[0], "There: 4 spears.");
        composer.take_all(&perspective, UnitKind::Spear);
        let lines = forecast(&composer, &perspective);
        assert!(lines[1].contains("militia"), "{lines:?}");
        assert_eq!(lines[2], "You would lose this fight.", "{lines:?}");
        let (own, game, city) = perspective.city().unwrap();
        assert_eq!(composer.check(game, own, city), Ok(()));
        composer.change(&perspective, UnitKind::Spear, -4);
        assert!(composer.check(game, own, city).is_err());
    }

    #[test]
    fn forecast_tells_of_the_closed_throne() {
        let perspective = perspective();
        let mut composer = Composer::default();
        composer.open(&perspective, Place::Throne);
        composer.take_all(&perspective, UnitKind::Spear);
        let lines = forecast(&composer, &perspective);
        assert!(lines[1].contains("closed until 4:00"), "{lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}
