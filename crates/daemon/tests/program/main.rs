//! The whole program under the original `docker` client: one engine per test, with folders and a socket of its own.
//!
//! The client is Docker's, unmodified; what it prints and how it exits is what is compared. Where a test needs what
//! no command line shows (a hijacked connection, an old version's fields), it speaks HTTP by hand.

#![expect(clippy::unwrap_used, reason = "a test's helper that fails fails its test")]

mod bad_build;
mod book;
mod build;
mod build_cache;
mod build_export;
mod buildkit;
mod certificates;
mod compose;
mod container;
mod crash;
mod dockerd;
mod door;
mod escapes;
mod exec;
mod files;
mod full;
mod harness;
mod image;
mod machine;
mod network;
mod own_build;
mod own_client;
mod own_flags;
mod program;
mod runtimes;
mod settings;
mod sshd;
mod streams;
mod system;
mod travel;
mod versions;
mod volume;
mod web;
