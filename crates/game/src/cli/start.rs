//! `raftian start`: founds a match that others join, or continues one.

use clap::Args;
use raftian_node::cluster::{FirstStart, MemberFile, check_player_name, identity_in};
use raftian_node::contact::{Contact, local_addresses};
use raftian_node::fresh_incarnation;
use raftian_node::store::Creation;
use raftian_raft::NodeId;

use super::member::{Launch, PlaceArgs, bind, check_display, default_name, run as run_member};
use super::new_match::NewMatch;
use super::profile::{mark, match_directory};
use super::{Exit, Failure};

#[derive(Args, Debug)]
pub(super) struct StartArgs {
    /// Your name; the default is that of the user.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Name of the match; the default is made of your name.
    #[arg(long, value_name = "NAME")]
    match_name: Option<String>,
    /// Do not announce the match on the local network, and make no code.
    #[arg(long)]
    no_lan: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Id of the founder.
const FOUNDER: NodeId = NodeId(1);

pub(super) fn run(args: &StartArgs, log_level: &str) -> Result<Exit, Failure> {
    check_display(&args.place)?;
    if let Some(directory) = &args.place.data
        && let Some(file) = MemberFile::find(directory)?
        && !file.left
    {
        return resume(directory.clone(), file, &args.place, log_level);
    }
    let name = args.name.clone().unwrap_or_else(default_name);
    let match_name = args
        .match_name
        .clone()
        .unwrap_or_else(|| default_match_name(&name));
    for (flag, name) in [("--name", &name), ("--match-name", &match_name)] {
        check_player_name(name)
            .map_err(|reason| Failure::new(Exit::Usage, format!("{flag} {name:?}: {reason}")))?;
    }
    let new = NewMatch::draw(!args.no_lan)?;
    let directory = match &args.place.data {
        Some(directory) => directory.clone(),
        None => match_directory(&new.id.to_string())?,
    };
    let (socket, listen) = bind(args.place.listen, None)?;
    let identity = identity_in(&directory)?;
    let incarnation = fresh_incarnation();
    let contact = Contact {
        name: name.clone(),
        fingerprint: identity.fingerprint(),
        addresses: local_addresses(listen),
    };
    let founding = new.membership(&match_name, (FOUNDER, incarnation), &contact)?;
    let mark = mark(&directory, &new.id.to_string(), FOUNDER);
    let mut file = MemberFile::new(
        (new.id, match_name),
        (FOUNDER, name),
        listen,
        mark,
        Vec::new(),
    );
    file.invite = Some(new.ticket_invite());
    file.code = new.code;
    let launch = Launch {
        directory,
        file,
        first_start: Some(FirstStart {
            founding,
            creation: Creation::first(incarnation),
        }),
        socket,
    };
    run_member(launch, &args.place, log_level)
}

/// Continues the member in `directory`.
pub(super) fn resume(
    directory: std::path::PathBuf,
    mut file: MemberFile,
    place: &PlaceArgs,
    log_level: &str,
) -> Result<Exit, Failure> {
    if file.left {
        return Err(Failure::new(
            Exit::Configuration,
            format!(
                "{} has left the match; join again with a ticket: raftian join TICKET --data {}",
                file.name,
                directory.display()
            ),
        ));
    }
    let (socket, listen) = bind(place.listen, Some(file.listen))?;
    file.listen = listen;
    let launch = Launch {
        directory,
        file,
        first_start: None,
        socket,
    };
    run_member(launch, place, log_level)
}

fn default_match_name(name: &str) -> String {
    let long = format!("{name}'s match");
    if check_player_name(&long).is_ok() {
        long
    } else {
        "match".to_owned()
    }
}
