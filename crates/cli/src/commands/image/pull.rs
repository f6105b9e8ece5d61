//! `pull`, and the pull that `run` does for a missing image.

use gantry_client::Query;
use gantry_names::Reference;

use super::progress::{self, Out};
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all-tags", "Pull every tag of the repository").short('a'),
    switch("disable-content-trust", "Skip verification of images").default("true").hidden(),
    text("platform", "Platform, when the image has several"),
    switch("quiet", "Only the result").short('q'),
];

pub static PULL: Command = Command {
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    short: "Download an image from a registry",
    examples: &[("debian:12", "One tag"), ("--platform linux/arm64 debian", "For another machine")],
    aliases: &["image pull", "pull"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

/// Where a pull's progress goes.
#[derive(Debug, Clone, Copy)]
pub enum Show {
    /// To standard output, because the pull is the work.
    Stdout {
        /// Only the result.
        quiet: bool,
    },
    /// To standard error, because the work is another.
    Stderr {
        /// Nothing.
        quiet: bool,
    },
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let reference = Reference::parse(m.word(0)).map_err(|e| e.to_string())?;
    let all = m.on("all-tags");
    let named = reference.tag().is_some() || reference.digest().is_some();
    if all && named {
        return Err("tag can't be used with --all-tags/-a".into());
    }
    let quiet = m.on("quiet");
    let reference = match (all, named) {
        (true, _) => reference,
        (false, true) => reference,
        (false, false) => {
            let tagged = reference.or_latest();
            if !quiet {
                print::line(&format!("Using default tag: {}", tagged.tag().unwrap_or("latest")));
            }
            tagged
        }
    };
    let platform = s.platform(m.text("platform"));
    fetch(s, &reference, all, &platform, Show::Stdout { quiet }).await?;
    print::line(&reference.to_string());
    Ok(())
}

/// Pulls one image by name.
pub async fn pull(s: &Session, image: &str, platform: &str, show: Show) -> Result<(), Failure> {
    let reference = Reference::parse(image).map_err(|e| Failure::text(1, e.to_string()))?;
    fetch(s, &reference.or_latest(), false, platform, show).await
}

async fn fetch(
    s: &Session,
    reference: &Reference,
    all: bool,
    platform: &str,
    show: Show,
) -> Result<(), Failure> {
    let tag = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => String::new(),
    };
    let mut query = Query::new().with("fromImage", reference.familiar_name());
    if !all {
        query = query.with_some("tag", tag);
    }
    query = query.with_some("platform", platform.to_lowercase());
    let auth = s.registry_auth(&reference.to_string());
    let stream = s.client()?.image_create(query, Some(auth), None).await?;
    let out = match show {
        Show::Stdout { quiet: false } => Out::Stdout,
        Show::Stderr { quiet: false } => Out::Stderr,
        _ => Out::Nowhere,
    };
    progress::show(stream, out).await.map(drop)
}
