//! `import`.

use gantry_client::{Body, Query};
use gantry_names::Reference;

use super::progress;
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, list, text};
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    list("change", "Dockerfile instruction to apply to the image").short('c'),
    text("message", "What was done").short('m'),
    text("platform", "Platform of the image, when the engine knows several"),
];

pub static IMPORT: Command = Command {
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    short: "Import the contents from a tarball to create a filesystem image",
    examples: &[("-c 'CMD [\"/bin/bash\"]' root.tar debian:mine", "An image of one layer, and what it runs")],
    aliases: &["image import", "import"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Files,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let source = m.word(0);
    let url = source.starts_with("http://") || source.starts_with("https://");
    let (from, body) = match source {
        "-" => ("-", Some(Body::reader(tokio::io::stdin()))),
        url_text if url => (url_text, None),
        path => match tokio::fs::File::open(path).await {
            Ok(file) => ("-", Some(Body::reader(file))),
            Err(err) => return Err(format!("open {path}: {}", terminal::io_text(&err)).into()),
        },
    };
    let mut query = Query::new().with("fromSrc", from);
    if m.words.len() > 1 {
        let reference = Reference::parse(m.word(1)).map_err(|e| e.to_string())?;
        query = query.with("repo", reference.familiar());
    }
    query =
        query.with_some("message", m.text("message")).with_some("platform", s.platform(m.text("platform")));
    for change in m.all("change") {
        query = query.with("changes", change);
    }
    let stream = s.client()?.image_create(query, None, body).await?;
    progress::show(stream, progress::Out::Stdout).await.map(drop)
}
