//! `raftian start`: founds a match that others join, or continues one.

use clap::Args;
use raftian_node::cluster::{FirstStart, MemberFile, check_player_name, identity_in};
use raftian_node::code::Code;
use raftian_node::contact::{Contact, local_addresses};
use raftian_node::match_record::{Invite, MatchRecord};
use raftian_node::store::Creation;
use raftian_node::ticket::{MatchId, Secret};
use raftian_node::{fresh_incarnation, fresh_secret};
use raftian_raft::{Change, Membership, NodeId, Standing};

use super::member::{Launch, PlaceArgs, bind, check_display, default_name, run as run_member};
use super::profile::{mark, match_directory};
use super::{Exit, Failure};
use crate::replication::RULES;

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

/// Number of the invite in the first ticket.
const TICKET_INVITE: u32 = 1;

/// Number of the invite of the code.
const CODE_INVITE: u32 = 2;

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
    let random = || fresh_secret().map_err(|error| Failure::new(Exit::Unexpected, error));
    let match_id = MatchId(random()?);
    let secret = Secret(random()?);
    let [a, b, c, d, e, ..] = random()?;
    let code = Code::new([a, b, c, d, e]);
    let directory = match &args.place.data {
        Some(directory) => directory.clone(),
        None => match_directory(&match_id.to_string())?,
    };
    let (socket, listen) = bind(args.place.listen, None)?;
    let identity = identity_in(&directory)?;
    let incarnation = fresh_incarnation();
    let contact = Contact {
        name: name.clone(),
        fingerprint: identity.fingerprint(),
        addresses: local_addresses(listen),
    };
    let mut invites = vec![(TICKET_INVITE, secret.key())];
    if !args.no_lan {
        invites.push((CODE_INVITE, code.secret().key()));
    }
    let invites = invites.into_iter().map(|(number, key)| Invite {
        number,
        key,
        uses_left: None,
        expires: None,
    });
    let record = MatchRecord {
        id: match_id,
        name: match_name.clone(),
        rules: RULES.to_owned(),
        next_member: FOUNDER.0 + 1,
        next_invite: 3,
        code: (!args.no_lan).then(|| (code.hint(), CODE_INVITE)),
        invites: invites.collect(),
    };
    let unexpected = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Unexpected, format!("cannot found the match: {error}"))
    };
    let recorded = Change::Record {
        contacts: vec![(
            FOUNDER,
            contact.encode().map_err(|error| unexpected(&error))?,
        )],
        annex: Some(record.encode().map_err(|error| unexpected(&error))?),
    };
    let founding = Membership::of([(FOUNDER, incarnation, Standing::Voter)])
        .and_then(|founder| founder.after(&recorded))
        .map_err(|error| unexpected(&error))?;
    let mark = mark(&directory, &match_id.to_string(), FOUNDER);
    let mut file = MemberFile::new(
        (match_id, match_name),
        (FOUNDER, name),
        listen,
        mark,
        Vec::new(),
    );
    file.invite = Some((TICKET_INVITE, secret));
    file.code = (!args.no_lan).then_some(code);
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
