//! The engine itself: a verb is a file.

pub mod completion;
mod df;
mod dial_stdio;
pub mod docs;
pub mod events;
pub mod info;
pub mod install_plugin;
mod prune;
pub mod version;

use crate::command::{COMMAND, Command, Shelf, entry, shelved};

pub static SYSTEM: Command = Command {
    short: "Manage the engine",
    below: &[
        entry(&["df"], &df::DF),
        shelved(&["dial-stdio"], &dial_stdio::DIAL_STDIO, Shelf::Hidden),
        entry(&["events"], &events::EVENTS),
        entry(&["info"], &info::INFO),
        entry(&["prune"], &prune::PRUNE),
    ],
    ..COMMAND
};
