//! Networks: a verb is a file.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod ls;
mod plumb;
mod prune;
mod rm;

use crate::command::{COMMAND, Command, entry};

pub static NETWORK: Command = Command {
    short: "Manage networks",
    below: &[
        entry(&["connect"], &connect::CONNECT),
        entry(&["create"], &create::CREATE),
        entry(&["disconnect"], &disconnect::DISCONNECT),
        entry(&["inspect"], &inspect::INSPECT),
        entry(&["ls", "list"], &ls::LS),
        entry(&["plumb"], &plumb::PLUMB),
        entry(&["prune"], &prune::PRUNE),
        entry(&["rm", "remove"], &rm::RM),
    ],
    ..COMMAND
};
