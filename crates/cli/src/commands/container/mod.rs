//! Containers: a verb is a file.

pub mod attach;
pub mod commit;
pub mod cp;
pub mod create;
pub mod diff;
pub mod exec;
pub mod export;
pub mod inspect;
pub mod kill;
pub mod logs;
pub mod ls;
mod options;
pub mod pause;
pub mod port;
pub mod prune;
pub(crate) mod published;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod run;
pub(crate) mod signals;
mod spec;
pub mod start;
pub mod stats;
pub mod stop;
mod timeout;
pub mod top;
pub mod unpause;
pub mod update;
pub mod wait;

use crate::command::{COMMAND, Command, entry};

pub static CONTAINER: Command = Command {
    short: "Manage containers",
    below: &[
        entry(&["attach"], &attach::ATTACH),
        entry(&["commit"], &commit::COMMIT),
        entry(&["cp"], &cp::CP),
        entry(&["create"], &create::CREATE),
        entry(&["diff"], &diff::DIFF),
        entry(&["exec"], &exec::EXEC),
        entry(&["export"], &export::EXPORT),
        entry(&["inspect"], &inspect::INSPECT),
        entry(&["kill"], &kill::KILL),
        entry(&["logs"], &logs::LOGS),
        entry(&["ls", "list", "ps"], &ls::LS),
        entry(&["pause"], &pause::PAUSE),
        entry(&["port"], &port::PORT),
        entry(&["prune"], &prune::PRUNE),
        entry(&["rename"], &rename::RENAME),
        entry(&["restart"], &restart::RESTART),
        entry(&["rm", "remove"], &rm::RM),
        entry(&["run"], &run::RUN),
        entry(&["start"], &start::START),
        entry(&["stats"], &stats::STATS),
        entry(&["stop"], &stop::STOP),
        entry(&["top"], &top::TOP),
        entry(&["unpause"], &unpause::UNPAUSE),
        entry(&["update"], &update::UPDATE),
        entry(&["wait"], &wait::WAIT),
    ],
    ..COMMAND
};
