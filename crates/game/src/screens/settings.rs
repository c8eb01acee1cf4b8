//! The page of settings, over the menu or over a match.

mod input;
mod rows;

use bevy::input_focus::tab_navigation::TabIndex;
use bevy::input_focus::{FocusCause, InputFocus};
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy::ui_widgets::ScrollArea;
use raftian_node::cluster::MAX_NAME;

use self::input::Capture;
use self::rows::{Group, Row, Step};
use super::Screen;
use crate::language::{Wording, spoken};
use crate::settings::{Settings, SettingsNotice};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{
    Caption, column, control, modal, panel, row, small_button, small_control, text, text_field,
    unbroken, write,
};
use crate::view::fonts::Typeface;

/// Opens the page.
#[derive(Event)]
pub(crate) struct ShowSettings;

/// The page.
#[derive(Component)]
struct Page {
    /// The control that had the focus, and has it again at the end.
    returns_to: Option<Entity>,
}

/// The group that is shown. It stays for the next time.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
struct ShownGroup(Group);

/// Answer to the last press on the page.
#[derive(Resource, Default)]
struct PageNotice(String);

/// The list of the shown rows.
#[derive(Component)]
struct RowList;

/// A control of the page.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Tab(Group),
    Row(Row),
    /// A button beside a row, for the pointer.
    Step(Row, Step),
    Close,
}

/// A text of the page that changes.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Value(Row),
    Notice,
}

/// The field for the name of the player.
#[derive(Component)]
struct NameField;

/// Layer of the page, above the menu over a match.
const LAYER: i32 = 40;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<ShownGroup>()
        .init_resource::<PageNotice>()
        .add_plugins(input::plugin)
        .add_observer(open)
        .add_systems(
            Update,
            (fill, mark_tabs, write_lines)
                .chain()
                .run_if(any_with_component::<Page>),
        );
}

fn open(
    _show: On<ShowSettings>,
    screen: Res<State<Screen>>,
    shown: Res<ShownGroup>,
    font: Res<Typeface>,
    pages: Query<(), With<Page>>,
    mut capture: ResMut<Capture>,
    mut notice: ResMut<PageNotice>,
    mut focus: ResMut<InputFocus>,
    mut commands: Commands,
) {
    if !pages.is_empty() {
        return;
    }
    capture.0 = None;
    notice.0.clear();
    let returns_to = focus.get();
    commands
        .spawn((
            Name::new("Settings"),
            Page { returns_to },
            DespawnOnExit(*screen.get()),
            modal(LAYER),
        ))
        .with_children(|page| {
            page.spawn(panel(Node {
                width: px(680),
                max_width: percent(100),
                height: px(640),
                max_height: percent(100),
                ..column(space::NEAR)
            }))
            .with_children(|panel| {
                let tab = spawn_page(panel, &font, shown.0);
                if let Some(tab) = tab {
                    focus.set(tab, FocusCause::Navigated);
                }
            });
        });
}

/// Spawns all but the rows, and returns the tab of the shown group.
fn spawn_page(panel: &mut ChildSpawnerCommands, font: &Typeface, shown: Group) -> Option<Entity> {
    panel
        .spawn(Node {
            justify_content: JustifyContent::SpaceBetween,
            flex_shrink: 0.0,
            ..row(space::WIDE)
        })
        .with_children(|line| {
            line.spawn(text(font, wording!("Settings"), size::LARGE, colour::GOLD));
            line.spawn((Part::Close, small_button(font, wording!("Close Esc"))))
                // The keys have Escape instead.
                .insert(TabIndex(-1));
        });
    let mut shown_tab = None;
    panel
        .spawn(Node {
            flex_wrap: FlexWrap::Wrap,
            flex_shrink: 0.0,
            row_gap: space::TIGHT,
            ..row(space::TIGHT)
        })
        .with_children(|tabs| {
            for group in Group::ALL {
                let tab = tabs
                    .spawn((
                        Part::Tab(group),
                        small_button(font, Wording::new(move || group.title())),
                    ))
                    .id();
                if group == shown {
                    shown_tab = Some(tab);
                }
            }
        });
    panel.spawn((
        RowList,
        ScrollArea,
        Node {
            overflow: Overflow::scroll_y(),
            flex_grow: 1.0,
            flex_shrink: 1.0,
            min_height: px(0),
            // Room for the frame around the focused row.
            padding: UiRect::all(space::TIGHT),
            ..column(space::TIGHT)
        },
    ));
    let fixed = Node {
        flex_shrink: 0.0,
        ..default()
    };
    panel.spawn((
        Node {
            // The rows do not move when a sentence appears.
            min_height: px(size::SMALL * 1.3),
            ..fixed.clone()
        },
        Line::Notice,
        text(font, Wording::EMPTY, size::SMALL, colour::GOLD),
    ));
    panel.spawn((
        fixed,
        text(
            font,
            wording!("Up and down choose, left and right change, Enter presses, Escape closes."),
            size::SMALL,
            colour::QUIET,
        ),
    ));
    shown_tab
}

/// Shows the rows of another group.
fn fill(
    font: Res<Typeface>,
    shown: Res<ShownGroup>,
    settings: Res<Settings>,
    lists: Query<(Entity, Ref<RowList>)>,
    mut scrolled: Query<&mut ScrollPosition, With<RowList>>,
    mut commands: Commands,
) {
    for (list, marker) in &lists {
        if !marker.is_added() && !shown.is_changed() {
            continue;
        }
        if let Ok(mut position) = scrolled.get_mut(list) {
            position.0 = Vec2::ZERO;
        }
        let mut list = commands.entity(list);
        list.despawn_children();
        list.with_children(|list| {
            for row in shown.0.rows() {
                match row {
                    Row::Player => spawn_name(list, &font, &settings),
                    row => spawn_row(list, &font, row),
                }
            }
        });
    }
}

fn spawn_row(list: &mut ChildSpawnerCommands, font: &Typeface, of: Row) {
    let line = Node {
        flex_shrink: 0.0,
        ..row(space::TIGHT)
    };
    let title = Wording::new(move || of.title());
    list.spawn(line).with_children(|line| {
        line.spawn((
            Part::Row(of),
            control(Node {
                padding: UiRect::axes(space::NEAR, space::TIGHT),
                justify_content: JustifyContent::SpaceBetween,
                column_gap: space::WIDE,
                flex_grow: 1.0,
                ..default()
            }),
            spoken(title.clone()),
            children![
                (Caption, text(font, title, size::BODY, colour::TEXT)),
                (
                    Line::Value(of),
                    unbroken(font, Wording::EMPTY, size::BODY, colour::GOLD)
                ),
            ],
        ));
        if of.has_steps() {
            for (sign, step) in [("-", Step::Down), ("+", Step::Up)] {
                line.spawn((
                    Part::Step(of, step),
                    small_control(),
                    children![(
                        Caption,
                        unbroken(font, Wording::Same(sign), size::BODY, colour::TEXT)
                    )],
                ))
                // The keys have left and right instead.
                .insert(TabIndex(-1));
            }
        }
    });
}

/// The row with the field for the name of the player.
fn spawn_name(list: &mut ChildSpawnerCommands, font: &Typeface, settings: &Settings) {
    let line = Node {
        flex_wrap: FlexWrap::Wrap,
        row_gap: space::TIGHT,
        flex_shrink: 0.0,
        ..row(space::WIDE)
    };
    list.spawn(line).with_children(|line| {
        let title = Wording::new(|| Row::Player.title());
        line.spawn(text(font, title.clone(), size::BODY, colour::TEXT));
        let name = EditableText {
            visible_width: Some(18.0),
            max_characters: Some(MAX_NAME),
            ..EditableText::new(&settings.profile.player)
        };
        line.spawn((NameField, text_field(font, name, title)));
    });
    list.spawn(text(
        font,
        wording!(
            "Without a name it is that of this machine's user. It counts from the next match on."
        ),
        size::SMALL,
        colour::QUIET,
    ));
}

/// The shown tab has an edge of gold, and is the only one that keys reach: left and right turn to
/// the others.
fn mark_tabs(shown: Res<ShownGroup>, mut tabs: Query<(&Part, &mut BorderColor, &mut TabIndex)>) {
    for (part, mut edge, mut index) in &mut tabs {
        let Part::Tab(group) = part else { continue };
        let is_shown = *group == shown.0;
        let colour = if is_shown { colour::GOLD } else { colour::EDGE };
        edge.set_if_neq(BorderColor::all(colour));
        index.set_if_neq(TabIndex(if is_shown { 0 } else { -1 }));
    }
}

fn write_lines(
    settings: Res<Settings>,
    file_notice: Res<SettingsNotice>,
    notice: Res<PageNotice>,
    capture: Res<Capture>,
    mut lines: Query<(&Line, &mut Text)>,
) {
    for (line, mut text) in &mut lines {
        let words = match *line {
            Line::Notice if notice.0.is_empty() => file_notice.0.clone(),
            Line::Notice => notice.0.clone(),
            Line::Value(Row::Key(action)) if capture.0 == Some(action) => text!("press a key"),
            Line::Value(row) => row.value(&settings),
        };
        write(&mut text, words);
    }
}

#[cfg(test)]
mod tests;
