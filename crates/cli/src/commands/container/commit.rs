//! `commit`: an image of a container's changes.

use gantry_client::Query;
use gantry_names::Reference;
use serde_json::json;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, list, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("author", "Who made it").short('a'),
    list("change", "Dockerfile instruction to apply to the image").short('c'),
    text("message", "What was done").short('m'),
    switch("no-pause", "Do not pause the container meanwhile").hidden(),
    switch("pause", "Pause the container meanwhile").short('p').default("true"),
];

pub static COMMIT: Command = Command {
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    short: "Create a new image from a container's changes",
    examples: &[("-m 'with vim' -c 'CMD [\"vim\"]' web app:2", "An image of its changes, and what it runs")],
    aliases: &["container commit", "commit"],
    flags: &[FLAGS],
    arity: Arity::Between(1, 2),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut query = Query::new().with("container", m.word(0));
    if m.words.len() > 1 && !m.word(1).is_empty() {
        let reference = Reference::parse(m.word(1)).map_err(|e| e.to_string())?;
        if reference.digest().is_some() {
            return Err("refusing to create a tag with a digest reference".into());
        }
        let reference = reference.or_latest();
        query =
            query.with("repo", reference.familiar_name()).with("tag", reference.tag().unwrap_or_default());
    }
    query = query.with_some("comment", m.text("message")).with_some("author", m.text("author"));
    for change in m.all("change") {
        query = query.with("changes", change);
    }
    if !m.on("pause") || m.on("no-pause") {
        query = query.with("pause", "0");
    }
    let answer = s.client()?.container_commit(query, &json!(null)).await?;
    print::line(answer["Id"].as_str().unwrap_or_default());
    Ok(())
}
