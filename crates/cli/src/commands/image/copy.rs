//! `image copy`: an image from one engine to another, without a registry between them.
//!
//! The engine that gets it is asked which of the image's layers it has; the other leaves those out of what it sends. A
//! Docker engine sends them all the same, and takes what is left out.

use futures_util::stream;
use gantry_client::{Body, ByteStream, Client, Query};
use gantry_names::Reference;
use serde_json::Value;

use super::progress::{self, Out};
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("from", "Engine that has the image: a context or an address (ssh://, tcp://, unix://)"),
    switch("quiet", "Only the result").short('q'),
];

pub static COPY: Command = Command {
    usage: "[OPTIONS] IMAGE [ENGINE]",
    short: "Copy an image to another engine: only layers that it lacks move",
    examples: &[
        ("app:1 ssh://root@far", "To another machine; only what it lacks goes there"),
        ("--from unix:///var/run/docker.sock app:1", "From Docker's engine on this machine"),
    ],
    long: "Copy an image to another engine, without a registry: only layers that it lacks move. Engines are contexts or\n\
           addresses. Without ENGINE the image comes from --from to the engine in use.",
    flags: &[FLAGS],
    arity: Arity::Between(1, 2),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let name = m.word(0);
    let other = |word: &str| s.client_of(word);
    let (from, to) = match (m.text("from"), m.words.get(1)) {
        ("", None) => return Err("say where to: an engine, or --from another".into()),
        ("", Some(to)) => (None, Some(other(to)?)),
        (from, None) => (Some(other(from)?), None),
        (from, Some(to)) => (Some(other(from)?), Some(other(to)?)),
    };
    let from = from.as_ref().map_or_else(|| s.client(), Ok)?;
    let to = to.as_ref().map_or_else(|| s.client(), Ok)?;
    let image = from.image_inspect(name, Query::new()).await?;
    let layers = layers(&image);
    let had = had(to, &layers).await?;
    if !m.on("quiet") {
        let (total, missing) = (layers.len(), layers.len() - had);
        print::line(&format!("{name}: {missing} of {total} layers to copy"));
    }
    let mut query = Query::new().with("names", name);
    for layer in &layers[..had] {
        query = query.with("without", layer.as_str());
    }
    let sent = from.image_save(query).await?;
    let quiet = if m.on("quiet") { "1" } else { "0" };
    let answer = to.image_load(Query::new().with("quiet", quiet), Body::stream(bytes(sent))).await?;
    progress::show(answer.json(), if m.on("quiet") { Out::Nowhere } else { Out::Stdout }).await?;
    named(to, name, image["Id"].as_str().unwrap_or_default()).await
}

/// An image named by its id comes without a name, and one named without a tag by its tag.
async fn named(to: &Client, name: &str, id: &str) -> Outcome {
    let there = to.image_inspect(id, Query::new()).await?;
    if there["Id"].as_str() != Some(id) {
        return Err(Failure::text(1, format!("{name}: what arrived is another image")));
    }
    print::line(&match Reference::parse(name) {
        Ok(reference) if !id.contains(name) => reference.or_latest().familiar(),
        _ => id.to_owned(),
    });
    Ok(())
}

fn layers(image: &Value) -> Vec<String> {
    let list = image["RootFS"]["Layers"].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(|layer| layer.as_str().map(str::to_owned)).collect()
}

/// How many of these layers, from the lowest, an engine has in this order.
async fn had(engine: &Client, layers: &[String]) -> Result<usize, Failure> {
    let mut most = 0;
    for image in engine.image_list(Query::new().with("all", "1")).await? {
        let id = image["Id"].as_str().unwrap_or_default();
        // An image that went away meanwhile has nothing we could use.
        let Ok(other) = engine.image_inspect(id, Query::new()).await else { continue };
        let same = layers.iter().zip(self::layers(&other)).take_while(|(a, b)| *a == b).count();
        most = most.max(same);
        if most == layers.len() {
            break;
        }
    }
    Ok(most)
}

/// What one engine sends, as what the other gets.
fn bytes(
    from: ByteStream,
) -> impl stream::Stream<Item = std::io::Result<bytes::Bytes>> + Send + Sync + 'static {
    stream::unfold(from, |mut from| async move {
        match from.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), from)),
            Ok(None) => None,
            Err(why) => Some((Err(std::io::Error::other(why)), from)),
        }
    })
}
