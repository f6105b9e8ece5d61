//! `volume prune`.

use crate::command::{COMMAND, Command};
use crate::commands::prune::{self, Prune};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::parse::filters;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Remove all unused volumes, not just anonymous ones").short('a'),
    flag("filter", Kind::Filter, "Only what fits (\"label=<label>\")"),
    switch("force", "Do not ask").short('f'),
];

pub static PRUNE: Command = Command {
    usage: "[OPTIONS]",
    short: "Remove unused local volumes",
    examples: &[("-a -f", "Named ones, too")],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut wanted = prune::filters(s, m);
    // Engines before 1.42 take named volumes too, and know no filter for it.
    let all = m.on("all");
    let knows = s.client()?.speaks("1.42").await?;
    if all {
        if !knows {
            return Err(
                "\"--all\" requires API version 1.42, but the Docker daemon API version is older".into()
            );
        }
        filters::add(&mut wanted, "all", "true");
    }
    let prune = if all || !knows { &Prune::ALL_VOLUMES } else { &Prune::VOLUMES };
    prune::ask_and_show(s, m, prune, wanted).await
}
