//! `raftian join`: joins a running match, or continues as a member of it.

use std::io::Read;

use clap::Args;
use raftian_node::match_request::Part;
use raftian_node::player::{Invitation, join};
use raftian_node::ticket::{MAX_TICKET, TicketError};

use super::member::{PlaceArgs, check_display, player, run as run_member};
use super::{Exit, Failure};

#[derive(Args, Debug)]
pub(super) struct JoinArgs {
    /// The ticket or code, or - to read it from standard input.
    ticket: String,
    /// Your name; the default is that of the user.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Join without a vote: the match never waits for this machine.
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
    let mut given = text.to_owned();
    if text == "-" {
        given.clear();
        std::io::stdin()
            .take(4 * MAX_TICKET as u64)
            .read_to_string(&mut given)
            .map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot read the ticket: {error}"))
            })?;
    }
    given.parse().map_err(|error: TicketError| {
        let exit = match error {
            TicketError::ForeignVersion { .. } => Exit::Version,
            _ => Exit::Refused,
        };
        Failure::new(exit, error.to_string())
    })
}
