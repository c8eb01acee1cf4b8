//! `raftian join`: joins a running match, or continues as a member of it.

use std::io::{BufRead, IsTerminal, Read};

use clap::Args;
use raftian_node::address::Address;
use raftian_node::code::ParseCodeError;
use raftian_node::match_request::Part;
use raftian_node::player::{Invitation, join};
use raftian_node::ticket::{MAX_TICKET, TicketError};

use super::member::{PlaceArgs, check_display, player, run as run_member};
use super::{Exit, Failure};
use crate::terminal::note;

#[derive(Args, Debug)]
pub(super) struct JoinArgs {
    /// The ticket or code, or - to read it from standard input; or the address HOST:PORT of a
    /// member, for networks without mDNS: then the code is read from standard input.
    /// CODE@HOST:PORT names both.
    #[arg(value_name = "TICKET|CODE|-|HOST:PORT")]
    ticket: String,
    /// Your name; the default is that of the user.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Join to watch: the match never waits for this machine. It gets a vote only while two players
    /// need a third machine.
    #[arg(long)]
    spectate: bool,
    /// Join as a witness, which votes and stores no orders: with it a match of two goes on after a
    /// crash of one.
    #[arg(long, conflicts_with = "spectate", requires = "headless")]
    witness: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: &JoinArgs, log_level: &str) -> Result<Exit, Failure> {
    check_display(&args.place)?;
    let invitation = read_invitation(&args.ticket)?;
    let player = player(args.name.clone(), &args.place)?;
    let part = match (args.spectate, args.witness) {
        (true, _) => Part::Spectator,
        (_, true) => Part::Witness,
        _ => Part::Player,
    };
    let launch = join(&player, &invitation, part)?;
    run_member(launch, &args.place, log_level)
}

fn read_invitation(text: &str) -> Result<Invitation, Failure> {
    let given = if text == "-" {
        let mut ticket = String::new();
        input().read_to_string(&mut ticket).map_err(unreadable)?;
        ticket
    } else if let Ok(address) = text.parse::<Address>() {
        if std::io::stdin().is_terminal() {
            note("the code of the match, such as RAFT-7K3Q-2MXT:");
        }
        let mut code = String::new();
        input().read_line(&mut code).map_err(unreadable)?;
        let code = code
            .parse()
            .map_err(|error: ParseCodeError| Failure::new(Exit::Refused, error.to_string()))?;
        return Ok(Invitation::At(code, address));
    } else {
        text.to_owned()
    };
    given.parse().map_err(|error: TicketError| {
        let exit = match error {
            TicketError::ForeignVersion { .. } => Exit::Version,
            _ => Exit::Refused,
        };
        Failure::new(exit, error.to_string())
    })
}

/// Returns the start of standard input, as long as a ticket that was broken into lines may be.
fn input() -> impl BufRead {
    std::io::stdin().lock().take(4 * MAX_TICKET as u64)
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read standard input: {error}"))
}
