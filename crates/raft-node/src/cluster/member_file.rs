//! Reads and writes `member.toml`: what a player's machine keeps about its own part in a match that
//! players join. Who else belongs to the match is in its log.
//!
//! Decision: a directory holds one match, with the member's key. Why: what belongs together is
//! copied, moved and deleted together; only the rollback guard lies elsewhere, since it must not be
//! restored together with the store. Would change if: a profile kept one key for all matches.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use raftian_raft::NodeId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use super::generate::{unwritable, write_new};
use super::node_file::{read, warn_of_exposed_key};
use super::{
    ClusterError, Fingerprint, FirstStart, Founders, Identity, Member, NodeConfig,
    SNAPSHOT_ENTRIES, Timing, check_player_name,
};
use crate::address::Address;
use crate::code::Code;
use crate::contact::Contact;
use crate::ticket::{MatchId, Secret};

/// Version of the file's layout.
const SCHEMA: u32 = 1;

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";

/// Contents of a `member.toml`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberFile {
    schema: u32,
    /// The match, in hexadecimal digits.
    #[serde(rename = "match")]
    pub match_id: MatchId,
    /// Name of the match.
    pub match_name: String,
    /// Id of the member.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Address that it listens on.
    pub listen: SocketAddr,
    /// Address that it listens on if it can, in place of `listen`, which was free at the last
    /// start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_listen: Option<SocketAddr>,
    /// Further addresses at which other members reach it, as its player named them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// File of the store's rollback guard.
    pub mark: PathBuf,
    /// Whether the member has left the match.
    #[serde(default)]
    pub left: bool,
    /// The founder's code for the local network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The founder's invite: its number and secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<(u32, Secret)>,
    /// Members that were known when it joined.
    #[serde(default)]
    pub known: Vec<KnownMember>,
}

/// A member to be dialled until the log contains its contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownMember {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Hash of its certificate.
    pub fingerprint: String,
    /// Address at which it is dialled.
    pub address: Address,
}

impl KnownMember {
    /// Describes the member `id`; `None` if its contact has no address.
    pub fn new(id: NodeId, contact: &Contact) -> Option<Self> {
        Some(KnownMember {
            id: id.0,
            name: contact.name.clone(),
            fingerprint: contact.fingerprint.to_string(),
            address: contact.addresses.first()?.clone(),
        })
    }
}

impl MemberFile {
    /// Name of the file in the member's directory.
    pub const NAME: &str = "member.toml";

    /// Creates the contents for a new member.
    pub fn new(
        (match_id, match_name): (MatchId, String),
        (id, name): (NodeId, String),
        listen: SocketAddr,
        mark: PathBuf,
        known: Vec<KnownMember>,
    ) -> Self {
        MemberFile {
            schema: SCHEMA,
            match_id,
            match_name,
            id: id.0,
            name,
            listen,
            first_listen: None,
            addresses: Vec::new(),
            mark,
            left: false,
            code: None,
            invite: None,
            known,
        }
    }

    /// Records the address that it listens on now. One that the player did not ask for is given up
    /// as soon as the earlier one is free again.
    pub(crate) fn set_listen(&mut self, listen: SocketAddr, is_asked: bool) {
        let first = self.first_listen.unwrap_or(self.listen);
        self.first_listen = (!is_asked && first != listen).then_some(first);
        self.listen = listen;
    }

    /// Reads the file of the member in `directory`; `None` if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or used.
    pub fn find(directory: &Path) -> Result<Option<Self>, ClusterError> {
        let path = directory.join(Self::NAME);
        if !path.exists() {
            return Ok(None);
        }
        let syntax = |reason: String| ClusterError::Syntax {
            path: path.clone(),
            reason,
        };
        let text = String::from_utf8(read(&path)?)
            .map_err(|error| syntax(format!("it is not UTF-8 text: {error}")))?;
        let file: MemberFile = toml::from_str(&text).map_err(|error| syntax(error.to_string()))?;
        let invalid = |key: &str, reason: String, remedy| {
            Err(ClusterError::Invalid {
                path: path.clone(),
                key: key.to_owned(),
                reason,
                remedy,
            })
        };
        if file.schema != SCHEMA {
            let reason = format!("it is {}, but this build reads {SCHEMA}", file.schema);
            return invalid("schema", reason, "use the build that wrote the file");
        }
        for (key, name) in [("name", &file.name), ("match_name", &file.match_name)] {
            if let Err(reason) = check_player_name(name) {
                return invalid(key, reason, "restore the line");
            }
        }
        Ok(Some(file))
    }

    /// Writes the file in `directory`, in place of an earlier one.
    ///
    /// # Errors
    /// If it cannot be written; an earlier file then stays.
    pub fn write(&self, directory: &Path) -> Result<(), ClusterError> {
        let path = directory.join(Self::NAME);
        let text = toml::to_string(self).map_err(|error| ClusterError::Unwritable {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let new = directory.join("member.toml.new");
        fs::create_dir_all(directory).map_err(|error| unwritable(&path, &error))?;
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable(&new, &error));
            }
            Ok(()) | Err(_) => {}
        }
        // Readable by its owner only: it contains the secret of an invite.
        write_new(&new, &text, true)?;
        fs::rename(&new, &path).map_err(|error| unwritable(&path, &error))
    }

    /// Directory of the member's store. Each membership has its own, since a player who left and
    /// joins again is another member.
    pub fn store_directory(&self, directory: &Path) -> PathBuf {
        let start: String = self.match_id.to_string().chars().take(8).collect();
        directory.join(format!("{start}-n{}", self.id))
    }

    /// Returns the configuration of the member whose file is in `directory`. Its contact shows
    /// `reachable_at`; `first_start` is recorded if there is no store.
    ///
    /// # Errors
    /// If its key or a known member cannot be read.
    pub fn config(
        &self,
        directory: &Path,
        reachable_at: Vec<Address>,
        first_start: Option<FirstStart>,
    ) -> Result<NodeConfig, ClusterError> {
        let identity = read_identity(directory)?;
        let id = NodeId(self.id);
        let mut members = vec![Member {
            id,
            name: self.name.clone(),
            address: reachable_at.first().cloned().unwrap_or(self.listen.into()),
            fingerprint: identity.fingerprint(),
        }];
        for known in &self.known {
            let fingerprint = known.fingerprint.parse::<Fingerprint>().map_err(|error| {
                ClusterError::Invalid {
                    path: directory.join(Self::NAME),
                    key: format!("known {}", known.id),
                    reason: error.to_string(),
                    remedy: "restore the line, or join again with a ticket",
                }
            })?;
            members.push(Member {
                id: NodeId(known.id),
                name: known.name.clone(),
                address: known.address.clone(),
                fingerprint,
            });
        }
        Ok(NodeConfig {
            id,
            name: self.name.clone(),
            cluster: self.match_id.to_string(),
            listen: self.listen,
            members,
            founding: Founders::Recorded { first_start },
            reachable_at,
            data: self.store_directory(directory),
            mark: self.mark.clone(),
            timing: Timing::of_players(),
            snapshot_entries: SNAPSHOT_ENTRIES,
            identity,
        })
    }
}

/// Checks that the key of the member in `directory` can be read.
///
/// # Errors
/// If it cannot, or does not belong to its certificate.
pub(crate) fn check_key(directory: &Path) -> Result<(), ClusterError> {
    read_identity(directory).map(drop)
}

/// Returns the identity in `directory`; creates one if there is none. A key is never overwritten.
///
/// # Errors
/// If it can be neither read nor created.
pub fn identity_in(directory: &Path) -> Result<Identity, ClusterError> {
    if directory.join(KEY).exists() {
        return read_identity(directory);
    }
    let (identity, armour) = Identity::generate_with_pem()?;
    fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    // The certificate first: a start that was interrupted in between finds no key, and begins anew.
    let certificate = directory.join(CERTIFICATE);
    if certificate.exists() {
        fs::remove_file(&certificate).map_err(|error| unwritable(&certificate, &error))?;
    }
    write_new(&certificate, &armour.certificate, false)?;
    write_new(&directory.join(KEY), &armour.key, true)?;
    Ok(identity)
}

fn read_identity(directory: &Path) -> Result<Identity, ClusterError> {
    let key_file = directory.join(KEY);
    let certificate_file = directory.join(CERTIFICATE);
    let invalid = |path: &Path, reason: String| ClusterError::Invalid {
        path: path.to_owned(),
        key: "key".to_owned(),
        reason,
        remedy: "restore both files of the member, or join with a ticket in another directory",
    };
    warn_of_exposed_key(&key_file);
    let key = PrivateKeyDer::from_pem_slice(&read(&key_file)?)
        .map_err(|error| invalid(&key_file, error.to_string()))?;
    let certificate = CertificateDer::from_pem_slice(&read(&certificate_file)?)
        .map_err(|error| invalid(&certificate_file, error.to_string()))?;
    let identity = Identity::from_der(certificate, key);
    identity
        .fits_its_key()
        .map_err(|reason| invalid(&key_file, reason))?;
    Ok(identity)
}
