//! `builder prune`.

use crate::command::{COMMAND, Command};
use crate::commands::prune::{self, Prune};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::parse::size;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Remove all of the cache, not just what dangles").short('a'),
    flag("filter", Kind::Filter, "Only what fits (\"until=24h\")"),
    switch("force", "Do not ask").short('f'),
    flag("keep-storage", Kind::Bytes, "How much of the cache to keep"),
];

pub static PRUNE: Command =
    Command { usage: "[OPTIONS]", short: "Remove build cache", flags: &[FLAGS], work: work!(run), ..COMMAND };

async fn run(s: &Session, m: &Matches) -> Outcome {
    let all = m.on("all");
    let warning = match all {
        true => "WARNING! This will remove all build cache.",
        false => Prune::BUILD.warning,
    };
    if !m.on("force") && !print::confirm(&format!("{warning} Are you sure you want to continue?")) {
        return Ok(());
    }
    let query = prune::query(&prune::filters(s, m))
        .flag("all", all)
        .with("keep-storage", m.bytes("keep-storage").to_string());
    let space = prune::show(s, &Prune::BUILD, query).await?;
    print::line(&format!("Total reclaimed space: {}", size::human(space)));
    Ok(())
}
