//! Generates the files of a new cluster.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use raftian_raft::NodeId;
use sha2::{Digest, Sha256};

use super::node_file::SCHEMA;
use super::{
    ClusterError, Identity, MAX_MEMBERS, MAX_NAME, Member, SNAPSHOT_ENTRIES, Timing, check_name,
};

/// Number of characters that [`unique_name`] appends: a dash and eight hexadecimal digits.
pub(super) const UNIQUE_END: usize = 9;

/// Options of a new cluster.
#[derive(Clone, Debug)]
pub struct NewCluster {
    /// Number of nodes, 1 to [`MAX_MEMBERS`].
    pub nodes: usize,
    /// Initial listen address of all nodes; the files can be edited for several machines.
    pub host: IpAddr,
    /// Port of the first node; the others use the following ones.
    pub base_port: u16,
    /// Name of the cluster. Eight hexadecimal digits are appended, so that names of clusters are
    /// unique.
    pub name: String,
    /// Names of the members in order; the rest use [`default_member_name`].
    pub member_names: Vec<String>,
    /// Timeouts of the nodes.
    pub timing: Timing,
}

impl Default for NewCluster {
    /// Five nodes on ports 8000 to 8004 of this machine.
    fn default() -> Self {
        NewCluster {
            nodes: 5,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            base_port: 8000,
            name: "raftian".to_owned(),
            member_names: Vec::new(),
            timing: Timing::default(),
        }
    }
}

/// Returns the default name of member `id`: "raftian" for 1, then "bob1", "bob2" and so on.
pub fn default_member_name(id: u64) -> String {
    match id {
        1 => "raftian".to_owned(),
        id => format!("bob{}", id.saturating_sub(1)),
    }
}

/// Writes a new cluster below `directory`: for each node `n<id>/node.toml`, `key.pem` (readable by
/// its owner only) and `certificate.pem`. Returns the paths of the node files. Refuses a directory
/// that is not empty, since it could contain keys.
pub fn generate(directory: &Path, options: &NewCluster) -> Result<Vec<PathBuf>, ClusterError> {
    // All checks precede the first file, so that an error leaves no partial cluster behind.
    let addresses = checked_addresses(directory, options)?;
    refuse_used(directory)?;
    let mut members = Vec::new();
    let mut armours = Vec::new();
    for (id, &address) in (1..).zip(&addresses) {
        let (identity, armour) = Identity::generate_with_pem()?;
        let chosen = usize::try_from(id - 1)
            .ok()
            .and_then(|at| options.member_names.get(at));
        let name = chosen.cloned().unwrap_or_else(|| default_member_name(id));
        members.push(Member {
            id: NodeId(id),
            name,
            address: address.into(),
            fingerprint: identity.fingerprint(),
        });
        armours.push(armour);
    }
    let cluster = unique_name(&options.name, &members);
    let mut files = Vec::new();
    for (member, armour) in members.iter().zip(&armours) {
        let home = directory.join(member.id.to_string());
        fs::create_dir_all(&home).map_err(|error| unwritable(&home, &error))?;
        write_new(&home.join("key.pem"), &armour.key, true)?;
        write_new(&home.join("certificate.pem"), &armour.certificate, false)?;
        let file = home.join("node.toml");
        write_new(
            &file,
            &node_toml(member, &cluster, &members, options.timing),
            false,
        )?;
        files.push(file);
    }
    Ok(files)
}

/// Returns `name` and the start of a hash over all fingerprints, which is as random as their keys.
pub(super) fn unique_name(name: &str, members: &[Member]) -> String {
    let mut hash = Sha256::new();
    members
        .iter()
        .for_each(|member| hash.update(member.fingerprint.bytes()));
    let hash = hash.finalize();
    hash.iter()
        // Two digits for each byte, after the dash.
        .take((UNIQUE_END - 1) / 2)
        .fold(format!("{name}-"), |name, byte| format!("{name}{byte:02x}"))
}

/// Validates all options and returns the addresses of all nodes.
fn checked_addresses(
    directory: &Path,
    options: &NewCluster,
) -> Result<Vec<SocketAddr>, ClusterError> {
    let invalid = |key: &str, reason: String, remedy| ClusterError::Invalid {
        path: directory.to_owned(),
        key: key.to_owned(),
        reason,
        remedy,
    };
    if options.nodes == 0 || options.nodes > MAX_MEMBERS {
        return Err(invalid(
            "nodes",
            format!("{} is not possible", options.nodes),
            "choose between 1 and 9 nodes",
        ));
    }
    check_name("name", &options.name, MAX_NAME)
        .map_err(|reason| invalid("name", reason, "choose another name"))?;
    if options.member_names.len() > options.nodes {
        let reason = format!(
            "{} names for {} nodes",
            options.member_names.len(),
            options.nodes
        );
        return Err(invalid(
            "member names",
            reason,
            "name no more members than there are nodes",
        ));
    }
    for name in &options.member_names {
        check_name("name", name, MAX_NAME)
            .map_err(|reason| invalid("member names", reason, "choose another name"))?;
    }
    options
        .timing
        .validated()
        .map_err(|(key, reason, remedy)| invalid(key, reason, remedy))?;
    if options.host.is_unspecified() {
        let reason = format!("no node can be reached at {}", options.host);
        return Err(invalid(
            "host",
            reason,
            "name an address at which the others reach it",
        ));
    }
    let address = |at: usize| {
        let port = options
            .base_port
            .checked_add(u16::try_from(at).ok()?)
            .filter(|port| *port != 0)?;
        Some(SocketAddr::new(options.host, port))
    };
    (0..options.nodes)
        .map(address)
        .collect::<Option<_>>()
        .ok_or_else(|| {
            let reason = format!(
                "{} leaves no room for {} ports",
                options.base_port, options.nodes
            );
            // 65527 leaves room for nine members.
            invalid("base port", reason, "choose a port between 1 and 65527")
        })
}

fn refuse_used(directory: &Path) -> Result<(), ClusterError> {
    match fs::read_dir(directory) {
        Ok(mut found) => match found.next() {
            None => Ok(()),
            Some(_) => Err(ClusterError::NotEmpty {
                path: directory.to_owned(),
            }),
        },
        // It is created together with the directory of the first node.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ClusterError::Unreadable {
            path: directory.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Creates the file at `path`, which must not exist, and makes it durable. A `secret` file is
/// created with access for its owner only.
pub(super) fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), ClusterError> {
    let mut options = fs::OpenOptions::new();
    // An existing file could be a key, so it is never overwritten.
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    // On other systems the permissions of the directory decide.
    #[cfg(not(unix))]
    let _ = secret;
    options
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| unwritable(path, &error))
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> ClusterError {
    ClusterError::Unwritable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Default path of a node's mark, relative to its file: outside the node's directory, so that
/// replacing the directory keeps the mark. The unique end of the cluster's name keeps apart the
/// clusters below one directory.
fn mark_of(cluster: &str, id: NodeId) -> String {
    let unique = cluster.rsplit('-').next().unwrap_or(cluster);
    format!("../marks/{unique}-{id}.mark")
}

fn node_toml(own: &Member, cluster: &str, members: &[Member], timing: Timing) -> String {
    // Names may contain quotes and backslashes, which TOML escapes.
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let (shortest, longest) = timing.election;
    let mut text = format!(
        "# Node {id} of the cluster {cluster}. Paths are relative to this file.\n\
         # Keep key.pem secret; everything else may be shared.\n\
         schema = {SCHEMA}\n\
         cluster = {quoted_cluster}\n\
         id = {id}\n\
         # UDP address on which this node listens.\n\
         listen = \"{address}\"\n\
         key = \"key.pem\"\n\
         certificate = \"certificate.pem\"\n\
         data = \"data\"\n\
         # Records how many writes `data` has acknowledged, to detect its loss or an old copy:\n\
         # never copy or replace it together with `data`.\n\
         mark = \"{mark}\"\n\
         # Number of log entries after which a snapshot replaces them.\n\
         snapshot_entries = {SNAPSHOT_ENTRIES}\n\
         \n\
         [timing]\n\
         election_ms = [{shortest}, {longest}]\n\
         heartbeat_ms = {heartbeat}\n",
        id = own.id.0,
        mark = mark_of(cluster, own.id),
        quoted_cluster = quoted(cluster),
        address = own.address,
        shortest = shortest.as_millis(),
        longest = longest.as_millis(),
        heartbeat = timing.heartbeat.as_millis(),
    );
    for member in members {
        text += &format!(
            "\n[[member]]\nid = {}\nname = {}\naddress = \"{}\"\nfingerprint = \"{}\"\n",
            member.id.0,
            quoted(&member.name),
            member.address,
            member.fingerprint,
        );
    }
    text
}
