//! Reads checksummed values of a store file. Every error names the file and the place in it.

use std::io;
use std::path::Path;

use redb::{DatabaseError, ReadOnlyTable, TableError};
use serde::de::DeserializeOwned;

use super::StoreError;
use super::checksum::strip_checksum;
use crate::wire;

/// A file being read, so that each error names it.
#[derive(Clone, Copy)]
pub(super) struct File<'a>(pub(super) &'a Path);

impl File<'_> {
    pub(super) fn value<T: DeserializeOwned>(
        self,
        table: &ReadOnlyTable<&'static str, &'static [u8]>,
        name: &str,
        key: &str,
    ) -> Result<T, StoreError> {
        let found = self.value_if_any(table, name, key)?;
        found.ok_or_else(|| self.damaged(&value_place(name, key), "it is missing"))
    }

    pub(super) fn value_if_any<T: DeserializeOwned>(
        self,
        table: &ReadOnlyTable<&'static str, &'static [u8]>,
        name: &str,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let place = value_place(name, key);
        match table
            .get(key)
            .map_err(|error| self.database(&place, error))?
        {
            Some(sealed) => self
                .decode_checksummed(&place, key, sealed.value())
                .map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn decode_checksummed<T: DeserializeOwned>(
        self,
        place: &str,
        place_of_checksum: &str,
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let value = strip_checksum(place_of_checksum, sealed)
            .ok_or_else(|| self.damaged(place, "its checksum does not match"))?;
        wire::decode_value(value).map_err(|error| self.damaged(place, error))
    }

    pub(super) fn no_table(self, name: &str, error: TableError) -> StoreError {
        match error {
            TableError::TableDoesNotExist(_) => self.damaged(
                &format!("table {name}"),
                "it is missing, so this is not the store of a node",
            ),
            error => self.database(&format!("table {name}"), error),
        }
    }

    /// Converts redb's error on opening the file.
    pub(super) fn not_opened(self, error: DatabaseError) -> StoreError {
        match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                file: self.0.to_owned(),
            },
            error => self.database("the file", error),
        }
    }

    /// Converts redb's error about the bytes at `place`: damaged contents, or no access to them.
    pub(super) fn database(self, place: &str, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            // These two kinds come from the contents of the file, all others from the access to it.
            redb::Error::Io(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                self.no_access(error)
            }
            error => self.damaged(place, error),
        }
    }

    pub(super) fn no_access(self, reason: impl ToString) -> StoreError {
        StoreError::NoAccess {
            file: self.0.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn damaged(self, place: &str, reason: impl ToString) -> StoreError {
        StoreError::Damaged {
            file: self.0.to_owned(),
            place: place.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn foreign(self, what: &'static str, found: String, expected: String) -> StoreError {
        StoreError::Foreign {
            file: self.0.to_owned(),
            what,
            found,
            expected,
        }
    }
}

pub(super) fn value_place(table: &str, key: &str) -> String {
    format!("table {table}, key {key:?}")
}
