//! The panel of the player's own city: keep, buildings, barracks, army, marches.

use bevy::prelude::*;
use raftian_realm::crowns::{Building, Crowns, Resource, Seat, UnitKind};

use super::super::art::Art;
use super::super::control::{Action, least_barracks, own_marches};
use super::super::icons::Icon;
use super::super::perspective::Perspective;
use super::super::tooltips::Tooltip;
use super::super::words::{self, clock};
use super::top::tint;
use super::{image, key_button};
use crate::language::{Wording, spoken};
use crate::report_words::{counted_unit, resource_words, unit_words};
use crate::settings::bindings::{Bindings, KeyAction, KeyWords};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{
    Caption, column, control, row, small_button, text, unbroken, write as write_text,
};
use crate::view::fonts::Typeface;

/// Marches that the list shows.
const MARCHES: usize = 4;

/// The buildings in the order of their keys.
const BUILDINGS: [(Building, KeyAction); 6] = [
    (Building::Field(Resource::Wood), KeyAction::BuildWood),
    (Building::Field(Resource::Iron), KeyAction::BuildIron),
    (Building::Field(Resource::Grain), KeyAction::BuildGrain),
    (Building::Wall, KeyAction::BuildWall),
    (Building::Barracks, KeyAction::BuildBarracks),
    (Building::Store, KeyAction::BuildStore),
];

/// A text of the panel.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CityText {
    Title,
    Keep,
    Level(Building),
    Cost(Building),
    Site,
    Training,
    UnitCost(UnitKind),
    Home(UnitKind),
    March(usize),
    Repair,
}

/// A bar of the panel.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CityBar {
    Keep,
    Site,
}

/// A row that is hidden while there is nothing to show in it.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CityRow {
    Site,
    March(usize),
    NoMarch,
}

pub(super) fn spawn(panel: &mut ChildSpawnerCommands, font: &Typeface, art: &Art) {
    panel.spawn((
        CityText::Title,
        unbroken(font, Wording::EMPTY, size::LARGE, colour::TEXT),
    ));
    panel
        .spawn((Tooltip::Keep, row(space::NEAR)))
        .with_children(|line| {
            bar(line, CityBar::Keep, px(130), colour::GOOD);
            line.spawn((
                CityText::Keep,
                unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT),
            ));
            line.spawn((
                Action::Repair,
                control(Node {
                    padding: UiRect::axes(space::NEAR, px(1)),
                    margin: UiRect::left(Val::Auto),
                    ..default()
                }),
                spoken(wording!("Repair the keep")),
                children![(
                    Caption,
                    CityText::Repair,
                    unbroken(font, Wording::EMPTY, size::SMALL, colour::TEXT)
                )],
            ));
        });
    heading(panel, font, wording!("Build"));
    for (building, key) in BUILDINGS {
        spawn_building(panel, font, building, key);
    }
    panel
        .spawn((CityRow::Site, row(space::NEAR)))
        .with_children(|line| {
            bar(line, CityBar::Site, px(96), colour::GOLD);
            line.spawn((
                CityText::Site,
                unbroken(font, Wording::EMPTY, size::SMALL, colour::TEXT),
            ));
            line.spawn((
                Node {
                    margin: UiRect::left(Val::Auto),
                    ..default()
                },
                children![(
                    Action::CancelBuild,
                    key_button(font, wording!("button|Cancel"), KeyAction::CancelBuild)
                )],
            ));
        });
    heading(panel, font, wording!("Train"));
    panel
        .spawn(Node {
            justify_content: JustifyContent::SpaceBetween,
            ..row(space::TIGHT)
        })
        .with_children(|units| {
            for (kind, key) in UnitKind::ALL.into_iter().zip(KeyAction::UNITS) {
                spawn_unit(units, font, art, kind, key);
            }
        });
    panel.spawn((
        CityText::Training,
        unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET),
    ));
    heading(panel, font, wording!("Market"));
    panel
        .spawn(Node {
            flex_wrap: FlexWrap::Wrap,
            row_gap: space::TIGHT,
            ..row(space::TIGHT)
        })
        .with_children(|market| {
            for give in Resource::ALL {
                for receive in Resource::ALL.into_iter().filter(|other| *other != give) {
                    spawn_swap(market, font, art, give, receive);
                }
            }
        });
    heading(panel, font, wording!("Marches"));
    panel.spawn((
        CityRow::NoMarch,
        Node::default(),
        children![(
            KeyWords::new(|keys| {
                let key = keys.label(KeyAction::NextTarget);
                text!("{key}, or a click on the map, plans one.", key)
            }),
            text(font, Wording::EMPTY, size::SMALL, colour::QUIET)
        )],
    ));
    for number in 0..MARCHES {
        panel
            .spawn((CityRow::March(number), row(space::NEAR)))
            .with_children(|line| {
                line.spawn((
                    CityText::March(number),
                    unbroken(font, Wording::EMPTY, size::SMALL, colour::TEXT),
                ));
                line.spawn((
                    Node {
                        margin: UiRect::left(Val::Auto),
                        ..default()
                    },
                    children![(
                        Action::TurnBack(number),
                        small_button(font, wording!("Turn back"))
                    )],
                ));
            });
    }
    panel.spawn((
        Node {
            margin: UiRect::top(Val::Auto),
            ..default()
        },
        children![(
            KeyWords::new(|keys| {
                let [others, point] = keys.labels([KeyAction::Others, KeyAction::Point]);
                text!(
                    "{others} the others   {point} point at a tile   Enter chat   Esc menu",
                    others,
                    point
                )
            }),
            unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET)
        )],
    ));
}

fn heading(panel: &mut ChildSpawnerCommands, font: &Typeface, words: Wording) {
    panel.spawn((
        Node {
            margin: UiRect::top(space::NEAR),
            ..default()
        },
        children![unbroken(font, words, size::SMALL, colour::QUIET)],
    ));
}

fn bar(line: &mut ChildSpawnerCommands, of: CityBar, width: Val, tint: Color) {
    line.spawn((
        Node {
            width,
            height: px(12),
            flex_shrink: 0.0,
            border_radius: BorderRadius::all(px(3)),
            overflow: Overflow::clip(),
            ..default()
        },
        BackgroundColor(colour::GROUND),
        children![(
            of,
            Node {
                width: percent(0),
                height: percent(100),
                ..default()
            },
            BackgroundColor(tint),
        )],
    ));
}

fn spawn_building(
    panel: &mut ChildSpawnerCommands,
    font: &Typeface,
    building: Building,
    key: KeyAction,
) {
    let name = Wording::new(move || words::building(building));
    panel.spawn((
        Action::Build(building),
        Tooltip::Building(building),
        control(Node {
            padding: UiRect::axes(space::NEAR, px(3)),
            column_gap: space::NEAR,
            ..default()
        }),
        spoken(wording!("Build: {name}", name = words::building(building))),
        children![
            (
                key_node(),
                children![(
                    KeyWords::of(key),
                    unbroken(font, Wording::EMPTY, size::SMALL, colour::GOLD)
                )]
            ),
            (
                Node {
                    width: px(104),
                    ..default()
                },
                children![(Caption, unbroken(font, name, size::BODY, colour::TEXT))]
            ),
            (
                Node {
                    width: px(64),
                    ..default()
                },
                children![(
                    CityText::Level(building),
                    unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT)
                )]
            ),
            (
                CityText::Cost(building),
                unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET)
            ),
        ],
    ));
}

fn key_node() -> Node {
    Node {
        width: px(14),
        flex_shrink: 0.0,
        ..default()
    }
}

fn spawn_unit(
    units: &mut ChildSpawnerCommands,
    font: &Typeface,
    art: &Art,
    kind: UnitKind,
    key: KeyAction,
) {
    units.spawn((
        Action::Train(kind),
        Tooltip::Unit(kind),
        control(Node {
            width: px(80),
            padding: UiRect::axes(space::TIGHT, space::TIGHT),
            ..column(px(1))
        }),
        spoken(wording!("Train: {unit}", unit = unit_words(kind, 1))),
        children![
            (
                row(space::TIGHT),
                children![
                    (
                        KeyWords::of(key),
                        unbroken(font, Wording::EMPTY, size::SMALL, colour::GOLD)
                    ),
                    image(art, Icon::of_unit(kind), colour::TEXT, 26.0),
                    (
                        CityText::Home(kind),
                        unbroken(font, Wording::EMPTY, size::LARGE, colour::TEXT)
                    ),
                ]
            ),
            (
                CityText::UnitCost(kind),
                unbroken(font, Wording::EMPTY, 12.0, colour::QUIET)
            ),
        ],
    ));
}

fn spawn_swap(
    market: &mut ChildSpawnerCommands,
    font: &Typeface,
    art: &Art,
    give: Resource,
    receive: Resource,
) {
    market.spawn((
        Action::Swap(give, receive),
        Tooltip::Swap(give, receive),
        control(Node {
            width: px(107),
            padding: UiRect::axes(space::TIGHT, px(2)),
            justify_content: JustifyContent::Center,
            column_gap: space::TIGHT,
            ..default()
        }),
        spoken(wording!(
            "Swap 60 {give} for 40 {receive}",
            give = resource_words(give),
            receive = resource_words(receive)
        )),
        children![
            (
                Caption,
                unbroken(font, Wording::Same("60"), size::SMALL, colour::TEXT)
            ),
            image(art, Icon::of_resource(give), tint(give), 16.0),
            unbroken(font, wording!("for 40"), size::SMALL, colour::QUIET),
            image(art, Icon::of_resource(receive), tint(receive), 16.0),
        ],
    ));
}

pub(super) fn write(
    perspective: Res<Perspective>,
    bindings: Res<Bindings>,
    mut texts: Query<(&CityText, &mut Text, Option<&mut TextColor>)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    let own = perspective.own.unwrap_or(u8::MAX);
    let Some(city) = game.seats().get(usize::from(own)) else {
        for (part, mut text, _) in &mut texts {
            match part {
                CityText::Title => write_text(&mut text, text!("You are watching")),
                CityText::Keep => write_text(&mut text, text!("no city")),
                _ => {}
            }
        }
        return;
    };
    for (part, mut text, ink) in &mut texts {
        let (words, shown) = match *part {
            CityText::Title => (perspective.name(own), Some(colour::TEXT)),
            CityText::Keep => (keep_text(game, city), None),
            CityText::Level(building) => (level_text(game, own, city, building), None),
            CityText::Cost(building) => cost_text(game, own, building),
            CityText::Site => (site_text(game, city), None),
            CityText::Training => (training_text(city), None),
            CityText::UnitCost(kind) => (unit_text(game, city, kind), None),
            CityText::Home(kind) => (city.home().count(kind).to_string(), None),
            CityText::March(number) => (march_text(&perspective, game, own, number), None),
            CityText::Repair => {
                let verb = if city.is_repaired() {
                    text!("Stop")
                } else {
                    text!("Repair")
                };
                let key = bindings.label(KeyAction::Repair);
                (format!("{verb} {key}"), None)
            }
        };
        write_text(&mut text, words);
        if let (Some(mut ink), Some(shown)) = (ink, shown) {
            ink.set_if_neq(TextColor(shown));
        }
    }
}

fn keep_text(game: &Crowns, city: &Seat) -> String {
    let smoke = city.smokes_until().saturating_sub(game.now());
    let keep = city.keep();
    match smoke {
        _ if keep == 0 => text!("fallen"),
        0 => text!("keep {keep}", keep),
        smoke => text!("keep {keep}, safe {time}", keep, time = clock(smoke)),
    }
}

/// The present level and the next one.
fn level_text(game: &Crowns, own: u8, city: &Seat, building: Building) -> String {
    let level = city.levels().of(building);
    let is_built = city.sites().0.is_some_and(|site| site.building == building);
    match game.building_cost(own, building) {
        Some(_) => {
            let next = level + 1 + u8::from(is_built);
            text!("{level} to {next}", level, next)
        }
        None => level.to_string(),
    }
}

/// The cost of the next level, or what is missing for it.
fn cost_text(game: &Crowns, own: u8, building: Building) -> (String, Option<Color>) {
    let Some(cost) = game.building_cost(own, building) else {
        return ("-".to_owned(), Some(colour::QUIET));
    };
    let amounts = game.stock(own).map_or([0; 3], |stock| stock.amounts());
    let lacks = amounts
        .iter()
        .zip(cost)
        .any(|(amount, cost)| *amount < cost);
    let shown = if lacks { colour::BAD } else { colour::QUIET };
    (words::cost(cost), Some(shown))
}

fn site_text(game: &Crowns, city: &Seat) -> String {
    let (site, next) = city.sites();
    let Some(site) = site else {
        return String::new();
    };
    let left = clock(site.done.saturating_sub(game.now()) + 999);
    let name = words::building(site.building);
    match next {
        Some(next) => text!(
            "{name} {left}, then {next}",
            name,
            left,
            next = words::building(next)
        ),
        None => format!("{name} {left}"),
    }
}

fn training_text(city: &Seat) -> String {
    let batches: Vec<_> = city
        .batches()
        .map(|(kind, count)| counted_unit(kind, count))
        .collect();
    if batches.is_empty() {
        return text!("Barracks idle. Shift trains five at once.");
    }
    text!("In training: {units}", units = batches.join(", "))
}

fn unit_text(game: &Crowns, city: &Seat, kind: UnitKind) -> String {
    let least = least_barracks(game, kind);
    if city.levels().barracks < least {
        return text!("barracks {least}", least);
    }
    let [wood, iron, grain] = game.rules().unit(kind).cost;
    format!("{wood}/{iron}/{grain}")
}

fn march_text(perspective: &Perspective, game: &Crowns, own: u8, number: usize) -> String {
    let Some((_, march)) = own_marches(game, own).nth(number) else {
        return String::new();
    };
    let left = clock(march.arrives.saturating_sub(game.now()) + 999);
    let place = perspective.place(march.place);
    if march.returns {
        return text!(
            "{units} home from {place}: {left}",
            units = march.army.total(),
            place,
            left
        );
    }
    text!(
        "{units} to {place}: {left}",
        units = march.army.total(),
        place,
        left
    )
}

pub(super) fn fill_bars(perspective: Res<Perspective>, mut bars: Query<(&CityBar, &mut Node)>) {
    let city = perspective.city();
    for (bar, mut node) in &mut bars {
        let filled = city.map_or(0.0, |(_, game, city)| match bar {
            CityBar::Keep => city.keep() as f32 / game.rules().start.keep.max(1) as f32,
            CityBar::Site => site_progress(game, city),
        });
        let width = percent((filled * 1_000.0).round() / 10.0);
        if node.width != width {
            node.width = width;
        }
    }
}

/// Part of the present building that is done.
fn site_progress(game: &Crowns, city: &Seat) -> f32 {
    let Some(site) = city.sites().0 else {
        return 0.0;
    };
    let level = u64::from(city.levels().of(site.building)) + 1;
    let whole = level * game.rules().building.seconds_per_level * 1_000;
    let left = site.done.saturating_sub(game.now());
    1.0 - (left as f32 / whole.max(1) as f32).clamp(0.0, 1.0)
}

pub(super) fn show_rows(perspective: Res<Perspective>, mut rows: Query<(&CityRow, &mut Node)>) {
    let city = perspective.city();
    let marches = city.map_or(0, |(own, game, _)| own_marches(game, own).count());
    let is_building = city.is_some_and(|(_, _, city)| city.sites().0.is_some());
    for (row, mut node) in &mut rows {
        let is_shown = match *row {
            CityRow::Site => is_building,
            CityRow::March(number) => number < marches,
            CityRow::NoMarch => marches == 0,
        };
        let display = if is_shown {
            Display::Flex
        } else {
            Display::None
        };
        if node.display != display {
            node.display = display;
        }
    }
}
