//! Typed tables and what a listing of one gives.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

/// What can be a key: any word that prints and parses back (ids, references, `String`). Keys sort by their text.
pub trait Key: Display + FromStr {}
impl<T: Display + FromStr> Key for T {}

/// A table's name and the types in it. Declare it as a constant beside its owner.
pub struct Table<K, V> {
    pub(crate) name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// The table of this name. Prefix it with its owner: `images.references`.
    pub const fn new(name: &'static str) -> Table<K, V> {
        Table { name, types: PhantomData }
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Table<K, V> {}

/// A row that cannot be read. The others can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {key:?} in {table} is damaged: {cause}")]
pub struct Damaged {
    /// The table.
    pub table: &'static str,
    /// The key's text.
    pub key: String,
    /// What does not fit.
    pub cause: String,
}

/// The rows of a table in key order, and those that could not be read.
#[derive(Debug)]
pub struct Listing<K, V> {
    /// The good rows.
    pub rows: Vec<(K, V)>,
    /// The bad ones, for the owner to tell.
    pub damaged: Vec<Damaged>,
}
