//! `image prune`.

use crate::command::{COMMAND, Command};
use crate::commands::prune::{self, Prune};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::parse::filters;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Remove all unused images, not just dangling ones").short('a'),
    flag("filter", Kind::Filter, "Only what fits (\"until=<timestamp>\")"),
    switch("force", "Do not ask").short('f'),
];

pub static PRUNE: Command = Command {
    usage: "[OPTIONS]",
    short: "Remove unused images",
    examples: &[("-a --filter until=240h", "All that no container uses and that is older than ten days")],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let all = m.on("all");
    let mut wanted = prune::filters(s, m);
    filters::add(&mut wanted, "dangling", if all { "false" } else { "true" });
    prune::ask_and_show(s, m, if all { &Prune::ALL_IMAGES } else { &Prune::IMAGES }, wanted).await
}
