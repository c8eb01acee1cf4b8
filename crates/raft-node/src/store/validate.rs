//! Validates a store file on open and explains why it is rejected.

use raftian_raft::{
    Entry, Founding, HardState, Incarnation, Index, LogPosition, LogStart, NodeId, Restored,
};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::StoreError;
use super::reader::{File, value_place};
use super::schema::{
    CLUSTER_KEY, Counts, END_KEY, ENTRIES, FOUNDING_KEY, HARD_STATE_KEY, INCARNATION_KEY, META,
    NODE_KEY, PREVIOUS_INCARNATION_KEY, SCHEMA, SCHEMA_KEY, START_KEY, STATE, WRITES_KEY,
    entry_place,
};
use super::snapshot::{self, Kept};

impl File<'_> {
    /// Checks that the file has the layout of this build and belongs to `node` of `cluster`.
    pub(super) fn identify(
        self,
        database: &Database,
        node: NodeId,
        cluster: &str,
    ) -> Result<(), StoreError> {
        let read = database
            .begin_read()
            .map_err(|error| self.database("the file", error))?;
        let meta = read
            .open_table(META)
            .map_err(|error| self.no_table("meta", error))?;
        // First, because another layout may store every other value differently.
        let schema: u32 = self.value(&meta, "meta", SCHEMA_KEY)?;
        if schema != SCHEMA {
            return Err(self.foreign("schema", schema.to_string(), SCHEMA.to_string()));
        }
        let found: String = self.value(&meta, "meta", CLUSTER_KEY)?;
        if found != cluster {
            return Err(self.foreign("cluster", found, cluster.to_owned()));
        }
        let found: NodeId = self.value(&meta, "meta", NODE_KEY)?;
        if found != node {
            // After the cluster: in another cluster the same id belongs to another node.
            Err(self.foreign("node", found.to_string(), node.to_string()))
        } else {
            Ok(())
        }
    }

    /// Reads the contents and counters of a valid file.
    pub(super) fn restored(self, database: &Database) -> Result<(Restored, Counts), StoreError> {
        let read = database
            .begin_read()
            .map_err(|error| self.database("the file", error))?;
        let meta = read
            .open_table(META)
            .map_err(|error| self.no_table("meta", error))?;
        let state = read
            .open_table(STATE)
            .map_err(|error| self.no_table("state", error))?;
        let incarnation: Incarnation = self.value(&meta, "meta", INCARNATION_KEY)?;
        let founding: Founding = self.value(&meta, "meta", FOUNDING_KEY)?;
        let hard_state: HardState = self.value(&state, "state", HARD_STATE_KEY)?;
        let Kept {
            generation,
            snapshot,
        } = snapshot::get(self, &read, &state)?;
        let start: LogStart = self.value(&state, "state", START_KEY)?;
        let end: Index = self.value(&state, "state", END_KEY)?;
        let writes: u64 = self.value(&state, "state", WRITES_KEY)?;
        // The next write would overflow the counter.
        if writes == u64::MAX {
            let reason = format!("it counts {writes} writes, more than any store can have");
            return Err(self.damaged(&value_place("state", WRITES_KEY), reason));
        }
        let entries = self.entries(&read, start, end)?;
        // The commit index is volatile (figure 2): the next leader makes it known.
        let committed = raftian_raft::Index(0);
        let restored = Restored {
            hard_state,
            committed,
            incarnation,
            founding,
            snapshot,
            start,
            entries,
        };
        self.agrees(&restored)?;
        Ok((restored, Counts { generation, writes }))
    }

    /// Reads the previous incarnation, if the node began another one.
    pub(super) fn previous_incarnation(
        self,
        database: &Database,
    ) -> Result<Option<Incarnation>, StoreError> {
        let read = database
            .begin_read()
            .map_err(|error| self.database("the file", error))?;
        let meta = read
            .open_table(META)
            .map_err(|error| self.no_table("meta", error))?;
        self.value_if_any(&meta, "meta", PREVIOUS_INCARNATION_KEY)
    }

    /// Reads all entries: those after `start` up to `end`, without gaps.
    fn entries(
        self,
        read: &ReadTransaction,
        start: LogStart,
        end: Index,
    ) -> Result<Vec<Entry>, StoreError> {
        let table = read
            .open_table(ENTRIES)
            .map_err(|error| self.no_table("entries", error))?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut newest = start.position;
        for row in table
            .iter()
            .map_err(|error| self.database("table entries", error))?
        {
            let (key, value) = row.map_err(|error| self.database("table entries", error))?;
            let entry = self.entry(key.value(), value.value(), newest)?;
            newest = entry.position();
            entries.push(entry);
        }
        if newest.index != end {
            let reason = format!(
                "the log should end at {end}, but it ends at {}",
                newest.index
            );
            return Err(self.damaged("table entries", reason));
        }
        Ok(entries)
    }

    /// Checks that the parts are consistent: log and snapshot meet, and no entry has a term that
    /// the node never entered.
    fn agrees(self, restored: &Restored) -> Result<(), StoreError> {
        let Restored {
            hard_state,
            snapshot,
            start,
            entries,
            ..
        } = restored;
        let covered = snapshot
            .as_ref()
            .map_or(LogPosition::default(), |snapshot| snapshot.position);
        if start.position.index > covered.index {
            let reason = format!(
                "the log begins after {}, but the snapshot covers only up to {covered}",
                start.position
            );
            return Err(self.damaged("table state", reason));
        }
        let place = covered.index.0 - start.position.index.0;
        // Position of the log at the end of the snapshot, if the log reaches it.
        let in_log = match usize::try_from(place) {
            Ok(0) => Some(start.position),
            Ok(place) => entries.get(place - 1).map(Entry::position),
            // A log of that length would not fit in memory.
            Err(_) => None,
        };
        if let Some(found) = in_log.filter(|found| *found != covered) {
            let reason = format!("the snapshot ends at {covered}, where the log has {found}");
            return Err(self.damaged("table state", reason));
        }
        // A node enters a term before it stores anything of that term (section 5.1).
        if covered.term > hard_state.term {
            let reason = format!(
                "its term {} is later than the node's own {}",
                covered.term, hard_state.term
            );
            return Err(self.damaged("the snapshot", reason));
        }
        if let Some(entry) = entries.last().filter(|entry| entry.term > hard_state.term) {
            let reason = format!(
                "its term {} is later than the node's own {}",
                entry.term, hard_state.term
            );
            return Err(self.damaged(&entry_place(entry.index.0), reason));
        }
        Ok(())
    }

    /// Reads one entry, which must follow `newest` and have no earlier term.
    fn entry(self, key: u64, sealed: &[u8], newest: LogPosition) -> Result<Entry, StoreError> {
        let place = entry_place(key);
        let expected = newest.index.next();
        if key != expected.0 {
            return Err(self.damaged(
                &entry_place(expected.0),
                format!("it is missing; the next one is #{key}"),
            ));
        }
        let entry: Entry = self.decode_checksummed(&place, &place, sealed)?;
        if entry.index != expected {
            return Err(self.damaged(&place, format!("it contains entry {} instead", entry.index)));
        }
        if entry.term < newest.term {
            let reason = format!(
                "its term {} is earlier than {} before it",
                entry.term, newest.term
            );
            return Err(self.damaged(&place, reason));
        }
        Ok(entry)
    }
}
