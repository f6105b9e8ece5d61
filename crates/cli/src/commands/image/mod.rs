//! Images: a verb is a file.

pub mod build;
mod check;
pub mod copy;
mod debug;
pub mod history;
pub mod import;
pub mod inspect;
pub mod load;
pub mod ls;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
pub mod rm;
pub mod save;
pub mod tag;
mod tree;

use crate::command::{COMMAND, Command, entry};

pub static IMAGE: Command = Command {
    short: "Manage images",
    below: &[
        entry(&["build"], &build::BUILD),
        entry(&["copy"], &copy::COPY),
        entry(&["history"], &history::HISTORY),
        entry(&["import"], &import::IMPORT),
        entry(&["inspect"], &inspect::INSPECT),
        entry(&["load"], &load::LOAD),
        entry(&["ls", "list"], &ls::LS),
        entry(&["prune"], &prune::PRUNE),
        entry(&["pull"], &pull::PULL),
        entry(&["push"], &push::PUSH),
        entry(&["rm", "remove"], &rm::RM),
        entry(&["save"], &save::SAVE),
        entry(&["tag"], &tag::TAG),
    ],
    ..COMMAND
};
