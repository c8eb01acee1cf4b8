//! The debug overlay: the actions of every member of the cluster and their reasons, over the
//! running game.
//!
//! F3 opens the full panel, as `--overlay` does; the next press leaves a strip, the one after that
//! nothing. Shift+F3 shows or hides the full panel at once, and Ctrl+F3 a window of its own for it.
//! The overlay only reads. Its buttons trigger an embedded member's [`Fault`]s as events that the program's cluster observes;
//! [`ClusterView`] is filled by the program that runs the game, and [`CommitLatency`] by the
//! proposer.
//!
//! All derived values come from functions without egui and are tested; [`History`] keeps what a
//! single view cannot show: past decisions, violated invariants, the start of timers.

pub(crate) mod derived;
mod event_log;
mod faults;
mod history;
mod icons;
mod invariants;
mod lanes;
pub mod latency;
mod log_grid;
mod members;
mod panel;
mod plots;
mod pop_out;
mod rate;
mod restarts;
mod ring;
mod strip;
mod theme;
mod timers;
mod why;

pub(crate) use self::pop_out::GameCamera;
pub(crate) use self::strip::HEIGHT as STRIP_HEIGHT;
pub use history::History;
pub use latency::CommitLatency;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::time::Real;
use bevy::time::common_conditions::on_real_timer;
use bevy_egui::{EguiContexts, EguiPlugin, EguiPrimaryContextPass};
use bevy_raft::{CommandRegistry, RaftStatus};
use raftian_raft::NodeId;
use std::time::Duration;

use crate::cluster_view::{ClusterView, Fault};
use crate::evidence::{FalseOrder, HistoriesContradict};

/// Interval at which the cluster is checked while the overlay is hidden: short enough to catch
/// every violation that lasts.
const HIDDEN_WATCH: Duration = Duration::from_millis(250);

/// Visible part of the overlay. Insert it before [`plugin`] to start with another mode than the
/// hidden one.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverlayMode {
    /// Nothing.
    #[default]
    Hidden,
    /// One line at the top of the window.
    Strip,
    /// The line and the panel.
    Full,
}

impl OverlayMode {
    /// Returns the mode after a press of F3.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Hidden => Self::Full,
            Self::Full => Self::Strip,
            Self::Strip => Self::Hidden,
        }
    }

    /// Returns the mode after a press of Shift+F3.
    #[must_use]
    pub fn full_or_hidden(self) -> Self {
        match self {
            Self::Hidden | Self::Strip => Self::Full,
            Self::Full => Self::Hidden,
        }
    }
}

/// Where the strip is while it is shown alone, in logical pixels of the window; `None` for its top
/// edge. A screen that shows something else there moves it.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub struct StripPlace(pub Option<Rect>);

/// The member whose decisions are listed and to which the fault keys apply; with `None` all
/// decisions are listed and the keys apply to no member.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selected(pub Option<NodeId>);

/// Adds the overlay, and egui if the program has none. Requires a window and `DefaultPlugins`.
pub fn plugin(app: &mut App) {
    if !app.is_plugin_added::<EguiPlugin>() {
        app.add_plugins(EguiPlugin::default());
    }
    let shown = |mode: Res<OverlayMode>| *mode != OverlayMode::Hidden;
    app.init_resource::<OverlayMode>()
        .init_resource::<ClusterView>()
        .init_resource::<CommitLatency>()
        .init_resource::<Selected>()
        .init_resource::<StripPlace>()
        .init_resource::<History>()
        .add_observer(note_false_order)
        .add_observer(note_contradiction)
        .add_systems(
            Update,
            (
                switch_mode,
                faults::press_keys.run_if(resource_equals(OverlayMode::Full)),
            ),
        )
        .add_systems(
            PostUpdate,
            check_cluster.run_if(
                shown
                    .or_else(pop_out::is_open)
                    .or_else(on_real_timer(HIDDEN_WATCH)),
            ),
        )
        .add_systems(EguiPrimaryContextPass, draw.run_if(shown));
    pop_out::plugin(app);
}

fn switch_mode(keys: Res<ButtonInput<KeyCode>>, mut mode: ResMut<OverlayMode>) {
    if keys.just_pressed(KeyCode::F3) && !pop_out::is_control_held(&keys) {
        let shift = pop_out::is_held(&keys, [KeyCode::ShiftLeft, KeyCode::ShiftRight]);
        *mode = if shift {
            mode.full_or_hidden()
        } else {
            mode.next()
        };
    }
}

fn note_false_order(found: On<FalseOrder>, time: Res<Time<Real>>, mut history: ResMut<History>) {
    history.invariants.find_false_order(&found, time.elapsed());
}

fn note_contradiction(
    found: On<HistoriesContradict>,
    time: Res<Time<Real>>,
    mut history: ResMut<History>,
) {
    history
        .invariants
        .find_contradiction(&found, time.elapsed());
}

fn check_cluster(view: Res<ClusterView>, time: Res<Time<Real>>, mut history: ResMut<History>) {
    history.observe(&view, time.elapsed());
}

/// Input of the overlay's sections, and the output of their buttons.
struct Screen<'a> {
    view: &'a ClusterView,
    history: &'a History,
    latency: &'a CommitLatency,
    commands: Option<&'a CommandRegistry>,
    /// Number of pending orders, if this program proposes any.
    pending: Option<usize>,
    /// The frame's time.
    now: Duration,
    selected: Option<NodeId>,
    faults: Vec<Fault>,
}

/// The resources that the overlay shows.
#[derive(SystemParam)]
struct Sources<'w, 's> {
    commands: Commands<'w, 's>,
    view: Res<'w, ClusterView>,
    history: Res<'w, History>,
    latency: Res<'w, CommitLatency>,
    registry: Option<Res<'w, CommandRegistry>>,
    status: Option<Res<'w, RaftStatus>>,
    time: Res<'w, Time<Real>>,
    selected: ResMut<'w, Selected>,
}

impl Sources<'_, '_> {
    /// Draws by `draw`, and triggers the faults that its buttons asked for.
    fn show(&mut self, draw: impl FnOnce(&mut Screen)) {
        let mut screen = Screen {
            view: &self.view,
            history: &self.history,
            latency: &self.latency,
            commands: self.registry.as_deref(),
            pending: self.status.as_ref().map(|status| status.pending),
            now: self.time.elapsed(),
            // A selected member may have left the list.
            selected: self.selected.0.filter(|&id| self.view.member(id).is_some()),
            faults: Vec::new(),
        };
        draw(&mut screen);
        let Screen {
            selected, faults, ..
        } = screen;
        self.selected.set_if_neq(Selected(selected));
        for fault in faults {
            self.commands.trigger(fault);
        }
    }
}

fn draw(
    mut contexts: EguiContexts,
    mode: Res<OverlayMode>,
    place: Res<StripPlace>,
    mut sources: Sources,
    mut themed: Local<bool>,
) -> Result {
    let context = contexts.ctx_mut()?;
    if !*themed {
        theme::apply_theme(context);
        *themed = true;
    }
    sources.show(|screen| {
        let place = place.0.filter(|_| *mode == OverlayMode::Strip);
        strip::show(context, screen, place);
        if *mode == OverlayMode::Full {
            panel::show(context, screen);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(app: &mut App, keys: &[KeyCode]) -> OverlayMode {
        let mut input = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
        input.reset_all();
        keys.iter().for_each(|&key| input.press(key));
        app.update();
        *app.world().resource::<OverlayMode>()
    }

    #[test]
    fn f3_cycles_the_modes_and_shift_f3_toggles_full() {
        let mut app = App::new();
        app.init_resource::<ButtonInput<KeyCode>>()
            .insert_resource(OverlayMode::Strip)
            .add_systems(Update, switch_mode);
        let f3 = [KeyCode::F3];
        let shifted = [KeyCode::ShiftLeft, KeyCode::F3];
        let rounds =
            [&f3[..], &f3, &f3, &shifted, &shifted, &shifted].map(|keys| press(&mut app, keys));
        use OverlayMode::{Full, Hidden, Strip};
        assert_eq!(rounds, [Hidden, Full, Strip, Full, Hidden, Full]);
        assert_eq!(press(&mut app, &[KeyCode::KeyK]), Full);
        let for_its_own_window = [KeyCode::ControlLeft, KeyCode::F3];
        assert_eq!(press(&mut app, &for_its_own_window), Full);
    }
}
