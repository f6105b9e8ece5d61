//! `context create` and `context update`.

use std::fs;

use gantry_client::Endpoint;
use serde_json::Map;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::config::{Context, valid_name};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::parse::csv;
use crate::print;
use crate::session::Session;
use crate::work;

static CREATE_FLAGS: &[Flag] = &[
    text("default-stack-orchestrator", "Accepted and ignored").hidden(),
    text("description", "What it is for"),
    flag(
        "docker",
        Kind::Named("stringToString"),
        "The engine (host=..., ca=..., cert=..., key=..., skip-tls-verify=...)",
    )
    .default("[]")
    .check(csv::validate_pairs),
    text("from", "Copy this context"),
    text("kubernetes", "Accepted and ignored").hidden(),
];

static UPDATE_FLAGS: &[Flag] = &[
    text("default-stack-orchestrator", "Accepted and ignored").hidden(),
    text("description", "What it is for"),
    flag(
        "docker",
        Kind::Named("stringToString"),
        "The engine (host=..., ca=..., cert=..., key=..., skip-tls-verify=...)",
    )
    .default("[]")
    .check(csv::validate_pairs),
    text("kubernetes", "Accepted and ignored").hidden(),
];

pub static CREATE: Command = Command {
    usage: "[OPTIONS] CONTEXT",
    short: "Create a context",
    examples: &[
        ("far --docker host=ssh://root@far", "By ssh"),
        (
            "far --description 'the other machine' --docker host=tcp://far:2376,ca=ca.pem,cert=cert.pem,key=key.pem",
            "By TLS; the certificates are kept in the context",
        ),
    ],
    long: "Create a context: an engine under a name.\n\nKeys of --docker: from, host, ca, cert, key, skip-tls-verify.",
    flags: &[CREATE_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(create),
    ..COMMAND
};

pub static UPDATE: Command = Command {
    usage: "[OPTIONS] CONTEXT",
    short: "Update a context",
    examples: &[("far --docker host=ssh://root@elsewhere", "It has moved")],
    flags: &[UPDATE_FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Contexts,
    work: work!(update),
    ..COMMAND
};

type Files = Vec<(String, Vec<u8>)>;

async fn create(s: &Session, m: &Matches) -> Outcome {
    let (store, name) = (s.contexts(), m.word(0));
    valid_name(name)?;
    if store.meta_dir(name).exists() {
        return Err(format!("context {name:?} already exists").into());
    }
    let mut files = Files::new();
    let mut context = Context {
        name: name.to_owned(),
        description: String::new(),
        host: String::new(),
        skip_verify: false,
        metadata: Map::new(),
    };
    match m.text("from") {
        // Nothing told: the engine of now, under a name.
        "" if !m.changed("docker") => copy(s, &s.context_name(), &mut context, &mut files)?,
        "" => {}
        _ if m.changed("docker") => return Err("cannot use --docker flag when --from is set".into()),
        from => copy(s, from, &mut context, &mut files)?,
    }
    endpoint(s, m, &mut context, &mut files)?;
    if m.changed("description") {
        context.description = m.text("description").to_owned();
    }
    store.put(&context)?;
    store.put_tls(name, &files)?;
    print::line(name);
    print::err(&format!("Successfully created context {name:?}"));
    Ok(())
}

async fn update(s: &Session, m: &Matches) -> Outcome {
    let (store, name) = (s.contexts(), m.word(0));
    valid_name(name)?;
    let mut context = store.get(name)?;
    let mut files = store.tls(name);
    endpoint(s, m, &mut context, &mut files)?;
    if m.changed("description") {
        context.description = m.text("description").to_owned();
    }
    store.put(&context)?;
    store.put_tls(name, &files)?;
    print::line(name);
    print::err(&format!("Successfully updated context {name:?}"));
    Ok(())
}

fn copy(s: &Session, from: &str, context: &mut Context, files: &mut Files) -> Result<(), Failure> {
    if from == "default" {
        context.host = s.default_host();
        return Ok(());
    }
    let source = s.contexts().get(from)?;
    *files = s.contexts().tls(from);
    context.description = source.description;
    context.host = source.host;
    context.skip_verify = source.skip_verify;
    context.metadata = source.metadata;
    Ok(())
}

/// Reads `--docker key=value,...`.
fn endpoint(s: &Session, m: &Matches, context: &mut Context, files: &mut Files) -> Result<(), Failure> {
    if !m.changed("docker") {
        return Ok(());
    }
    let (mut fresh, mut any_file) = (Files::new(), false);
    for text in m.all("docker") {
        for pair in csv::fields(&text)? {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| format!("{pair} must be formatted as key=value"))?;
            let file = |name: &str| -> Result<(String, Vec<u8>), Failure> {
                let bytes = fs::read(value).map_err(|e| {
                    let why = crate::terminal::io_text(&e);
                    format!("unable to create docker endpoint config: open {value}: {why}")
                })?;
                Ok((name.to_owned(), bytes))
            };
            match key {
                "from" => copy(s, value, context, files)?,
                "host" if value.is_empty() => context.host = s.default_host(),
                "host" => context.host = value.to_owned(),
                "skip-tls-verify" => {
                    context.skip_verify = crate::parse::numbers::boolean(value)?;
                }
                "ca" | "cert" | "key" => {
                    any_file = true;
                    fresh.push(file(&format!("{key}.pem"))?);
                }
                _ => {
                    return Err(format!(
                        "unable to create docker endpoint config: unrecognized config key: {key}"
                    )
                    .into());
                }
            }
        }
    }
    if any_file {
        *files = fresh;
    }
    // A context that nobody could use is refused now.
    Endpoint::parse(&context.host, None).map_err(|e| {
        format!("unable to create docker endpoint config: invalid docker endpoint options: {e}")
    })?;
    Ok(())
}
