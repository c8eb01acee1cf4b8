//! Short signs of what happened, where it happened: battles, losses, new holders.

use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use raftian_realm::crowns::{BattleReport, Place, Report, Tile};

use super::CrownsSystems;
use super::art::Art;
use super::icons::Icon;
use super::layout::MapLayout;
use super::map::{depth, icon, label};
use super::perspective::Perspective;
use crate::screens::Screen;
use crate::table::Reported;
use crate::ui::ReducedMotion;
use crate::ui::theme::colour;
use crate::view::fonts::Typeface;

/// Something that fades at a place.
#[derive(Component, Clone, Copy, Debug)]
struct Effect {
    tile: Tile,
    born: Duration,
    lifetime: Duration,
    motion: Motion,
    colour: Color,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Motion {
    /// Grows as a ring.
    Spread,
    /// Rises as a text, from this many lines above the place.
    Rise(u8),
}

/// Most effects at once. More would hide the map.
const MOST: usize = 40;

pub(super) fn plugin(app: &mut App) {
    app.add_observer(show)
        .add_systems(Update, fade.in_set(CrownsSystems::Draw));
}

fn show(
    reported: On<Reported>,
    screen: Res<State<Screen>>,
    time: Res<Time<Real>>,
    art: Res<Art>,
    font: Res<Typeface>,
    perspective: Res<Perspective>,
    motion: Res<ReducedMotion>,
    present: Query<(), With<Effect>>,
    mut commands: Commands,
) {
    if reported.replayed || *screen.get() != Screen::Match || present.iter().count() >= MOST {
        return;
    }
    let born = time.elapsed();
    let mut texts = Vec::new();
    // Below what a battle at the same place shows.
    let mut first_line = 3;
    let tile_of = |place| {
        let game = perspective.game.as_ref();
        game.and_then(|game| game.map().tile(place))
    };
    let tile = match &reported.report {
        Report::Battle(battle) => {
            texts = battle_texts(battle, &perspective);
            first_line = 0;
            tile_of(battle.place)
        }
        Report::Taken { place, seat } => {
            texts.push((format!("{}!", perspective.name(*seat)), colour::GOLD));
            tile_of(*place)
        }
        Report::Fell { seat, .. } => {
            texts.push((text!("fallen"), colour::BAD));
            tile_of(Place::City(*seat))
        }
        Report::Pinged { seat, tile } => {
            texts.push((perspective.name(*seat), colour::seat(*seat)));
            Some(*tile)
        }
        _ => return,
    };
    let Some(tile) = tile else { return };
    let ring = match &reported.report {
        Report::Battle(battle) => colour::seat(battle.attacker),
        Report::Pinged { seat, .. } => colour::seat(*seat),
        _ => colour::GOLD,
    };
    let effect = |motion, colour, lifetime| Effect {
        tile,
        born,
        lifetime: Duration::from_millis(lifetime),
        motion,
        colour,
    };
    if !motion.0 {
        commands.spawn((
            effect(Motion::Spread, ring, 900),
            DespawnOnExit(Screen::Match),
            icon(&art, Icon::Ring, ring, 1.0, Vec3::ZERO),
        ));
    }
    for (line, (words, tint)) in (first_line..).zip(texts) {
        let lettering = label(&font, 18.0, tint);
        let mut text = commands.spawn((
            effect(Motion::Rise(line), tint, 2_600),
            DespawnOnExit(Screen::Match),
            lettering,
        ));
        text.insert(Text2d::new(words));
    }
}

/// Result and losses of a battle.
fn battle_texts(battle: &BattleReport, perspective: &Perspective) -> Vec<(String, Color)> {
    let own = perspective.own;
    let is_defender = own.is_some() && own == battle.defender;
    let result = match (battle.result.is_won, is_defender) {
        (true, false) => (text!("battle|won"), colour::GOOD),
        (true, true) => (text!("battle|lost"), colour::BAD),
        (false, false) => (text!("battle|beaten back"), colour::BAD),
        (false, true) => (text!("battle|held"), colour::GOOD),
    };
    let mut texts = vec![result];
    // The own losses, or those of both sides in a battle of others.
    let [attacker, defender] = [battle.result.attacker_lost, battle.result.defender_lost];
    let dead = match own {
        Some(own) if own == battle.attacker => attacker.total(),
        Some(_) if is_defender => defender.total(),
        _ => attacker.total() + defender.total(),
    };
    match dead {
        0 => {}
        1 => texts.push((text!("-1 unit"), colour::TEXT)),
        dead => texts.push((text!("-{dead} units", dead), colour::TEXT)),
    }
    if battle.hit > 0 {
        texts.push((text!("keep -{points}", points = battle.hit), colour::BAD));
    }
    texts
}

fn fade(
    mut commands: Commands,
    time: Res<Time<Real>>,
    layout: Res<MapLayout>,
    motion: Res<ReducedMotion>,
    mut effects: Query<(
        Entity,
        &Effect,
        &mut Transform,
        Option<&mut Sprite>,
        Option<&mut TextColor>,
    )>,
) {
    for (entity, effect, mut transform, sprite, ink) in &mut effects {
        let age = time.elapsed().saturating_sub(effect.born);
        let part = age.as_secs_f32() / effect.lifetime.as_secs_f32();
        if part >= 1.0 {
            commands.entity(entity).despawn();
            continue;
        }
        let at = layout.at(effect.tile);
        let opacity = 1.0 - part * part;
        match effect.motion {
            Motion::Spread => {
                let side = layout.tile * (0.9 + 1.5 * part);
                transform.translation = at.extend(depth::EFFECT);
                transform.scale = Vec3::new(side, side, 1.0);
            }
            Motion::Rise(line) => {
                // Without motion the text fades where it appears.
                let risen = if motion.0 { 0.0 } else { part };
                let height = layout.tile * (0.75 + 0.5 * risen) - f32::from(line) * 19.0;
                let place = (at + Vec2::new(0.0, height + 38.0)).round();
                transform.translation = place.extend(depth::EFFECT + 0.5);
            }
        }
        if let Some(mut sprite) = sprite {
            sprite.color = effect.colour.with_alpha(opacity);
        }
        if let Some(mut ink) = ink {
            ink.0 = effect.colour.with_alpha(opacity);
        }
    }
}
