//! The whole window on an engine without a renderer: what is laid out, and what keys do.

mod pictures;
mod reach;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput, NativeKey};
use bevy::text::TextLayoutInfo;
use bevy::ui::UiGlobalTransform;
use bevy::window::PrimaryWindow;
use bevy_raft::prelude::*;
use raftian_realm::crowns::{Order, Seat};
use raftian_realm::table::Command;

use super::*;
use crate::language::Language;
use crate::screens::learn::ShowLessons;
use crate::screens::practice;
use crate::screens::settings::ShowSettings;
use crate::table::{ReplicatedTable, TableCommand};

/// Longest wait for real nodes.
const WAIT: Duration = Duration::from_secs(60);

/// Frames after which a change is laid out.
const SETTLED: usize = 6;

/// A window without a display.
struct Shown {
    app: App,
}

impl Shown {
    fn menu() -> Shown {
        let mut shown = Shown {
            app: without_display(),
        };
        shown.settle();
        shown
    }

    /// A match against bots.
    fn game() -> Shown {
        let mut shown = Shown::menu();
        practice::begin(shown.app.world_mut(), Screen::Match);
        shown.until("the match begins", |world| {
            world.resource::<ReplicatedTable>().0.game().is_some()
        });
        shown
    }

    fn settle(&mut self) {
        for _ in 0..SETTLED {
            self.app.update();
        }
    }

    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + WAIT;
        while !done(self.app.world()) {
            assert!(Instant::now() < deadline, "not within {WAIT:?}: {what}");
            self.app.update();
            std::thread::sleep(Duration::from_millis(2));
        }
        self.settle();
    }

    /// Sets the logical size of the window, and the scale of the interface in percent.
    fn resize(&mut self, width: f32, height: f32, percent: i64) {
        let world = self.app.world_mut();
        let mut windows = world.query_filtered::<&mut Window, With<PrimaryWindow>>();
        let mut window = windows.single_mut(world).expect("one window");
        window.resolution.set(width, height);
        let window = world
            .query_filtered::<Entity, With<PrimaryWindow>>()
            .single(world)
            .expect("one window");
        world.write_message(bevy::window::WindowResized {
            window,
            width,
            height,
        });
        world.resource_mut::<Settings>().accessibility.scale = percent;
        self.settle();
    }

    /// Presses a key and releases it.
    fn press(&mut self, key_code: KeyCode, logical_key: Key) {
        self.send(key_code, logical_key.clone(), ButtonState::Pressed);
        self.send(key_code, logical_key, ButtonState::Released);
        self.settle();
    }

    fn send(&mut self, key_code: KeyCode, logical_key: Key, state: ButtonState) {
        let world = self.app.world_mut();
        let mut windows = world.query_filtered::<Entity, With<PrimaryWindow>>();
        let window = windows.single(world).expect("one window");
        world.write_message(KeyboardInput {
            key_code,
            logical_key,
            state,
            text: None,
            repeat: false,
            window,
        });
        self.app.update();
    }

    fn letter(&mut self, key: KeyCode) {
        self.press(key, Key::Unidentified(NativeKey::Unidentified));
    }

    /// All texts.
    fn texts(&mut self) -> BTreeSet<String> {
        let world = self.app.world_mut();
        let mut texts = world.query::<&Text>();
        texts.iter(world).map(|text| text.0.clone()).collect()
    }

    /// Texts that are not wholly visible and cannot be scrolled to.
    fn clipped(&mut self) -> BTreeSet<String> {
        let world = self.app.world_mut();
        let mut windows = world.query_filtered::<&Window, With<PrimaryWindow>>();
        let window = windows.single(world).expect("one window");
        let whole = Rect::from_corners(Vec2::ZERO, window.resolution.physical_size().as_vec2());
        let mut texts = world.query::<(
            Entity,
            &Text,
            &TextLayoutInfo,
            &ComputedNode,
            &UiGlobalTransform,
            &InheritedVisibility,
            Option<&CalculatedClip>,
        )>();
        let shown: Vec<_> = texts
            .iter(world)
            .filter(|(_, text, _, node, _, visibility, _)| {
                !text.trim().is_empty() && !node.is_empty() && visibility.get()
            })
            .map(|(entity, text, layout, node, transform, _, clip)| {
                let size = node.size().max(layout.size / node.inverse_scale_factor());
                let left_top = transform.translation - node.size() / 2.0;
                let area = Rect::from_corners(left_top, left_top + size);
                let bounds = clip.map_or(whole, |clip| clip.clip);
                (entity, text.0.clone(), area, bounds)
            })
            .collect();
        let mut complaints = BTreeSet::new();
        for (entity, text, area, bounds) in shown {
            if let Some(box_of_parent) = area_of_parent(world, entity)
                && area.max.y > box_of_parent.max.y + 1.5
            {
                let complaint = format!("{text:?} at {area:?} in a box {box_of_parent:?}");
                complaints.insert(complaint);
            }
            let scrolls = scrolls(world, entity);
            let is_wide = area.min.x < bounds.min.x - 1.5 || area.max.x > bounds.max.x + 1.5;
            let is_high = area.min.y < bounds.min.y - 1.5 || area.max.y > bounds.max.y + 1.5;
            if is_wide || is_high && !scrolls {
                complaints.insert(format!("{text:?} at {area:?} in {bounds:?}"));
            }
        }
        complaints
    }
}

/// Area of the node around a text; `None` if it scrolls.
fn area_of_parent(world: &World, entity: Entity) -> Option<Rect> {
    let parent = world.get::<ChildOf>(entity)?.parent();
    let node = world.get::<ComputedNode>(parent)?;
    let scrolls = world.get::<Node>(parent)?.overflow.y == OverflowAxis::Scroll;
    let transform = world.get::<UiGlobalTransform>(parent)?;
    (!scrolls).then(|| Rect::from_center_size(transform.translation, node.size()))
}

/// Whether a text is in something that scrolls, or in the feed, which shows the newest lines.
fn scrolls(world: &World, entity: Entity) -> bool {
    let mut above = Some(entity);
    while let Some(entity) = above {
        let node = world.get::<Node>(entity);
        let is_feed = world
            .get::<Name>(entity)
            .is_some_and(|name| name.as_str() == "Feed");
        if is_feed || node.is_some_and(|node| node.overflow.y == OverflowAxis::Scroll) {
            return true;
        }
        above = world.get::<ChildOf>(entity).map(|child| child.parent());
    }
    false
}

/// Window sizes and scales of the interface.
const SIZES: [(f32, f32, i64); 7] = [
    (800.0, 600.0, 75),
    (800.0, 600.0, 100),
    (800.0, 600.0, 250),
    (1280.0, 800.0, 100),
    (1280.0, 800.0, 250),
    (1920.0, 1080.0, 150),
    (3840.0, 2160.0, 250),
];

fn check(shown: &mut Shown, what: &str) -> Vec<String> {
    let mut all = Vec::new();
    for language in [Language::Italian, Language::English] {
        shown
            .app
            .world_mut()
            .resource_mut::<Settings>()
            .profile
            .language = language;
        for (width, height, percent) in SIZES {
            shown.resize(width, height, percent);
            for complaint in shown.clipped() {
                all.push(format!("{what} {width}x{height} {percent} %: {complaint}"));
            }
        }
    }
    shown.resize(1280.0, 800.0, 100);
    all
}

#[test]
fn no_text_of_the_menu_is_clipped() {
    let mut shown = Shown::menu();
    let complaints = check(&mut shown, "menu");
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn no_text_of_the_settings_is_clipped() {
    let mut shown = Shown::menu();
    shown.app.world_mut().trigger(ShowSettings);
    shown.settle();
    let mut complaints = Vec::new();
    let mut pages = BTreeSet::new();
    // The focus is on the row of tabs, and the next tab is to the right.
    for page in 1..=8 {
        complaints.extend(check(&mut shown, &format!("page {page}")));
        pages.insert(shown.texts());
        shown.press(KeyCode::ArrowRight, Key::ArrowRight);
        shown.press(KeyCode::Enter, Key::Enter);
    }
    assert!(pages.len() >= 6, "{pages:#?}");
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn no_text_of_lessons_and_lobby_is_clipped() {
    let mut shown = Shown::menu();
    shown.app.world_mut().trigger(ShowLessons);
    shown.settle();
    let mut complaints = check(&mut shown, "lessons");
    shown.press(KeyCode::Escape, Key::Escape);
    // Without a match its screen shows an empty table.
    let mut next = shown.app.world_mut().resource_mut::<NextState<Screen>>();
    next.set(Screen::Match);
    shown.settle();
    complaints.extend(check(&mut shown, "lobby"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn no_text_of_the_end_is_clipped() {
    let mut shown = Shown::game();
    shown.press(KeyCode::Enter, Key::Enter);
    let mut complaints = check(&mut shown, "chat");
    shown.press(KeyCode::Escape, Key::Escape);
    let world = shown.app.world_mut();
    let concede = Command::Order(Order::Concede);
    let command = TableCommand::new(concede, &world.resource::<ReplicatedTable>().0);
    world.propose(command);
    shown.until("the own city falls", |world| {
        let game = world.resource::<ReplicatedTable>().0.game();
        game.is_some_and(|game| !game.seats().iter().all(Seat::stands))
    });
    complaints.extend(check(&mut shown, "fallen"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn no_text_of_a_match_is_clipped() {
    let mut shown = Shown::game();
    let mut complaints = check(&mut shown, "city");
    // The focus moves to a control, which is explained while Alt is held.
    shown.press(KeyCode::ArrowDown, Key::ArrowDown);
    shown.send(KeyCode::AltLeft, Key::Alt, ButtonState::Pressed);
    complaints.extend(check(&mut shown, "tooltip"));
    shown.send(KeyCode::AltLeft, Key::Alt, ButtonState::Released);
    shown.letter(KeyCode::KeyD);
    complaints.extend(check(&mut shown, "others"));
    shown.letter(KeyCode::KeyD);
    shown.letter(KeyCode::KeyA);
    complaints.extend(check(&mut shown, "plan"));
    shown.press(KeyCode::Escape, Key::Escape);
    shown.press(KeyCode::Escape, Key::Escape);
    complaints.extend(check(&mut shown, "pause"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}
