//! Reads `node.toml`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raftian_raft::NodeId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use crate::address::ParseAddressError;

use super::{
    ClusterError, Fingerprint, Founders, Identity, Member, NodeConfig, SNAPSHOT_ENTRIES, Timing,
};

/// Remedy for an invalid address.
const ADDRESS_REMEDY: &str = "write one such as \"192.168.1.7:8000\" or \"[2001:db8::7]:8000\"";

/// Version of the node file's layout.
pub(super) const SCHEMA: u32 = 1;

/// Path of a node's mark in a file that does not name one: next to the file.
pub(super) const MARK: &str = "raft.mark";

/// Maximum size of a node, key or certificate file: 64 KiB, many times the size that nine members
/// need.
pub const MAX_FILE: u64 = 64 * 1024;

/// Contents of a `node.toml`. Paths in it are relative to its directory.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    schema: u32,
    cluster: String,
    id: u64,
    listen: String,
    key: PathBuf,
    certificate: PathBuf,
    data: PathBuf,
    #[serde(default = "mark")]
    mark: PathBuf,
    #[serde(default = "snapshot_entries")]
    snapshot_entries: u64,
    timing: TimingTable,
    member: Vec<MemberTable>,
}

/// Default for a file without the key.
fn mark() -> PathBuf {
    MARK.into()
}

/// Default for a file without the key.
fn snapshot_entries() -> u64 {
    SNAPSHOT_ENTRIES
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct TimingTable {
    election_ms: [u32; 2],
    heartbeat_ms: u32,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct MemberTable {
    id: u64,
    name: String,
    address: String,
    fingerprint: String,
}

impl NodeFile {
    /// Reads the configuration in the file at `path`, with the key and certificate it names, and
    /// validates it as a whole, so that a node can start with it. Unknown keys are errors, since
    /// they are misspelt keys.
    pub fn read(path: &Path) -> Result<NodeConfig, ClusterError> {
        let text = String::from_utf8(read(path)?).map_err(|error| ClusterError::Syntax {
            path: path.to_owned(),
            reason: format!("it is not UTF-8 text: {error}"),
        })?;
        let file: NodeFile = toml::from_str(&text).map_err(|error| ClusterError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        file.into_config(path)
    }

    fn into_config(self, path: &Path) -> Result<NodeConfig, ClusterError> {
        let invalid = |key: &str, reason: String, remedy| ClusterError::Invalid {
            path: path.to_owned(),
            key: key.to_owned(),
            reason,
            remedy,
        };
        if self.schema != SCHEMA {
            let reason = format!("it is {}, but this build reads {SCHEMA}", self.schema);
            return Err(invalid(
                "schema",
                reason,
                "use the build that wrote the file, or generate a new cluster",
            ));
        }
        let beside = |name: &Path| path.parent().unwrap_or(Path::new("")).join(name);
        let certificate_file = beside(&self.certificate);
        let certificate =
            CertificateDer::from_pem_slice(&read(&certificate_file)?).map_err(|error| {
                invalid(
                    "certificate",
                    format!("{}: {error}", certificate_file.display()),
                    "it must be a PEM certificate",
                )
            })?;
        let key_file = beside(&self.key);
        warn_of_exposed_key(&key_file);
        let key = PrivateKeyDer::from_pem_slice(&read(&key_file)?).map_err(|error| {
            invalid(
                "key",
                format!("{}: {error}", key_file.display()),
                "it must be a PEM private key",
            )
        })?;
        let mut members = Vec::new();
        for member in self.member {
            let fingerprint = member.fingerprint.parse::<Fingerprint>().map_err(|error| {
                let remedy = "copy the line from a file that the member's owner sent";
                invalid(
                    &format!("member {} fingerprint", member.id),
                    error.to_string(),
                    remedy,
                )
            })?;
            let id = NodeId(member.id);
            let address = member.address.parse().map_err(|error: ParseAddressError| {
                invalid(
                    &format!("member {} address", member.id),
                    error.to_string(),
                    "write the address at which the other members reach it",
                )
            })?;
            members.push(Member {
                id,
                name: member.name,
                address,
                fingerprint,
            });
        }
        // A file may list the members in any order.
        members.sort_by_key(|member| member.id);
        let id = NodeId(self.id);
        let name = members
            .iter()
            .find(|member| member.id == id)
            .map(|member| member.name.clone());
        let [shortest, longest] = self
            .timing
            .election_ms
            .map(|ms| Duration::from_millis(ms.into()));
        let config = NodeConfig {
            id,
            // Without an entry of its own the validation below fails, and the name is never seen.
            name: name.unwrap_or_default(),
            cluster: self.cluster,
            listen: self.listen.parse().map_err(|_| {
                let reason = format!("{:?} is not an IP address and a port", self.listen);
                invalid("listen", reason, ADDRESS_REMEDY)
            })?,
            members,
            founding: Founders::Listed,
            reachable_at: Vec::new(),
            data: beside(&self.data),
            mark: beside(&self.mark),
            timing: Timing {
                election: (shortest, longest),
                heartbeat: Duration::from_millis(self.timing.heartbeat_ms.into()),
                adaptive: None,
            },
            snapshot_entries: self.snapshot_entries,
            identity: Identity::from_der(certificate, key),
        };
        config.validated(path)?;
        config.identity.fits_its_key().map_err(|reason| {
            invalid(
                "key",
                reason,
                "use the key that was generated with the certificate",
            )
        })?;
        Ok(config)
    }
}

/// Warns if other users can read the key, which would let them act as its member.
#[cfg(unix)]
pub(super) fn warn_of_exposed_key(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // The read that follows reports the error.
    let Ok(metadata) = fs::metadata(file) else {
        return;
    };
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o077 != 0 {
        let file = file.display();
        let mode = mode & 0o777;
        tracing::warn!(
            "other users of this machine can read or replace the key {file} (mode {mode:o}); \
             run `chmod 600 {file}`"
        );
    }
}

#[cfg(not(unix))]
pub(super) fn warn_of_exposed_key(_file: &Path) {}

/// Reads the file at `path`, which must not be larger than [`MAX_FILE`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ClusterError> {
    let unreadable = |reason: String| ClusterError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    // One byte above the limit, so that a larger file is detected.
    fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unreadable(format!("it is longer than {MAX_FILE} bytes")));
    }
    Ok(bytes)
}
