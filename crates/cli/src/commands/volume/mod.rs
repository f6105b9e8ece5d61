//! Volumes: a verb is a file.

mod create;
mod inspect;
mod ls;
mod prune;
mod rm;
mod update;

use crate::command::{COMMAND, Command, entry};

pub static VOLUME: Command = Command {
    short: "Manage volumes",
    below: &[
        entry(&["create"], &create::CREATE),
        entry(&["inspect"], &inspect::INSPECT),
        entry(&["ls", "list"], &ls::LS),
        entry(&["prune"], &prune::PRUNE),
        entry(&["rm", "remove"], &rm::RM),
        entry(&["update"], &update::UPDATE),
    ],
    ..COMMAND
};
