//! `system prune`: everything unused at once.

use crate::command::{COMMAND, Command};
use crate::commands::prune::{self, Prune};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::parse::{filters, size};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Remove all unused images, not just dangling ones").short('a'),
    flag("filter", Kind::Filter, "Only what fits (\"label=<key>=<value>\")"),
    switch("force", "Do not ask").short('f'),
    switch("volumes", "Anonymous volumes too"),
];

pub static PRUNE: Command =
    Command { usage: "[OPTIONS]", short: "Remove unused data", flags: &[FLAGS], work: work!(run), ..COMMAND };

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (all, volumes) = (m.on("all"), m.on("volumes"));
    let wanted = prune::filters(s, m);
    if volumes && wanted.contains_key("until") {
        return Err("ERROR: The \"until\" filter is not supported with \"--volumes\"".into());
    }
    if !m.on("force") {
        let mut lines =
            vec!["  - all stopped containers", "  - all networks not used by at least one container"];
        if volumes {
            lines.push("  - all anonymous volumes not used by at least one container");
        }
        lines.push(if all {
            "  - all images without at least one container associated to them"
        } else {
            "  - all dangling images"
        });
        lines.push(if all { "  - all build cache" } else { "  - unused build cache" });
        let mut question = format!("WARNING! This will remove:\n{}\n", lines.join("\n"));
        if !wanted.is_empty() {
            question.push_str("\n  Items to be pruned will be filtered with:\n");
            for (name, values) in &wanted {
                for value in values.as_object().into_iter().flat_map(|v| v.keys()) {
                    question.push_str(&format!("  - {name}={value}\n"));
                }
            }
        }
        if !print::confirm(&format!("{question}\nAre you sure you want to continue?")) {
            return Ok(());
        }
    }
    let mut space = prune::show(s, &Prune::CONTAINERS, prune::query(&wanted)).await?;
    prune::show(s, &Prune::NETWORKS, prune::query(&wanted)).await?;
    if volumes {
        space += prune::show(s, &Prune::VOLUMES, prune::query(&wanted)).await?;
    }
    let mut images = wanted.clone();
    filters::add(&mut images, "dangling", if all { "false" } else { "true" });
    space += prune::show(s, &Prune::IMAGES, prune::query(&images)).await?;
    space += prune::show(s, &Prune::BUILD, prune::query(&wanted).flag("all", all)).await?;
    print::line(&format!("Total reclaimed space: {}", size::human(space)));
    Ok(())
}
