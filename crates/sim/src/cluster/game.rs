//! The game's own rules as part of the simulated application: classic mode and a table of Crowns.
//!
//! In a share of the storms the updates of clients carry orders, most of them those of bots. So the
//! comparison of states, snapshots and repairs is tested on real rules.

use raftian_bots::Bot;
use raftian_node::wire;
use raftian_raft::{Entry, NodeId};
use raftian_realm::classic::{CityId, Order, Realm};
use raftian_realm::crowns;
use raftian_realm::table::{
    Archetype, Command, Level, MAX_SPEED, Occupant, Origin, PlayerId, Setup, Table,
};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::splitmix::mix;

/// Factor by which stamps are multiplied: a storm takes some seconds, a match of Crowns minutes.
const CLOCK: u64 = 10;

/// Cities of the classic realm.
const CITIES: u8 = 5;

/// Largest number of orders that an update carries.
const MOST_ORDERS: usize = 6;

/// An order of either mode.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum GameOrder {
    /// Of classic mode.
    Classic(Order),
    /// Of the table of Crowns, with the number of matches that its client saw begin.
    Table(Command, u32),
}

/// State of the game.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Game {
    realm: Realm,
    table: Table,
}

impl Default for Game {
    fn default() -> Self {
        Game {
            realm: Realm::new_classic(CITIES),
            table: Table::default(),
        }
    }
}

impl Game {
    /// The table of Crowns.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Applies the orders of an update.
    pub(super) fn apply(&mut self, orders: &[u8], entry: &Entry, client: u64, member: NodeId) {
        // An update without orders, or with bytes that are none, changes nothing on any machine.
        let Ok(orders) = wire::decode_value::<Vec<GameOrder>>(orders) else {
            return;
        };
        for (number, order) in (0..).zip(orders) {
            let round = match &order {
                GameOrder::Table(_, round) => *round,
                GameOrder::Classic(_) => 0,
            };
            let origin = Origin {
                player: player(client),
                member: member.0,
                stamp: entry.stamp.0.saturating_mul(CLOCK),
                random: mix(entry.index.0, entry.term.0, number),
                round,
            };
            match order {
                GameOrder::Classic(order) => {
                    let _effect = self.realm.apply(&order);
                }
                GameOrder::Table(command, _) => {
                    let _may_be_refused = self.table.apply(&command, &origin);
                }
            }
        }
    }

    /// A hash of the whole state.
    pub(super) fn hash(&self) -> u64 {
        let bytes = wire::encode_state(self).expect("a simulated state is small");
        let hash = bytes.chunks(8).fold(0, |hash, chunk| {
            let mut number = [0; 8];
            number[..chunk.len()].copy_from_slice(chunk);
            mix(hash, u64::from_le_bytes(number), 0)
        });
        mix(hash, bytes.len() as u64, 1)
    }

    /// Draws the orders that a client gives through a member, as it sees the state there.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng, client: u64, member: NodeId) -> Vec<GameOrder> {
        if rng.random_bool(0.2) {
            let city = CityId(rng.random_range(0..=CITIES + 1));
            return vec![GameOrder::Classic(Order::Attack { city })];
        }
        let commands = if self.table.is_playing() {
            self.draw_orders(rng, client, member)
        } else {
            draw_lobby(rng)
        };
        let round = self.table.rounds();
        let orders = commands.into_iter();
        orders
            .map(|command| GameOrder::Table(command, round))
            .collect()
    }

    /// Orders during a match: of the own seat, of a bot, or nonsense.
    fn draw_orders(&self, rng: &mut ChaCha8Rng, client: u64, member: NodeId) -> Vec<Command> {
        let table = &self.table;
        let (Some(game), Some(seed)) = (table.game(), table.seed()) else {
            return Vec::new();
        };
        let seats = u8::try_from(table.chairs().len()).unwrap_or(u8::MAX);
        let seat = rng.random_range(0..seats);
        let kind = Archetype::ALL[rng.random_range(0..Archetype::ALL.len())];
        let bot = Bot::new(Level::Captain, kind);
        let chair = &table.chairs()[usize::from(seat)];
        match &chair.occupant {
            Occupant::Bot(seated) if seated.member == member.0 || rng.random_bool(0.3) => {
                vec![Command::BotOrders {
                    seat,
                    decision: seated.decision + rng.random_range(0..3),
                    orders: bot.orders(game, seat, seed),
                }]
            }
            Occupant::Bot(_) => {
                let alive = Command::BotAlive { seat };
                vec![Command::AdoptBot { seat }, alive]
            }
            Occupant::Player(_) | Occupant::Open => {
                let own = table.seat_of(player(client)).unwrap_or(seat);
                let mut orders = bot.orders(game, own, seed);
                if rng.random_bool(0.1) {
                    orders.push(nonsense(rng));
                }
                if rng.random_bool(0.2) {
                    let order = crowns::Order::Train(crowns::UnitKind::Spear, 3);
                    let steward = Command::StewardOrder { seat, order };
                    return vec![Command::NoteAbsent { seat }, steward, Command::Abandon];
                }
                orders.truncate(MOST_ORDERS);
                orders.into_iter().map(Command::Order).collect()
            }
        }
    }
}

/// Commands before a match, in the order in which they begin one.
fn draw_lobby(rng: &mut ChaCha8Rng) -> Vec<Command> {
    let setup = Setup {
        seats: rng.random_range(2..=5),
        window: rng
            .random_bool(0.5)
            .then_some(if rng.random_bool(0.6) { 200 } else { 0 }),
        speed: MAX_SPEED,
        ..Setup::default()
    };
    let kind = Archetype::ALL[rng.random_range(0..Archetype::ALL.len())];
    let bot = Command::AddBot {
        level: Level::Captain,
        archetype: kind,
    };
    let far = Command::Distance(rng.random_bool(0.3));
    let mut commands = vec![
        far,
        Command::Sit,
        Command::Configure(setup.into()),
        bot.clone(),
        bot,
    ];
    if rng.random_bool(0.7) {
        commands.extend([Command::Ready(true), Command::Start]);
    } else {
        commands.extend([Command::Rematch(true), Command::Stand]);
    }
    commands
}

/// An order that is mostly refused.
fn nonsense(rng: &mut ChaCha8Rng) -> crowns::Order {
    match rng.random_range(0..4) {
        0 => crowns::Order::TurnBack {
            march: rng.random_range(0..50),
        },
        1 => crowns::Order::CallHome(crowns::Place::Oasis(rng.random_range(0..20))),
        2 => crowns::Order::Pact {
            with: rng.random_range(0..6),
            order: crowns::PactOrder::Offer,
        },
        _ => crowns::Order::Concede,
    }
}

/// The player behind a client.
fn player(client: u64) -> PlayerId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&client.to_be_bytes());
    PlayerId(id)
}
