//! Tooltips in three depths: a name, the numbers of this match, and with Alt how they come about.

use std::time::Duration;

use bevy::input_focus::{InputFocus, InputFocusVisible};
use bevy::picking::hover::Hovered;
use bevy::prelude::*;
use bevy::time::Real;
use bevy::ui::UiGlobalTransform;
use bevy::window::PrimaryWindow;
use raftian_realm::crowns::{Building, Crowns, Place, Resource, Seat, UnitKind};

use super::CrownsSystems;
use super::control::SWAPPED;
use super::layout::Edges;
use super::perspective::Perspective;
use super::words::{self, clock};
use crate::language::Wording;
use crate::report_words::{resource_words, unit_words};
use crate::screens::Screen;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{column, text, write};
use crate::view::fonts::Typeface;

/// Time for which the pointer rests on something before it is explained.
const DELAY: Duration = Duration::from_millis(400);

/// Largest width, in pixels of the interface.
const WIDTH: f32 = 330.0;

/// Space between a tooltip and what it explains.
const GAP: f32 = 6.0;

/// Something that has a tooltip.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
#[require(Hovered)]
pub(super) enum Tooltip {
    Resource(Resource),
    Keep,
    Building(Building),
    Unit(UnitKind),
    Swap(Resource, Resource),
    Crowns,
}

/// The three depths of a tooltip.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Depths {
    name: String,
    numbers: String,
    formula: String,
}

/// The tooltip that is shown.
#[derive(Component)]
struct Bubble;

/// A text of the tooltip.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum BubbleText {
    Name,
    Numbers,
    Formula,
}

/// Entity under the pointer that has a tooltip, and since when.
#[derive(Resource, Default)]
struct Rests(Option<(Entity, Duration)>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Rests>()
        .add_systems(OnEnter(Screen::Match), spawn)
        .add_systems(Update, (rest, show).chain().in_set(CrownsSystems::Draw));
}

fn spawn(mut commands: Commands, font: Res<Typeface>) {
    commands
        .spawn((
            Name::new("Tooltip"),
            Bubble,
            DespawnOnExit(Screen::Match),
            Node {
                position_type: PositionType::Absolute,
                width: px(WIDTH),
                padding: UiRect::all(space::NEAR),
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(space::ROUND),
                display: Display::None,
                align_items: AlignItems::FlexStart,
                ..column(space::TIGHT)
            },
            BackgroundColor(colour::GROUND),
            BorderColor::all(colour::GOLD),
            GlobalZIndex(25),
            Pickable::IGNORE,
        ))
        .with_children(|bubble| {
            for (part, size, ink) in [
                (BubbleText::Name, size::BODY, colour::TEXT),
                (BubbleText::Numbers, size::SMALL, colour::TEXT),
                (BubbleText::Formula, size::SMALL, colour::QUIET),
            ] {
                bubble.spawn((part, text(&font, Wording::EMPTY, size, ink)));
            }
        });
}

/// Notes what the pointer rests on.
fn rest(
    hovered: Query<(Entity, &Hovered), With<Tooltip>>,
    window: Single<&Window, With<PrimaryWindow>>,
    time: Res<Time<Real>>,
    mut rests: ResMut<Rests>,
) {
    let under = hovered.iter().find(|(_, hovered)| hovered.get());
    // A pointer that has left the window hovers where it was last.
    let under = under.filter(|_| window.cursor_position().is_some());
    let under = under.map(|(entity, _)| entity);
    if rests.0.map(|(entity, _)| entity) != under {
        rests.0 = under.map(|entity| (entity, time.elapsed()));
    }
}

fn show(
    rests: Res<Rests>,
    focus: Res<InputFocus>,
    is_focus_visible: Res<InputFocusVisible>,
    keys: Res<ButtonInput<KeyCode>>,
    time: Res<Time<Real>>,
    perspective: Res<Perspective>,
    (edges, scale): (Res<Edges>, Res<UiScale>),
    window: Single<&Window, With<PrimaryWindow>>,
    explained: Query<(&Tooltip, &ComputedNode, &UiGlobalTransform)>,
    bubble: Single<(&mut Node, &ComputedNode), With<Bubble>>,
    mut texts: Query<(&BubbleText, &mut Text)>,
) {
    let (mut bubble, shown) = bubble.into_inner();
    let is_deep = keys.any_pressed([KeyCode::AltLeft, KeyCode::AltRight]);
    let under = rests
        .0
        .filter(|(_, since)| is_deep || time.elapsed().saturating_sub(*since) >= DELAY);
    let focused = focus.get().filter(|_| is_deep && is_focus_visible.0);
    let entity = under.map(|(entity, _)| entity).or(focused);
    let found = entity.and_then(|entity| explained.get(entity).ok());
    let depths = found.and_then(|(tooltip, ..)| depths(*tooltip, &perspective));
    let depths = depths.map(|depths| match is_deep {
        true => depths,
        false => Depths {
            formula: text!("Alt: how it comes about"),
            ..depths
        },
    });
    let (Some((_, node, transform)), Some(depths)) = (found, depths) else {
        if bubble.display != Display::None {
            bubble.display = Display::None;
        }
        return;
    };
    for (part, mut text) in &mut texts {
        let words = match part {
            BubbleText::Name => &depths.name,
            BubbleText::Numbers => &depths.numbers,
            BubbleText::Formula => &depths.formula,
        };
        write(&mut text, words.clone());
    }
    let pixel = node.inverse_scale_factor();
    let area = Rect::from_center_size(transform.translation * pixel, node.size() * pixel);
    let room = window.resolution.size() / scale.0.max(f32::EPSILON);
    let height = shown.size().y * shown.inverse_scale_factor();
    let [left, top] = corner(area, edges.top, room, height);
    let wanted = Node {
        display: Display::Flex,
        left,
        top,
        ..bubble.clone()
    };
    bubble.set_if_neq(wanted);
}

/// Left and top edge of a tooltip of this height about an area: below the bar, which ends at `bar`,
/// or left of the panel, and within the room of the interface.
fn corner(area: Rect, bar: f32, room: Vec2, height: f32) -> [Val; 2] {
    let (left, top) = if area.min.y < bar {
        (area.min.x, bar + GAP)
    } else {
        (area.min.x - WIDTH - GAP, area.min.y)
    };
    let within = |wanted: f32, most: f32| px(wanted.min(most - GAP).max(GAP));
    [within(left, room.x - WIDTH), within(top, room.y - height)]
}

fn depths(tooltip: Tooltip, perspective: &Perspective) -> Option<Depths> {
    let game = perspective.game.as_ref()?;
    let own = perspective.own?;
    let city = game.seats().get(usize::from(own))?;
    Some(match tooltip {
        Tooltip::Resource(resource) => of_resource(game, own, city, resource),
        Tooltip::Keep => of_keep(game, city),
        Tooltip::Building(building) => of_building(game, own, city, building),
        Tooltip::Unit(kind) => of_unit(game, city, kind),
        Tooltip::Swap(give, receive) => of_swap(game, give, receive),
        Tooltip::Crowns => of_crowns(game),
    })
}

fn of_resource(game: &Crowns, own: u8, city: &Seat, resource: Resource) -> Depths {
    let rules = game.rules();
    let place = resource as usize;
    let amount = game.stock(own).map_or(0, |stock| stock.amounts()[place]);
    let (room, rate) = (game.capacity(own), game.rates(own)[place]);
    let shown_rate = format!("{rate:+}");
    let mut numbers = text!(
        "{amount} of {room}, {rate} a minute.",
        amount,
        room,
        rate = shown_rate
    );
    if rate > 0 && amount < room {
        let full = (room - amount) * 60_000 / rate.unsigned_abs();
        numbers += " ";
        numbers += &text!("Full in {time}.", time = clock(full));
    } else if rate < 0 {
        let empty = amount * 60_000 / rate.unsigned_abs();
        numbers += " ";
        numbers += &text!("Used up in {time}.", time = clock(empty));
    }
    let level = city.levels().of(Building::Field(resource));
    let field = rules.fields.production.get(usize::from(level)).copied();
    let field = field.unwrap_or(0) * city.production() / 100;
    let oases = game.map().oases.iter().zip(0..);
    let held = oases.filter(|(oasis, number)| {
        let holding = game.holding(Place::Oasis(*number));
        oasis.resource == resource && holding.is_some_and(|one| one.holder == Some(own))
    });
    let mut formula = text!(
        "Level {level} gives {field}, each of {oases} oases {each}.",
        level,
        field,
        oases = held.count(),
        each = rules.oasis.production
    );
    if resource == Resource::Grain {
        let eaten = game.army_of(own).upkeep(rules);
        formula += " ";
        formula += &text!("The army eats {eaten}.", eaten);
    }
    formula += " ";
    formula += &text!(
        "Raiders never find the last {hidden}.",
        hidden = rules.store.hidden
    );
    Depths {
        name: words::sentence(&resource_words(resource)),
        numbers,
        formula,
    }
}

fn of_keep(game: &Crowns, city: &Seat) -> Depths {
    let rules = &game.rules().keep;
    let full = game.rules().start.keep;
    Depths {
        name: text!("Keep"),
        numbers: text!(
            "{keep} of {full}. At 0 the city falls. A point of repair takes {wood} wood and {time} s.",
            keep = city.keep(),
            full,
            wood = rules.repair_wood,
            time = rules.repair
        ),
        formula: text!(
            "An assault that wins takes {hit}, and {more} for each ram that survives, at most {most}. \
             The attacker gets a crown for each. Then the keep is safe for {smoke} s.",
            hit = rules.hit,
            more = rules.hit_per_ram,
            most = rules.max_hit,
            smoke = rules.smoke
        ),
    }
}

fn of_building(game: &Crowns, own: u8, city: &Seat, building: Building) -> Depths {
    let rules = game.rules();
    let level = city.levels().of(building);
    let cost = game.building_cost(own, building);
    let effect = effect(game, city, building, level);
    let mut numbers = text!("Level {level}: {effect}.", level, effect);
    if let Some(cost) = cost {
        let next = level + 1;
        let seconds = rules.building.seconds_per_level * u64::from(next);
        numbers += " ";
        numbers += &text!(
            "Level {level}: {effect}, for {cost} in {seconds} s.",
            level = next,
            effect = self::effect(game, city, building, next),
            cost = words::cost(cost),
            seconds
        );
    }
    let costs = match building {
        Building::Field(_) => &rules.fields.cost,
        Building::Wall => &rules.wall.cost,
        Building::Barracks => &rules.barracks.cost,
        Building::Store => &rules.store.cost,
    };
    let costs: Vec<_> = costs.iter().map(u64::to_string).collect();
    Depths {
        name: words::building(building),
        numbers,
        formula: text!(
            "{seconds} s times the level. Costs of the levels: {costs}. Given up, {percent} % come back.",
            seconds = rules.building.seconds_per_level,
            costs = costs.join(", "),
            percent = rules.building.refund_percent
        ),
    }
}

/// What a building does at a level.
fn effect(game: &Crowns, city: &Seat, building: Building, level: u8) -> String {
    let rules = game.rules();
    let at = |numbers: &[u64], place: u8| numbers.get(usize::from(place)).copied().unwrap_or(0);
    match building {
        Building::Field(_) => text!(
            "{amount} a minute",
            amount = at(&rules.fields.production, level) * city.production() / 100
        ),
        Building::Wall => text!(
            "+{percent} % defence",
            percent = rules.wall.defence_percent * u64::from(level)
        ),
        Building::Barracks => {
            let percent = at(&rules.barracks.train_percent, level.saturating_sub(1));
            text!("training in {percent} % of the time", percent)
        }
        Building::Store => {
            let room = at(&rules.store.capacity, level.saturating_sub(1));
            text!("room for {room} of each", room)
        }
    }
}

fn of_unit(game: &Crowns, city: &Seat, kind: UnitKind) -> Depths {
    let rules = game.rules();
    let unit = rules.unit(kind);
    let level = usize::from(city.levels().barracks).saturating_sub(1);
    let percent = rules.barracks.train_percent.get(level).copied();
    let percent = percent.unwrap_or(100);
    let seconds = (unit.train * percent) as f64 / 100.0;
    let attacks = if unit.mounted {
        text!("on horseback")
    } else {
        text!("on foot")
    };
    Depths {
        name: words::sentence(&unit_words(kind, 1)),
        numbers: text!(
            "Attack {attack} ({attacks}). Defence {foot} against foot, {horse} against horse. {tile} s \
             a tile, carries {carry}, eats {upkeep} a minute. Trained in {seconds} s for {cost}.",
            attack = unit.attack,
            attacks,
            foot = unit.defence_foot,
            horse = unit.defence_horse,
            tile = unit.tile,
            carry = unit.carry,
            upkeep = unit.upkeep,
            seconds = format!("{seconds:.1}"),
            cost = words::cost(unit.cost)
        ),
        formula: text!(
            "{seconds} s times {percent} % of barracks {level}. The stronger army wins an assault and \
             loses the part (weaker / stronger) to the power of 1.5; the other one loses all.",
            seconds = unit.train,
            percent,
            level = city.levels().barracks
        ),
    }
}

fn of_swap(game: &Crowns, give: Resource, receive: Resource) -> Depths {
    let market = &game.rules().market;
    let [give, receive] = [give, receive].map(resource_words);
    Depths {
        name: text!("Market"),
        numbers: text!(
            "{amount} {give} for {received} {receive}.",
            amount = SWAPPED,
            give,
            received = SWAPPED * market.receive / market.give.max(1),
            receive
        ),
        formula: text!(
            "{give} become {receive}, at once and at any time.",
            give = market.give,
            receive = market.receive
        ),
    }
}

fn of_crowns(game: &Crowns) -> Depths {
    let rules = game.rules();
    let throne = &rules.throne;
    Depths {
        name: text!("Crowns"),
        numbers: text!("{goal} win the match.", goal = game.goal()),
        formula: text!(
            "The holder of the Throne gets {early} a second, and {late} from {time} on. Each point \
             taken from a keep is one, too.",
            early = throne.crowns,
            late = throne.late_crowns,
            time = clock(throne.late_from * 1_000)
        ),
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::Rules;

    use super::*;
    use crate::language::tests::bare_words;
    use crate::language::{Language, speak};

    fn perspective() -> Perspective {
        Perspective {
            own: Some(0),
            names: vec!["Ada".to_owned(), "Bo".to_owned()],
            game: Some(Crowns::new(2, 7, Rules::of_this_build(), 0).unwrap()),
        }
    }

    fn all() -> impl Iterator<Item = Tooltip> {
        let resources = Resource::ALL.map(Tooltip::Resource);
        let units = UnitKind::ALL.map(Tooltip::Unit);
        let fields = Resource::ALL.map(Building::Field);
        let others = [Building::Wall, Building::Barracks, Building::Store];
        let buildings = fields.into_iter().chain(others).map(Tooltip::Building);
        let rest = [
            Tooltip::Keep,
            Tooltip::Swap(Resource::Wood, Resource::Grain),
            Tooltip::Crowns,
        ];
        resources
            .into_iter()
            .chain(units)
            .chain(buildings)
            .chain(rest)
    }

    #[test]
    fn tooltips_are_translated() {
        speak(Language::Bracketed);
        let perspective = perspective();
        for tooltip in all() {
            let depths = depths(tooltip, &perspective).unwrap();
            for words in [depths.name, depths.numbers, depths.formula] {
                assert!(bare_words(&words).is_empty(), "{tooltip:?}: {words:?}");
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_match() {
        let perspective = perspective();
        let words = |tooltip| depths(tooltip, &perspective).unwrap();
        let wood = words(Tooltip::Resource(Resource::Wood));
        assert_eq!(wood.name, "Wood");
        assert_eq!(wood.numbers, "200 of 600, +240 a minute. Full in 1:40.");
        let mine = words(Tooltip::Building(Building::Field(Resource::Iron)));
        let numbers = "Level 1: 240 a minute. Level 2: 330 a minute, for 140 / 84 / 56 in 16 s.";
        assert_eq!(mine.numbers, numbers);
        let swap = words(Tooltip::Swap(Resource::Iron, Resource::Wood));
        assert_eq!(swap.numbers, "60 iron for 40 wood.");
    }

    #[test]
    fn tooltip_is_beside_what_it_explains() {
        let corner = |[left, top, right, bottom]: [f32; 4]| {
            let area = Rect::new(left, top, right, bottom);
            super::corner(area, 64.0, Vec2::new(1_280.0, 800.0), 90.0)
        };
        let below_bar = px(64.0 + GAP);
        assert_eq!(corner([90.0, 4.0, 200.0, 60.0]), [px(90.0), below_bar]);
        // The last part of the bar, and the last control of the panel.
        let left = px(1_280.0 - WIDTH - GAP);
        assert_eq!(corner([1_190.0, 4.0, 1_260.0, 60.0]), [left, below_bar]);
        let left = px(920.0 - WIDTH - GAP);
        assert_eq!(corner([920.0, 200.0, 1_260.0, 230.0]), [left, px(200.0)]);
        let top = px(800.0 - 90.0 - GAP);
        assert_eq!(corner([920.0, 780.0, 1_260.0, 795.0]), [left, top]);
    }
}
