//! Transactions: the only way to rows.

use std::cell::Cell;

use redb::{
    ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, TableHandle,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Damaged, Key, Listing, StoreError, Table, row};

type Raw = TableDefinition<'static, &'static str, &'static [u8]>;

/// A consistent picture of all tables.
pub struct ReadTx {
    pub(crate) tx: redb::ReadTransaction,
}

/// A change of any number of tables: all of it or nothing.
pub struct WriteTx {
    pub(crate) tx: redb::WriteTransaction,
    /// The database's own failure inside the closure, kept for the decision whether to try again.
    pub(crate) failed: Cell<Option<StoreError>>,
}

/// Reads every row of every table and looks at none of them: what is damaged in the pages comes out.
pub(crate) fn read_through(database: &redb::Database) -> Result<(), StoreError> {
    let tx = database.begin_read()?;
    for name in tx.list_tables()? {
        let table = tx.open_table(TableDefinition::<&str, &[u8]>::new(name.name()))?;
        for row in table.iter()? {
            let (key, value) = row?;
            std::hint::black_box((key.value(), value.value()));
        }
    }
    Ok(())
}

impl ReadTx {
    fn open(
        &self,
        name: &'static str,
    ) -> Result<Option<redb::ReadOnlyTable<&'static str, &'static [u8]>>, StoreError> {
        match self.tx.open_table(Raw::new(name)) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// The value of a key. A damaged row is an error.
    pub fn get<K: Key, V: DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        match self.open(table.name)? {
            Some(rows) => get(&rows, table.name, &key.to_string()),
            None => Ok(None),
        }
    }

    /// All rows, in key order.
    pub fn list<K: Key, V: DeserializeOwned>(&self, table: Table<K, V>) -> Result<Listing<K, V>, StoreError> {
        self.list_from(table, "")
    }

    /// The rows whose key text starts with `prefix`.
    pub fn list_from<K: Key, V: DeserializeOwned>(
        &self,
        table: Table<K, V>,
        prefix: &str,
    ) -> Result<Listing<K, V>, StoreError> {
        match self.open(table.name)? {
            Some(rows) => list(&rows, table.name, prefix),
            None => Ok(Listing { rows: Vec::new(), damaged: Vec::new() }),
        }
    }

    /// How many rows.
    pub fn len<K, V>(&self, table: Table<K, V>) -> Result<u64, StoreError> {
        Ok(match self.open(table.name)? {
            Some(rows) => rows.len()?,
            None => 0,
        })
    }
}

impl WriteTx {
    fn open(&self, name: &'static str) -> Result<redb::Table<'_, &'static str, &'static [u8]>, StoreError> {
        self.tx.open_table(Raw::new(name)).map_err(|err| self.note(err.into()))
    }

    fn note(&self, err: StoreError) -> StoreError {
        if !err.wants_reopening() {
            return err;
        }
        self.failed.set(Some(err));
        StoreError::Closed
    }

    /// The value of a key as this transaction sees it.
    pub fn get<K: Key, V: DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let rows = self.open(table.name)?;
        get(&rows, table.name, &key.to_string()).map_err(|err| self.note(err))
    }

    /// All rows as this transaction sees them.
    pub fn list<K: Key, V: DeserializeOwned>(&self, table: Table<K, V>) -> Result<Listing<K, V>, StoreError> {
        let rows = self.open(table.name)?;
        list(&rows, table.name, "").map_err(|err| self.note(err))
    }

    /// Writes a row, over an old one if there is one.
    pub fn put<K: Key, V: Serialize>(
        &self,
        table: Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        let bytes = row::encode(value).map_err(|cause| StoreError::Encode { table: table.name, cause })?;
        let mut rows = self.open(table.name)?;
        let written = rows.insert(key.to_string().as_str(), bytes.as_slice()).map(drop);
        written.map_err(|err| self.note(err.into()))
    }

    /// Removes a row, damaged or not; says whether it was there.
    pub fn remove<K: Key, V>(&self, table: Table<K, V>, key: &K) -> Result<bool, StoreError> {
        self.remove_text(table, &key.to_string())
    }

    /// [`WriteTx::remove`] by the key's text, for a damaged row.
    pub fn remove_text<K, V>(&self, table: Table<K, V>, key: &str) -> Result<bool, StoreError> {
        let mut rows = self.open(table.name)?;
        let removed = rows.remove(key).map(|old| old.is_some());
        removed.map_err(|err| self.note(err.into()))
    }
}

fn get<V: DeserializeOwned>(
    rows: &impl ReadableTable<&'static str, &'static [u8]>,
    table: &'static str,
    key: &str,
) -> Result<Option<V>, StoreError> {
    let Some(found) = rows.get(key)? else { return Ok(None) };
    match row::decode(found.value()) {
        Ok(value) => Ok(Some(value)),
        Err(cause) => Err(Damaged { table, key: key.to_owned(), cause }.into()),
    }
}

fn list<K: Key, V: DeserializeOwned>(
    rows: &impl ReadableTable<&'static str, &'static [u8]>,
    table: &'static str,
    prefix: &str,
) -> Result<Listing<K, V>, StoreError> {
    let mut listing = Listing { rows: Vec::new(), damaged: Vec::new() };
    for found in rows.range(prefix..)? {
        let (key, value) = found?;
        if !key.value().starts_with(prefix) {
            break;
        }
        let parsed = key.value().parse::<K>().map_err(|_| "the key does not parse".to_owned());
        match parsed.and_then(|key| Ok((key, row::decode(value.value())?))) {
            Ok(pair) => listing.rows.push(pair),
            Err(cause) => listing.damaged.push(Damaged { table, key: key.value().to_owned(), cause }),
        }
    }
    Ok(listing)
}
