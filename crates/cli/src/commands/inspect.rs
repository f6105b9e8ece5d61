//! `inspect`: everything the engine knows of things, by name, whatever they are.

use gantry_client::{ClientError, Query};
use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::config::indented;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::format::Listing;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'json' or a Go template").short('f'),
    switch("size", "Show total file sizes of containers").short('s'),
    text("type", "Only things of this type"),
];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    short: "Return low-level information on Docker objects",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

/// What may be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A network with what runs on it in a cluster.
    NetworkVerbose,
    /// A volume.
    Volume,
    /// One of the cluster's nouns (the path's plural, the word).
    Object(&'static str, &'static str),
}

/// The order in which a name without a type is tried.
const ALL: &[Kind] = &[
    Kind::Container,
    Kind::Image,
    Kind::Network,
    Kind::Volume,
    Kind::Object("services", "service"),
    Kind::Object("tasks", "task"),
    Kind::Object("nodes", "node"),
    Kind::Object("plugins", "plugin"),
    Kind::Object("secrets", "secret"),
    Kind::Object("configs", "config"),
];

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Image => "image",
            Kind::Network | Kind::NetworkVerbose => "network",
            Kind::Volume => "volume",
            Kind::Object(_, word) => word,
        }
    }
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let kinds: Vec<Kind> = match m.text("type") {
        "" if m.changed("type") => return Err("type is empty: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"".into()),
        "" => ALL.to_vec(),
        wanted => ALL.iter().copied().filter(|k| k.word() == wanted).collect(),
    };
    if kinds.is_empty() {
        return Err(format!("unknown type: {:?}: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"", m.text("type")).into());
    }
    inspect(s, &kinds, &m.words, m.text("format"), m.on("size")).await
}

/// Inspects `names`, each as the first of `kinds` that knows it, and prints them all.
pub async fn inspect(s: &Session, kinds: &[Kind], names: &[String], format: &str, size: bool) -> Outcome {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        match one(s, kinds, name, size).await {
            Ok(value) => found.push(value),
            Err(failure) => failed.push(failure.to_string()),
        }
    }
    show(&found, format)?;
    Failure::all(failed)
}

/// Prints inspected things: as one indented list, or each through a template.
pub fn show(found: &[Value], format: &str) -> Outcome {
    if format.is_empty() {
        match found {
            [] => print::line("[]"),
            found => print::line(&indented(&Value::Array(found.to_vec()), "    ")),
        }
        return Ok(());
    }
    if format == "json" {
        print::line(&Value::Array(found.to_vec()).to_string());
        return Ok(());
    }
    crate::format::template(format).map_err(|failure| Failure::text(64, failure.to_string()))?;
    // What was printed before a row that does not fit stays printed, as Docker does it.
    let mut out = String::new();
    for value in found {
        match Listing::json(format, value) {
            Ok(text) => out.push_str(&format!("{text}\n")),
            Err(failure) => {
                print::out(&format!("{out}\n"));
                return Err(failure);
            }
        }
    }
    if found.is_empty() {
        // A template over nothing is an empty line.
        out.push('\n');
    }
    print::out(&out);
    Ok(())
}

async fn one(s: &Session, kinds: &[Kind], name: &str, size: bool) -> Result<Value, Failure> {
    let client = s.client()?;
    for kind in kinds {
        let result = match kind {
            Kind::Container => client.container_inspect(name, size).await,
            Kind::Image => client.image_inspect(name, Query::new()).await,
            Kind::Network => client.network_inspect(name, Query::new()).await,
            Kind::NetworkVerbose => client.network_inspect(name, Query::new().with("verbose", "true")).await,
            Kind::Volume => client.volume_inspect(name).await,
            Kind::Object(noun, _) => {
                let path = if *noun == "plugins" { format!("{name}/json") } else { name.to_owned() };
                client.object(noun, &path, Query::new()).await
            }
        };
        match result {
            Ok(value) => {
                if size && !matches!(kind, Kind::Container) {
                    print::err(&format!("WARNING: --size ignored for {}", kind.word()));
                }
                return Ok(value);
            }
            Err(err) if kinds.len() > 1 && passes(&err, *kind) => {}
            Err(err) => return Err(err.into()),
        }
    }
    let what = match kinds {
        [one] => format!("{} {name}", one.word()),
        _ => format!("object: {name}"),
    };
    Err(Failure::text(1, format!("Error: No such {what}")))
}

/// Whether a failure only says that the thing is of another type (or that this engine has no such type).
fn passes(err: &ClientError, kind: Kind) -> bool {
    match (err.status(), kind) {
        (Some(404), _) => true,
        // A manager only knows these; and a bad reference is no image.
        (Some(503 | 406 | 501 | 500), Kind::Object(..)) => true,
        (Some(400), Kind::Image | Kind::Network | Kind::Volume | Kind::Object(..)) => true,
        _ => false,
    }
}
