//! The command line: `raftian` and its commands.

mod bots;
mod change;
mod cluster;
mod discover;
mod doctor;
mod exit;
mod feed;
mod invite;
mod join;
mod member;
mod members;
mod node;
mod order;
mod output;
#[cfg(feature = "client")]
mod play;
mod profile;
mod recover;
mod signals;
mod start;
mod status;
#[cfg(feature = "client")]
mod window_loss;

use clap::{CommandFactory, Parser, Subcommand};

use crate::terminal::flush;

pub use exit::{Exit, Failure};
pub use output::start_log;
pub use profile::StoppedMatch;
#[cfg(feature = "client")]
pub(crate) use profile::set_current;

/// A strategy game without a host: every player's machine is a Raft node.
///
/// Without a command it opens the menu: play against bots, with five real nodes in this process,
/// and press F3 to watch the nodes agree.
#[derive(Parser, Debug)]
#[command(name = "raftian", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[cfg(feature = "client")]
    #[command(flatten)]
    window: play::WindowFlags,
    /// Log level on standard error: error, warn, info, debug, trace, or a filter such as
    /// `raftian_node=debug`. The default is this program's warnings and the errors of its
    /// libraries.
    #[arg(long, global = true, value_name = "LEVEL", env = "RAFTIAN_LOG", default_value = output::DEFAULT_LEVEL)]
    log_level: String,
    /// Profile of the player, with its own matches and keys: for several players on one machine.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "RAFTIAN_PROFILE",
        value_parser = profile::profile_name
    )]
    profile: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Create the keys and configurations of a new cluster.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Found a match that others join, and print a code and a ticket for them. With --data,
    /// continue the match in that directory, or found it there.
    Start(start::StartArgs),
    /// Join a running match with a ticket, or with a code on the local network.
    Join(join::JoinArgs),
    /// List the matches on the local network.
    Discover(discover::DiscoverArgs),
    /// Create an invite and print its ticket, or revoke one.
    Invite(invite::InviteArgs),
    /// Leave the match: the others play on. A member of a cluster from files only stops.
    Leave(change::LeaveArgs),
    /// Remove a member from the match, or vote for it while the member is present.
    Remove(change::NamedArgs),
    /// Make a new match from this member's copy, after a majority of its match was lost.
    Recover(recover::RecoverArgs),
    /// Check what a match needs of this machine: ports, addresses, local network, clock, disk.
    Doctor(doctor::DoctorArgs),
    /// Let a member vote, as soon as it keeps up.
    Promote(change::NamedArgs),
    /// Make a player a spectator, or vote for it while the player is present.
    Demote(change::NamedArgs),
    /// Transfer leadership to another member.
    Transfer(change::TransferArgs),
    /// Run one member without a window until it is interrupted.
    Node(node::NodeArgs),
    /// Show a running member's status.
    Status(status::StatusArgs),
    /// Print the reports of the match at a running member's table.
    Feed(feed::FeedArgs),
    /// List the members of a running member's match.
    Members(members::MembersArgs),
    /// Propose an order through a running member and wait for its commit.
    Order(order::OrderArgs),
    /// Bots: programs that play, matches between them, and tournaments.
    #[command(subcommand)]
    Bots(bots::BotsCommand),
    /// Show the table of Crowns; with a command take a seat, agree on a match, or begin it.
    Table(order::TableArgs),
    /// Print the completion script of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Open a window as the member that was started last, or that --data or --config names.
    #[cfg(feature = "client")]
    Play(play::PlayArgs),
}

/// Runs the command line of this process and returns its exit code.
#[must_use = "the process must end with this code"]
pub fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _closed = error.print().is_err();
            // clap reports help and version as errors too, but prints them on standard output.
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
        }
    };
    if let Err(failure) = output::start_log(&cli.log_level) {
        let exit = failure.report();
        flush();
        return exit;
    }
    if let Some(profile) = cli.profile {
        profile::select(profile);
    }
    let result = match cli.command {
        Some(Command::Cluster(command)) => cluster::run(command),
        Some(Command::Start(args)) => start::run(&args, &cli.log_level),
        Some(Command::Join(args)) => join::run(&args, &cli.log_level),
        Some(Command::Discover(args)) => discover::run(&args),
        Some(Command::Invite(args)) => invite::run(&args),
        Some(Command::Leave(args)) => change::leave(&args),
        Some(Command::Remove(args)) => change::remove(&args),
        Some(Command::Recover(args)) => recover::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Promote(args)) => change::promote(&args),
        Some(Command::Demote(args)) => change::demote(&args),
        Some(Command::Transfer(args)) => change::transfer(&args),
        Some(Command::Node(args)) => node::run(&args, &cli.log_level),
        Some(Command::Status(args)) => status::run(&args),
        Some(Command::Feed(args)) => feed::run(&args),
        Some(Command::Members(args)) => members::run(&args),
        Some(Command::Completions { shell }) => print_completions(shell),
        Some(Command::Order(args)) => order::run(&args),
        Some(Command::Bots(command)) => bots::run(&command),
        Some(Command::Table(args)) => order::run_table(&args),
        #[cfg(feature = "client")]
        Some(Command::Play(args)) => play::run_member(&args, &cli.log_level),
        #[cfg(feature = "client")]
        None => play::run_embedded(&cli.window, &cli.log_level),
        #[cfg(not(feature = "client"))]
        None => Err(Failure::new(
            Exit::NoDisplay,
            "this build has no window; run a member with `raftian node`, or see `raftian --help`",
        )),
    };
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) => failure.report(),
    };
    flush();
    exit
}

/// Prints the completion script of a shell.
fn print_completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "raftian", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `raftian` line in a block of commands, without its trailing comment.
    fn commands(text: &str) -> Vec<String> {
        let lines = text.lines().map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            line.trim().trim_start_matches("target/release/").to_owned()
        });
        lines.filter(|line| line.starts_with("raftian ")).collect()
    }

    #[test]
    fn documented_commands_parse() {
        let documents = [
            include_str!("../../../../README.md"),
            include_str!("../../../../docs/matches.md"),
            include_str!("../../../../docs/bots.md"),
            include_str!("../../../../docs/crowns.md"),
            include_str!("../../../../docs/operators.md"),
        ];
        for document in documents {
            let commands = commands(document);
            assert!(!commands.is_empty());
            for command in commands {
                let words = command.split_whitespace();
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("`{command}`: {error}");
                }
            }
        }
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
