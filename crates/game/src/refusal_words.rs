//! Refused commands in words, for the window and the feed.
//!
//! In English the reasons of orders are those of the rules, and those of the table do without the
//! hints to the command line.

use raftian_realm::crowns;
#[cfg(feature = "client")]
use raftian_realm::table::{HANDICAPS, MAX_SPEED, MAX_WINDOW, Refusal};

use crate::report_words::{clock, resource_words};

/// Why the table or the match refused a command.
#[cfg(feature = "client")]
pub(crate) fn refusal_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Order(refusal) => order_refusal_words(refusal),
        Refusal::HasSeat => text!("you have a seat already"),
        Refusal::NoSeat => text!("you have no seat; take one before a match"),
        Refusal::NoSuchSeat => text!("the table has no such seat"),
        Refusal::Full => text!("all seats are taken"),
        Refusal::Playing => text!("a match is played; wait for its end"),
        Refusal::NotPlaying => text!("no match is played"),
        Refusal::OtherMatch => text!("another match has begun since then; look at it first"),
        Refusal::NotInMatch => text!("you had no seat in the last match; wait for the next one"),
        Refusal::Seats => text!(
            "a match has {least} to {most} seats",
            least = crowns::SEATS.start(),
            most = crowns::SEATS.end()
        ),
        Refusal::Window => text!("a fair window has up to {most} ms", most = MAX_WINDOW),
        Refusal::Speed => text!("a match has a speed of 1 to {most}", most = MAX_SPEED),
        Refusal::Sandbox => {
            text!("a sandbox begins and ends only while no player has a seat")
        }
        Refusal::TooFewSeats => text!("more seats are taken than that; remove bots first"),
        Refusal::Handicap => text!(
            "a handicap is {least} to {most} percent",
            least = HANDICAPS.start(),
            most = HANDICAPS.end()
        ),
        Refusal::NoBot => text!("there is no bot at this seat"),
        Refusal::Alone => text!("a match needs two players or bots"),
        Refusal::NotReady => text!("not all players are ready"),
        Refusal::NotYourBot => text!("another member runs this bot"),
        Refusal::NotEnded => text!("a match is being played; ask for another one after its end"),
        Refusal::NotPlayed => text!("no match was played; begin one"),
        // The window gives no commands of bots and stewards, and notes no absence.
        other => text!("command|{reason}", reason = other),
    }
}

/// Why the rules of Crowns refused an order.
pub(crate) fn order_refusal_words(refusal: &crowns::Refusal) -> String {
    use crowns::Refusal;
    match refusal {
        Refusal::NoSeat => text!("there is no such seat"),
        Refusal::OwnSeat => text!("that is your own seat"),
        Refusal::Ended => text!("the match has ended"),
        Refusal::Fallen => text!("the city has fallen"),
        Refusal::TooFast => text!("too many orders in a short time; wait a moment"),
        Refusal::TooExpensive { resource, missing } => text!(
            "{missing} more {resource} is needed",
            missing,
            resource = resource_words(*resource)
        ),
        Refusal::HighestLevel => text!("it has its highest level"),
        Refusal::SiteTaken => text!("another building waits already"),
        Refusal::NothingBuilt => text!("nothing is built"),
        Refusal::SmallBarracks(level) => text!("the barracks must have level {level}", level),
        Refusal::Number(most) => text!("the number must be 1 to {most}", most),
        Refusal::BusyBarracks => text!("the barracks have enough to do"),
        Refusal::NoSuchUnits => text!("the city does not have these units"),
        Refusal::NoSuchPlace => text!("there is no such place"),
        Refusal::FallenPlace => text!("that city has fallen"),
        Refusal::TooManyMarches => {
            text!("{most} marches are under way", most = crowns::MAX_MARCHES)
        }
        Refusal::NoSuchMarch => text!("there is no such march under way"),
        Refusal::NoGarrison => text!("there is no garrison of this seat"),
        Refusal::SameResource => text!("a resource is not swapped for itself"),
        Refusal::TooLittle => text!("so little is worth nothing of the other resource"),
        Refusal::NoGoods => text!("nothing is given; name an amount of wood, iron or grain"),
        Refusal::NoRoom => text!("the store has no room for it"),
        Refusal::SuddenDeath => text!("keeps are no longer repaired"),
        Refusal::AtPeace => text!("a pact forbids it; end the pact first"),
        Refusal::SamePact => text!("it is offered or agreed already"),
        Refusal::NoOffer => text!("that seat offers no pact"),
        Refusal::NoPact => text!("there is no pact to end"),
        Refusal::TwoLeft => text!("the last two cities have no pacts"),
        Refusal::CloseToVictory => text!("a seat so close to victory has no pacts"),
        Refusal::TooManyCaravans => {
            text!("{most} caravans are under way", most = crowns::MAX_CARAVANS)
        }
        Refusal::NoSuchCity(count) => text!("no such city; this map has 1 to {count}", count),
        Refusal::NoSuchOasis(count) => text!("no such oasis; this map has 1 to {count}", count),
        Refusal::OwnCity => text!("this is your own city"),
        Refusal::NoUnits => text!("an army has at least one unit; name some"),
        Refusal::OffMap(tiles) => text!("the map ends {tiles} tiles from the Throne", tiles),
        Refusal::WholeKeep => text!("the keep is whole"),
        Refusal::PactEnding(until) => text!(
            "the pact is ending and forbids it until {time}",
            time = clock(*until)
        ),
        other => text!("command|{reason}", reason = other),
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{Refusal, Resource};

    use super::*;

    #[test]
    fn reasons_of_orders_are_those_of_the_rules() {
        for refusal in [
            Refusal::NoSeat,
            Refusal::OwnSeat,
            Refusal::Ended,
            Refusal::Fallen,
            Refusal::TooFast,
            Refusal::TooExpensive {
                resource: Resource::Iron,
                missing: 7,
            },
            Refusal::HighestLevel,
            Refusal::SiteTaken,
            Refusal::NothingBuilt,
            Refusal::SmallBarracks(2),
            Refusal::Number(9),
            Refusal::BusyBarracks,
            Refusal::NoSuchUnits,
            Refusal::NoSuchPlace,
            Refusal::FallenPlace,
            Refusal::TooManyMarches,
            Refusal::NoSuchMarch,
            Refusal::NoGarrison,
            Refusal::SameResource,
            Refusal::TooLittle,
            Refusal::NoGoods,
            Refusal::NoRoom,
            Refusal::SuddenDeath,
            Refusal::AtPeace,
            Refusal::SamePact,
            Refusal::NoOffer,
            Refusal::NoPact,
            Refusal::TwoLeft,
            Refusal::CloseToVictory,
            Refusal::TooManyCaravans,
            Refusal::NoSuchCity(8),
            Refusal::NoSuchOasis(12),
            Refusal::OwnCity,
            Refusal::NoUnits,
            Refusal::OffMap(7),
            Refusal::WholeKeep,
            Refusal::PactEnding(61_000),
        ] {
            assert_eq!(order_refusal_words(&refusal), refusal.to_string());
        }
    }
}
