//! `pb`: of `solver/pb/ops.proto` what a reader needs to name sources and places in a file. The operations of a
//! definition are kept as the bytes they came in.

use std::collections::BTreeMap;

/// A graph of operations.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Definition {
    /// Each an [`Op`].
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub def: Vec<Vec<u8>>,
    /// By an operation's digest.
    #[prost(btree_map = "string, message", tag = "2")]
    pub metadata: BTreeMap<String, OpMetadata>,
}

/// What is said of an operation; nobody here reads it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OpMetadata {}

/// One operation; only sources are looked into.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Op {
    #[prost(message, repeated, tag = "1")]
    pub inputs: Vec<Input>,
    #[prost(message, optional, tag = "3")]
    pub source: Option<SourceOp>,
    #[prost(message, optional, tag = "10")]
    pub platform: Option<Platform>,
}

/// An edge.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Input {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub index: i64,
}

/// Where files come from.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SourceOp {
    /// `docker-image://...`, `local://...`, `git://...`, `https://...`, `oci-layout://...`.
    #[prost(string, tag = "1")]
    pub identifier: String,
    #[prost(btree_map = "string, string", tag = "2")]
    pub attrs: BTreeMap<String, String>,
}

/// A platform.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Platform {
    #[prost(string, tag = "1")]
    pub architecture: String,
    #[prost(string, tag = "2")]
    pub os: String,
    #[prost(string, tag = "3")]
    pub variant: String,
}

/// A file that was read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SourceInfo {
    #[prost(string, tag = "1")]
    pub filename: String,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    #[prost(string, tag = "4")]
    pub language: String,
}

/// A part of a file.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Range {
    #[prost(message, optional, tag = "1")]
    pub start: Option<Position>,
    #[prost(message, optional, tag = "2")]
    pub end: Option<Position>,
}

/// A place in a file; lines count from one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Position {
    #[prost(int32, tag = "1")]
    pub line: i32,
    #[prost(int32, tag = "2")]
    pub character: i32,
}

impl Range {
    /// Whole lines, first to last.
    pub fn lines(first: usize, last: usize) -> Self {
        let line = |line: usize| Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 };
        Self { start: Some(line(first)), end: Some(line(last)) }
    }
}
