//! Folders for the files of a player's matches.

use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, choose_base_strategy};
use raftian_raft::NodeId;

use crate::ticket::MatchId;

/// Digits of a match id that distinguish the matches of one user.
const SHORT: usize = 8;

/// Folders for the files of a player's matches.
///
/// Decision: rollback guards have a folder of their own. Why: a guard that is copied or restored
/// together with its store cannot detect that the store is older. Would change if: the system kept
/// a counter that cannot be set back, as a TPM does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatchFolders {
    data: PathBuf,
    state: PathBuf,
}

/// The system names no folder for the user's data.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this user has no folder for data: {0}; name a directory")]
pub struct NoFolder(String);

impl MatchFolders {
    /// Returns the folders of `program` in the user's folders for data and for state.
    ///
    /// # Errors
    /// [`NoFolder`].
    pub fn of_user(program: &str) -> Result<Self, NoFolder> {
        let user = choose_base_strategy().map_err(|error| NoFolder(error.to_string()))?;
        let state = user.state_dir().unwrap_or_else(|| user.data_dir());
        Ok(MatchFolders {
            data: user.data_dir().join(program),
            state: state.join(program),
        })
    }

    /// Returns folders inside `directory`: for tests, and for a user without other folders.
    pub fn inside(directory: &Path) -> Self {
        MatchFolders {
            data: directory.to_owned(),
            state: directory.to_owned(),
        }
    }

    /// The program's folder for data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Directory of the member of a match.
    pub fn directory(&self, match_id: MatchId) -> PathBuf {
        let short: String = match_id.to_string().chars().take(SHORT).collect();
        self.data.join("matches").join(short)
    }

    /// File of a member's rollback guard.
    pub fn guard(&self, match_id: MatchId, id: NodeId) -> PathBuf {
        let name = format!("{match_id}-{id}.mark");
        self.state.join("marks").join(name)
    }
}
