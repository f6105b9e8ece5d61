//! `push`.

use gantry_client::Query;
use gantry_names::Reference;

use super::progress::{self, Out};
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::parse::platform;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all-tags", "Push every tag of the repository").short('a'),
    switch("disable-content-trust", "Skip signing of images").default("true").hidden(),
    text("platform", "Push only this platform (os[/arch[/variant]])"),
    switch("quiet", "Only the result").short('q'),
];

pub static PUSH: Command = Command {
    usage: "[OPTIONS] NAME[:TAG]",
    short: "Upload an image to a registry",
    examples: &[("registry:5000/app:1", "The name says where to")],
    aliases: &["image push", "push"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let reference = Reference::parse(m.word(0)).map_err(|e| e.to_string())?;
    let (all, quiet) = (m.on("all-tags"), m.on("quiet"));
    let reference = match all {
        true if reference.tag().is_some() => {
            return Err("tag can't be used with --all-tags/-a".into());
        }
        true => reference,
        false if reference.tag().is_none() && reference.digest().is_none() => {
            let tagged = reference.or_latest();
            if !quiet {
                print::line(&format!("Using default tag: {}", tagged.tag().unwrap_or("latest")));
            }
            tagged
        }
        false => reference,
    };
    let mut query = Query::new().with("tag", if all { "" } else { reference.tag().unwrap_or_default() });
    if m.changed("platform") {
        query = query.with("platform", platform::to_json(m.text("platform"))?);
    }
    let auth = s.registry_auth(&reference.to_string());
    let stream = s.client()?.image_push(&reference.familiar_name(), query, auth).await?;
    progress::show(stream, if quiet { Out::Nowhere } else { Out::Stdout }).await?;
    if quiet {
        print::line(&reference.to_string());
    }
    Ok(())
}
