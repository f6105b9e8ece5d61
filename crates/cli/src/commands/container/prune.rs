//! `container prune`.

use crate::command::{COMMAND, Command};
use crate::commands::prune::{self, Prune};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("filter", Kind::Filter, "Only what fits (\"until=<timestamp>\")"),
    switch("force", "Do not ask").short('f'),
];

pub static PRUNE: Command = Command {
    usage: "[OPTIONS]",
    short: "Remove all stopped containers",
    examples: &[("-f --filter until=24h", "Those that ended a day ago")],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    prune::ask_and_show(s, m, &Prune::CONTAINERS, prune::filters(s, m)).await
}
