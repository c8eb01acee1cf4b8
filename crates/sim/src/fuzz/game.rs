//! The game: bytes as orders, and bytes as a stored table.

use raftian_bots::{Archetype, Bot, Level};
use raftian_node::wire;
use raftian_realm::crowns::{
    Army, Attack, Building, Order, PactOrder, Phrase, Place, Resource, UnitKind, Words,
};
use raftian_realm::table::{Command, Origin, PlayerId, Setup, Table};

use super::{Answer, Defect, Target};

/// A command with its player, and the milliseconds since the one before.
type Step = (u8, u16, Command);

/// Milliseconds of one unit of a step's pause: a match takes some hundred steps.
const PAUSE: u64 = 20;

pub(super) const ORDERS: Target = Target {
    name: "orders",
    about: "never panics; the same orders lead to the same table, also through a stored one",
    longest: 4096,
    takes_anything: false,
    corpus: || vec![encode(&lobby()), encode(&opening()), encode(&bots())],
    check: |bytes| {
        let Ok(steps) = wire::decode_value::<Vec<Step>>(bytes) else {
            return Ok(Answer::Refused);
        };
        let mut through = Table::default();
        let mut stored = Table::default();
        let mut stamp = 0;
        for step in &steps {
            stamp += u64::from(step.1) * PAUSE;
            apply(&mut through, step, stamp);
            let bytes = wire::encode_state(&stored).map_err(Defect::NotEncoded)?;
            stored = wire::decode_state(&bytes).map_err(Defect::NotDecoded)?;
            apply(&mut stored, step, stamp);
        }
        if through == stored {
            Ok(Answer::Taken)
        } else {
            Err(Defect::Changed {
                encoded: format!("{through:?}"),
                decoded: format!("{stored:?}"),
            })
        }
    },
};

pub(super) const TABLE: Target = Target {
    name: "table",
    about: "never panics; a stored table is refused, or plays on to its end",
    longest: 16_384,
    takes_anything: false,
    corpus: || {
        let tables = [lobby(), opening(), bots()].map(|steps| played(&steps));
        let stored = tables
            .iter()
            .map(|table| wire::encode_state(table).expect("a small table"));
        stored.collect()
    },
    check: |bytes| {
        let Ok(mut table) = wire::decode_state::<Table>(bytes) else {
            return Ok(Answer::Refused);
        };
        let first = table.game().map_or(0, |game| game.now());
        for minute in 0..22 {
            let stamp = first.saturating_add(minute * 60_000);
            for seat in 0..8 {
                let orders = table.game().map(|game| {
                    Bot::new(Level::Captain, Archetype::Rush).orders(game, seat, minute)
                });
                for order in orders.unwrap_or_default() {
                    apply(&mut table, &(seat, 0, Command::Order(order)), stamp);
                }
            }
            table.advance(stamp);
        }
        Ok(Answer::Taken)
    },
};

fn apply(table: &mut Table, (player, _, command): &Step, stamp: u64) {
    let origin = Origin {
        player: PlayerId([*player; 16]),
        member: u64::from(*player),
        stamp,
        random: stamp,
        round: table.rounds(),
    };
    let _may_be_refused = table.apply(command, &origin);
}

fn encode(steps: &[Step]) -> Vec<u8> {
    wire::encode_value(&steps).expect("a sample fits")
}

fn played(steps: &[Step]) -> Table {
    let mut table = Table::default();
    let mut stamp = 0;
    for step in steps {
        stamp += u64::from(step.1) * PAUSE;
        apply(&mut table, step, stamp);
    }
    table
}

/// Players who take seats and agree.
fn lobby() -> Vec<Step> {
    let setup = Setup {
        seats: 3,
        window: Some(200),
        speed: 1,
        ..Setup::default()
    };
    let handicap = Command::Handicap {
        seat: 1,
        percent: 120,
    };
    let bot = Command::AddBot {
        level: Level::Captain,
        archetype: Archetype::Boom,
    };
    vec![
        (0, 1, Command::Sit),
        (1, 1, Command::Sit),
        (1, 1, Command::Distance(true)),
        (0, 1, Command::Configure(setup.into())),
        (0, 1, handicap),
        (0, 1, bot),
        (1, 1, Command::Ready(true)),
        (0, 1, Command::Start),
    ]
}

/// Orders of every kind.
fn opening() -> Vec<Step> {
    let march = |to, attack| Order::March {
        army: Army::new([1, 0, 0, 0]),
        to,
        attack,
    };
    let swap = Order::Swap {
        give: Resource::Wood,
        amount: 9,
        receive: Resource::Iron,
    };
    let pact = |with, order| Order::Pact { with, order };
    let give = Order::Give {
        to: 2,
        goods: [3, 0, 1],
    };
    let orders = [
        (0, Order::Build(Building::Field(Resource::Grain))),
        (1, Order::Build(Building::Wall)),
        (0, Order::Train(UnitKind::Axe, 2)),
        (0, march(Place::Oasis(0), Attack::Assault)),
        (1, march(Place::City(0), Attack::Raid)),
        (0, swap),
        (0, Order::Repair(true)),
        (0, pact(2, PactOrder::Offer)),
        (1, pact(0, PactOrder::Offer)),
        (0, pact(1, PactOrder::Accept)),
        (1, give),
        (1, Order::CancelBuild),
        (0, Order::TurnBack { march: 4 }),
        (0, Order::CallHome(Place::Oasis(0))),
        (1, Order::Say(Words::Phrase(Phrase::Hello))),
        (0, pact(1, PactOrder::End)),
        (1, Order::Concede),
    ];
    let orders = orders.map(|(player, order)| (player, 150, Command::Order(order)));
    lobby().into_iter().chain(orders).collect()
}

/// The commands around bots and absent players, and the next match.
fn bots() -> Vec<Step> {
    let decide = |decision| Command::BotOrders {
        seat: 2,
        decision,
        orders: vec![Order::Build(Building::Store), Order::Concede],
    };
    let steward = Command::StewardOrder {
        seat: 1,
        order: Order::Train(UnitKind::Spear, 1),
    };
    let adopt = Command::AdoptBot { seat: 2 };
    let steps = [
        (0, 100, decide(1)),
        (0, 1, Command::BotAlive { seat: 2 }),
        (1, 200, adopt),
        (1, 1, Command::Steward(true)),
        (0, 900, Command::NoteAbsent { seat: 1 }),
        (0, 1, Command::Abandon),
        (0, 110, steward),
        (1, 1, Command::Present),
        (1, 1, decide(2)),
        (1, 1, Command::Order(Order::Concede)),
        (0, 1, Command::Rematch(true)),
        (1, 1, Command::Rematch(true)),
        (1, 1, Command::RemoveBot { seat: 1 }),
        (1, 1, Command::Stand),
    ];
    lobby().into_iter().chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of a command; the compiler asks for each.
    fn number(command: &Command) -> usize {
        match command {
            Command::Sit => 0,
            Command::Stand => 1,
            Command::Ready(_) => 2,
            Command::Configure(_) => 3,
            Command::Handicap { .. } => 4,
            Command::AddBot { .. } => 5,
            Command::RemoveBot { .. } => 6,
            Command::Start => 7,
            Command::Order(_) => 8,
            Command::BotOrders { .. } => 9,
            Command::BotAlive { .. } => 10,
            Command::AdoptBot { .. } => 11,
            Command::NoteAbsent { .. } => 12,
            Command::Abandon => 13,
            Command::Steward(_) => 14,
            Command::StewardOrder { .. } => 15,
            Command::Distance(_) => 16,
            Command::Rematch(_) => 17,
            Command::Present => 18,
        }
    }

    /// Every command is part of the corpus, so that mutations reach all of them.
    #[test]
    fn corpus_has_every_command() {
        let all: Vec<_> = [lobby(), opening(), bots()].concat();
        let mut numbers: Vec<_> = all.iter().map(|(.., command)| number(command)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers, (0..19).collect::<Vec<_>>());
    }
}
