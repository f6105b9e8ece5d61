//! The builder's cache.

mod prune;

use crate::command::{COMMAND, Command, entry};
use crate::commands::image::build;

pub static BUILDER: Command = Command {
    short: "Manage builds",
    below: &[entry(&["build"], &build::BUILD), entry(&["prune"], &prune::PRUNE)],
    ..COMMAND
};
