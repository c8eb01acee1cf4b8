//! Actions of the player, by a button or a key, and whether they are possible at present.

use bevy::input_focus::{InputFocus, InputFocusVisible};
use bevy::prelude::*;
use bevy::time::Real;
use bevy::ui::InteractionDisabled;
use bevy::ui_widgets::Activate;
use raftian_realm::crowns::{
    Attack, Building, Crowns, Order, Pact, PactOrder, Phrase, Resource, Resources, UnitKind, Words,
};
use raftian_realm::table::{Archetype, Command, Level, Occupant, Table};

use super::CrownsSystems;
use super::chat::IsChatting;
use super::composer::Composer;
use super::hold::is_to_be_held;
use super::input::HoveredTile;
use super::orders::{Give, Notice, PendingOrders};
use super::panels::SideMode;
use super::pause::{IsGivingUp, IsLeaving, IsPaused};
use super::perspective::Perspective;
use crate::report_words::resource_words;
use crate::screens::Screen;
use crate::screens::settings::ShowSettings;
use crate::settings::Settings;
use crate::status_document::OwnMember;
use crate::table::ReplicatedTable;

/// Units that one press trains with Shift.
const MANY: u32 = 5;

/// Amount that one press swaps at the market.
pub(super) const SWAPPED: u64 = 60;

/// Amount that one press gives to another seat.
pub(super) const GIFT: u64 = 50;

/// Something the player can do.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Build(Building),
    CancelBuild,
    Train(UnitKind),
    Repair,
    /// Swaps one resource for another.
    Swap(Resource, Resource),
    /// Turns round the march in this row of the list.
    TurnBack(usize),
    /// Opens the composer, or turns to its next target.
    Attack,
    PreviousTarget,
    More(UnitKind),
    Fewer(UnitKind),
    All(UnitKind),
    SwitchAttack,
    Send,
    CallHome,
    Close,
    /// Opens or closes the panel of the other seats.
    Others,
    /// Offers a seat a pact, or accepts its offer.
    OfferPact(u8),
    /// Ends the pact with a seat, or an offer of one.
    EndPact(u8),
    Gift(u8, Resource),
    Say(Phrase),
    /// Opens the field for a message.
    Chat,
    /// Points at the tile under the pointer, or at the target of the plan.
    Ping,
    /// Gives up the city, after it was asked for twice.
    Concede,
    /// Copies the ticket of the match.
    CopyTicket,
    /// Shows or hides the ticket as a picture.
    ShowTicket,
    Rematch,
    /// Opens or closes the menu over the match.
    Pause,
    /// Opens the page of settings.
    Settings,
    Menu,
    Sit,
    Stand,
    Ready,
    AddBot(Level),
    RemoveBot,
    Start,
}

impl Action {
    /// Whether it needs no city: the table itself refuses what is impossible.
    fn needs_no_city(self) -> bool {
        matches!(
            self,
            Action::Menu
                | Action::Pause
                | Action::Settings
                | Action::Close
                | Action::Others
                | Action::Say(_)
                | Action::Chat
                | Action::Ping
                | Action::CopyTicket
                | Action::ShowTicket
                | Action::Sit
                | Action::Stand
                | Action::Ready
                | Action::AddBot(_)
                | Action::RemoveBot
                | Action::Start
        )
    }
}

/// The player does something, several times at once if `is_many`.
#[derive(Event, Clone, Copy, Debug)]
pub(super) struct Perform {
    pub(super) action: Action,
    pub(super) is_many: bool,
}

pub(super) fn plugin(app: &mut App) {
    app.add_observer(press)
        .add_observer(perform)
        .add_systems(Update, disable_impossible.in_set(CrownsSystems::Draw));
}

fn press(
    activated: On<Activate>,
    actions: Query<&Action>,
    keys: Res<ButtonInput<KeyCode>>,
    visible: Res<InputFocusVisible>,
    mut focus: ResMut<InputFocus>,
    mut commands: Commands,
) {
    let Ok(&action) = actions.get(activated.entity) else {
        return;
    };
    // A button that was clicked must not receive the next Enter.
    if !visible.0 {
        focus.clear();
    }
    let is_many = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    commands.trigger(Perform { action, is_many });
}

fn perform(
    perform: On<Perform>,
    perspective: Res<Perspective>,
    table: Res<ReplicatedTable>,
    member: Option<Res<OwnMember>>,
    time: Res<Time<Real>>,
    hovered: Res<HoveredTile>,
    mut composer: ResMut<Composer>,
    mut side: ResMut<SideMode>,
    mut chatting: ResMut<IsChatting>,
    settings: Res<Settings>,
    mut paused: ResMut<IsPaused>,
    mut giving_up: ResMut<IsGivingUp>,
    mut leaving: ResMut<IsLeaving>,
    mut notice: ResMut<Notice>,
    mut next: ResMut<NextState<Screen>>,
    mut commands: Commands,
) {
    let Perform { action, is_many } = *perform;
    match action {
        Action::Pause => paused.0 = !paused.0,
        Action::Settings => commands.trigger(ShowSettings),
        // A member leaves its match when its window is closed.
        Action::Menu if member.is_some() => {}
        Action::Menu => {
            let has_ended = perspective
                .game
                .as_ref()
                .is_none_or(|game| game.end().is_some());
            let is_asked = settings.game.confirm_leaving || is_to_be_held(action, &settings);
            if is_asked && !has_ended && !leaving.0 {
                // A button that must be held has its own way.
                leaving.0 = !is_to_be_held(action, &settings);
            } else {
                next.set(Screen::Menu);
            }
        }
        Action::Rematch
        | Action::Sit
        | Action::Stand
        | Action::Ready
        | Action::AddBot(_)
        | Action::RemoveBot
        | Action::Start => {
            if let Some(command) = table_command(action, &table.0, perspective.own) {
                commands.trigger(Give(command));
            }
        }
        Action::Close => {
            composer.close();
            *side = SideMode::City;
        }
        Action::Others => {
            composer.close();
            *side = match *side {
                SideMode::Others => SideMode::City,
                SideMode::City | SideMode::Plan => SideMode::Others,
            };
        }
        Action::Chat => chatting.0 = true,
        // `invitation` performs them.
        Action::CopyTicket | Action::ShowTicket => {}
        Action::Ping => {
            let game = perspective.game.as_ref();
            let target = composer.target.zip(game);
            let target = target.and_then(|(place, game)| game.map().tile(place));
            match target.or(hovered.0) {
                Some(tile) => commands.trigger(Give(Command::Order(Order::Ping(tile)))),
                None => notice.show(text!("Point at a tile of the map first."), time.elapsed()),
            }
        }
        Action::Concede if !giving_up.0 => giving_up.0 = !is_to_be_held(action, &settings),
        Action::Attack => composer.next_target(&perspective),
        Action::PreviousTarget => composer.previous_target(&perspective),
        Action::More(kind) => composer.change(&perspective, kind, if is_many { 5 } else { 1 }),
        Action::Fewer(kind) => composer.change(&perspective, kind, if is_many { -5 } else { -1 }),
        Action::All(kind) => composer.take_all(&perspective, kind),
        Action::SwitchAttack => composer.switch_attack(),
        Action::Build(_)
        | Action::CancelBuild
        | Action::Train(_)
        | Action::Repair
        | Action::Swap(..)
        | Action::TurnBack(_)
        | Action::Send
        | Action::CallHome
        | Action::OfferPact(_)
        | Action::EndPact(_)
        | Action::Gift(..)
        | Action::Say(_)
        | Action::Concede => {
            if let Err(reason) = check(action, &perspective, &composer) {
                notice.show(reason, time.elapsed());
            } else if let Some(order) = order_of(action, is_many, &perspective, &composer) {
                if matches!(action, Action::Send | Action::CallHome) {
                    composer.close();
                }
                if action == Action::Concede {
                    paused.0 = false;
                }
                commands.trigger(Give(Command::Order(order)));
            }
        }
    }
}

/// The command of an action at the table, outside a match.
fn table_command(action: Action, table: &Table, own: Option<u8>) -> Option<Command> {
    let chair = own.and_then(|own| table.chairs().get(usize::from(own)));
    match action {
        Action::Rematch => Some(Command::Rematch(true)),
        Action::Sit => Some(Command::Sit),
        Action::Stand => Some(Command::Stand),
        Action::Ready => match chair.map(|chair| &chair.occupant) {
            Some(Occupant::Player(player)) => Some(Command::Ready(!player.is_ready)),
            Some(Occupant::Bot(_) | Occupant::Open) | None => Some(Command::Ready(true)),
        },
        Action::AddBot(level) => {
            // Neighbours play differently.
            let archetype = Archetype::ALL[(table.bots().count() * 5 + 5) % Archetype::ALL.len()];
            Some(Command::AddBot { level, archetype })
        }
        Action::RemoveBot => {
            let (seat, _) = table.bots().last()?;
            Some(Command::RemoveBot { seat })
        }
        Action::Start => Some(Command::Start),
        _ => None,
    }
}

/// The order of an action; `None` for one that has no order at present.
fn order_of(
    action: Action,
    is_many: bool,
    perspective: &Perspective,
    composer: &Composer,
) -> Option<Order> {
    if let Action::Say(phrase) = action {
        return Some(Order::Say(Words::Phrase(phrase)));
    }
    let (own, game, city) = perspective.city()?;
    match action {
        Action::OfferPact(with) => {
            let order = PactOrder::Offer;
            Some(Order::Pact { with, order })
        }
        Action::EndPact(with) => {
            let order = PactOrder::End;
            Some(Order::Pact { with, order })
        }
        Action::Gift(to, resource) => {
            let mut goods = [0; 3];
            goods[resource as usize] = GIFT;
            Some(Order::Give { to, goods })
        }
        Action::Concede => Some(Order::Concede),
        Action::Build(building) => Some(Order::Build(building)),
        Action::CancelBuild => Some(Order::CancelBuild),
        Action::Train(kind) => Some(Order::Train(kind, if is_many { MANY } else { 1 })),
        Action::Repair => Some(Order::Repair(!city.is_repaired())),
        Action::Swap(give, receive) => Some(Order::Swap {
            give,
            amount: SWAPPED,
            receive,
        }),
        Action::TurnBack(row) => {
            let march = own_marches(game, own).nth(row)?;
            Some(Order::TurnBack { march: march.0 })
        }
        Action::Send => Some(Order::March {
            army: composer.army(),
            to: composer.target?,
            attack: composer.attack,
        }),
        Action::CallHome => Some(Order::CallHome(composer.target?)),
        Action::Attack
        | Action::PreviousTarget
        | Action::More(_)
        | Action::Fewer(_)
        | Action::All(_)
        | Action::SwitchAttack
        | Action::Close
        | Action::Others
        | Action::Say(_)
        | Action::Chat
        | Action::Ping
        | Action::CopyTicket
        | Action::ShowTicket
        | Action::Rematch
        | Action::Pause
        | Action::Settings
        | Action::Menu
        | Action::Sit
        | Action::Stand
        | Action::Ready
        | Action::AddBot(_)
        | Action::RemoveBot
        | Action::Start => None,
    }
}

/// The marches of a seat that have not turned round yet.
pub(super) fn own_marches(
    game: &Crowns,
    seat: u8,
) -> impl Iterator<Item = (u64, &raftian_realm::crowns::March)> + '_ {
    game.marches().filter(move |(_, march)| march.seat == seat)
}

/// Checks whether an action is possible at present.
///
/// # Errors
/// A sentence with the reason.
pub(super) fn check(
    action: Action,
    perspective: &Perspective,
    composer: &Composer,
) -> Result<(), String> {
    if action.needs_no_city() {
        return Ok(());
    }
    if action == Action::Rematch {
        let has_ended = perspective
            .game
            .as_ref()
            .is_some_and(|game| game.end().is_some());
        return is_so(has_ended, || text!("The match is not over."));
    }
    let Some((own, game, city)) = perspective.city() else {
        return Err(text!("Your city has fallen, or you have none."));
    };
    match action {
        Action::Build(building) => {
            is_so(city.sites().1.is_none(), || {
                text!("Another building waits already.")
            })?;
            let cost = game.building_cost(own, building);
            let cost = cost.ok_or_else(|| text!("It has its highest level."))?;
            affords(game, own, cost)
        }
        Action::CancelBuild => is_so(city.sites().0.is_some(), || text!("Nothing is built.")),
        Action::Train(kind) => {
            let least = least_barracks(game, kind);
            if city.levels().barracks < least {
                return Err(text!("The barracks must have level {least}.", least));
            }
            affords(game, own, game.rules().unit(kind).cost)
        }
        Action::Repair => {
            let is_hurt = city.keep() < game.rules().start.keep || city.is_repaired();
            is_so(is_hurt, || text!("The keep is whole."))?;
            is_so(!game.is_sudden_death(), || {
                text!("Keeps are no longer repaired.")
            })
        }
        Action::Swap(give, receive) => {
            let amounts = game.stock(own).map_or([0; 3], |stock| stock.amounts());
            is_so(give != receive, || text!("Choose another resource."))?;
            let has_enough = amounts[give as usize] >= SWAPPED;
            is_so(has_enough, || text!("There is too little of it."))
        }
        Action::TurnBack(row) => match own_marches(game, own).nth(row) {
            None => Err(text!("There is no such march.")),
            Some((_, march)) => is_so(!march.returns, || text!("It returns already.")),
        },
        Action::OfferPact(seat) => match game.pact(own, seat) {
            Some(Pact::Offered { by }) => {
                is_so(by == seat, || text!("You have offered it already."))
            }
            Some(Pact::Agreed | Pact::Ends(_)) => Err(text!("There is a pact.")),
            None => Ok(()),
        },
        Action::EndPact(seat) => {
            let ends = matches!(game.pact(own, seat), None | Some(Pact::Ends(_)));
            is_so(!ends, || text!("There is no pact to end."))
        }
        Action::Gift(_, resource) => {
            let amounts = game.stock(own).map_or([0; 3], |stock| stock.amounts());
            is_so(amounts[resource as usize] >= GIFT, || {
                text!("There is too little of it.")
            })
        }
        Action::Send => composer.check(game, own, city),
        Action::CallHome => {
            let holding = composer.target.and_then(|place| game.holding(place));
            let is_own = holding.is_some_and(|holding| holding.holder == Some(own));
            is_so(is_own, || text!("You have no garrison there."))
        }
        Action::SwitchAttack => is_so(composer.attacks_city(), || {
            text!("Only a city can be raided.")
        }),
        Action::Attack | Action::PreviousTarget => Ok(()),
        Action::More(kind) | Action::All(kind) => {
            is_so(city.home().count(kind) > composer.count(kind), || {
                text!("No more of them are at home.")
            })
        }
        Action::Fewer(kind) => is_so(composer.count(kind) > 0, || text!("None of them goes.")),
        _ => Ok(()),
    }
}

/// Level of the barracks from which a unit is trained.
pub(super) fn least_barracks(game: &Crowns, kind: UnitKind) -> u8 {
    let rules = &game.rules().barracks;
    match kind {
        UnitKind::Spear | UnitKind::Axe => 1,
        UnitKind::Rider => rules.riders_from,
        UnitKind::Ram => rules.rams_from,
    }
}

fn is_so(is_so: bool, otherwise: fn() -> String) -> Result<(), String> {
    if is_so {
        return Ok(());
    }
    Err(otherwise())
}

/// Checks that a seat has the resources for a cost.
fn affords(game: &Crowns, seat: u8, cost: Resources) -> Result<(), String> {
    let amounts = game.stock(seat).map_or([0; 3], |stock| stock.amounts());
    for resource in Resource::ALL {
        let [cost, has] = [cost, amounts].map(|amounts| amounts[resource as usize]);
        if has < cost {
            return Err(text!(
                "{missing} more {resource} is needed.",
                missing = cost - has,
                resource = resource_words(resource)
            ));
        }
    }
    Ok(())
}

/// Marks buttons whose action is impossible at present.
fn disable_impossible(
    perspective: Res<Perspective>,
    composer: Res<Composer>,
    pending: Res<PendingOrders>,
    buttons: Query<(Entity, &Action, Has<InteractionDisabled>)>,
    mut commands: Commands,
) {
    for (button, action, is_disabled) in &buttons {
        let repeats = *action == Action::Rematch && pending.contains(&Command::Rematch(true));
        let is_impossible = repeats || check(*action, &perspective, &composer).is_err();
        match (is_impossible, is_disabled) {
            (true, false) => {
                commands.entity(button).insert(InteractionDisabled);
            }
            (false, true) => {
                commands.entity(button).remove::<InteractionDisabled>();
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// The name of a way to attack.
pub(super) fn attack_name(attack: Attack) -> String {
    match attack {
        Attack::Raid => text!("Raid: take goods"),
        Attack::Assault => text!("Assault: hit the keep"),
    }
}

#[cfg(test)]
mod tests {
    use bevy::state::app::StatesPlugin;
    use raftian_realm::crowns::Rules;

    use super::*;

    /// An app in a match, of which the player is to leave.
    fn app() -> App {
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, StatesPlugin))
            .insert_state(Screen::Match)
            .init_resource::<ReplicatedTable>()
            .init_resource::<Composer>()
            .init_resource::<Settings>()
            .init_resource::<IsPaused>()
            .init_resource::<IsGivingUp>()
            .init_resource::<SideMode>()
            .init_resource::<IsChatting>()
            .init_resource::<HoveredTile>()
            .init_resource::<IsLeaving>()
            .init_resource::<Notice>()
            .insert_resource(Perspective {
                own: Some(0),
                names: Vec::new(),
                game: Crowns::new(2, 1, Rules::of_this_build(), 0).ok(),
            })
            .add_observer(perform);
        app.update();
        app
    }

    /// Asks to leave, and returns whether the match is left.
    fn leaves(app: &mut App) -> bool {
        app.world_mut().trigger(Perform {
            action: Action::Menu,
            is_many: false,
        });
        app.update();
        *app.world().resource::<State<Screen>>().get() == Screen::Menu
    }

    #[test]
    fn match_is_left_after_a_second_press() {
        let mut app = app();
        assert!(!leaves(&mut app));
        assert!(leaves(&mut app));
    }

    #[test]
    fn match_is_left_at_once_without_a_question() {
        let mut app = app();
        let mut settings = app.world_mut().resource_mut::<Settings>();
        settings.game.confirm_leaving = false;
        assert!(leaves(&mut app));
    }

    #[test]
    fn presses_do_not_leave_if_the_button_is_to_be_held() {
        let mut app = app();
        let mut settings = app.world_mut().resource_mut::<Settings>();
        settings.accessibility.hold_to_confirm = true;
        assert!(!leaves(&mut app));
        assert!(!leaves(&mut app));
    }

    #[test]
    fn lobby_is_left_at_once() {
        let mut app = app();
        app.world_mut().resource_mut::<Perspective>().game = None;
        assert!(leaves(&mut app));
    }
}
