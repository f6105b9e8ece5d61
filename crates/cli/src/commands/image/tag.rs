//! `tag`.

use gantry_names::Reference;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static TAG: Command = Command {
    usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    examples: &[("app:1 registry:5000/app:1", "A second name, to push it under")],
    aliases: &["image tag", "tag"],
    arity: Arity::Exactly(2),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let target = Reference::parse(m.word(1)).map_err(|e| {
        format!("Error parsing reference: {:?} is not a valid repository/tag: {e}", m.word(1))
    })?;
    if target.digest().is_some() {
        return Err("refusing to create a tag with a digest reference".into());
    }
    let target = target.or_latest();
    let repo = target.familiar_name();
    Ok(s.client()?.image_tag(m.word(0), &repo, target.tag().unwrap_or("latest")).await?)
}
