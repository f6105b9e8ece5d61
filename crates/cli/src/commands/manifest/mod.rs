//! Manifest lists: drafts below the configuration folder, made of what registries have and pushed by ourselves.
//!
//! Drafts (`create`, `annotate`, `rm`) are files; [`remote`] speaks with registries, [`imagetools`] does the same without
//! drafts.

pub mod imagetools;
mod remote;

pub use remote::{credentials, publish_images};

use std::fs;
use std::path::PathBuf;

use gantry_distribution::manifest::{Descriptor, Document};
use gantry_names::Reference;
use serde_json::{Value, json};

use crate::command::{Arity, COMMAND, Command, Names, entry};
use crate::config::indented;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

use remote::{Entry, Remote};

pub static MANIFEST: Command = Command {
    short: "Manage Docker image manifests and manifest lists",
    below: &[
        entry(&["annotate"], &ANNOTATE),
        entry(&["create"], &CREATE),
        entry(&["inspect"], &INSPECT),
        entry(&["push"], &PUSH),
        entry(&["rm"], &RM),
    ],
    ..COMMAND
};

static ANNOTATE_FLAGS: &[Flag] = &[
    text("arch", "Set the architecture"),
    text("os", "Set the operating system"),
    flag("os-features", Kind::Strings, "Set features of the operating system"),
    text("os-version", "Set the version of the operating system"),
    text("variant", "Set the variant of the architecture"),
];
static CREATE_FLAGS: &[Flag] = &[
    switch("amend", "Change a list that exists").short('a'),
    switch("insecure", "The registry speaks no TLS"),
];
static INSPECT_FLAGS: &[Flag] =
    &[switch("insecure", "The registry speaks no TLS"), switch("verbose", "Tell more").short('v')];
static PUSH_FLAGS: &[Flag] = &[
    switch("insecure", "The registry speaks no TLS"),
    switch("purge", "Remove the draft afterwards").short('p'),
];

static ANNOTATE: Command = Command {
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    short: "Add additional information to a local image manifest",
    flags: &[ANNOTATE_FLAGS],
    arity: Arity::Exactly(2),
    work: work!(annotate),
    ..COMMAND
};
static CREATE: Command = Command {
    usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
    short: "Create a local manifest list for annotating and pushing to a registry",
    flags: &[CREATE_FLAGS],
    arity: Arity::AtLeast(2),
    work: work!(create),
    ..COMMAND
};
static INSPECT: Command = Command {
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    short: "Display an image manifest, or manifest list",
    flags: &[INSPECT_FLAGS],
    arity: Arity::Between(1, 2),
    names: Names::Images,
    work: work!(inspect),
    ..COMMAND
};
static PUSH: Command = Command {
    usage: "[OPTIONS] MANIFEST_LIST",
    short: "Push a manifest list to a repository",
    flags: &[PUSH_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(push),
    ..COMMAND
};
static RM: Command = Command {
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    short: "Delete one or more manifest lists from local storage",
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

fn parse(text: &str) -> Result<Reference, Failure> {
    Ok(Reference::parse(text).map_err(|e| e.to_string())?.or_latest())
}

/// A draft's file. A reference holds no `..`, and its slashes and colons are made harmless.
fn draft(s: &Session, list: &Reference) -> PathBuf {
    let name = list.to_string().replace(['/', ':'], "_");
    s.config_dir().join("manifests").join(format!("{name}.json"))
}

fn load(s: &Session, list: &Reference) -> Result<Value, Failure> {
    match fs::read(draft(s, list)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).map_err(|e| e.to_string())?),
        Err(_) => Err(format!("No such manifest: {}", list.familiar()).into()),
    }
}

fn store(s: &Session, list: &Reference, value: &Value) -> Result<(), Failure> {
    let path = draft(s, list);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    Ok(fs::write(path, value.to_string())?)
}

/// The client of the registries of these names; with `--insecure` they may speak no TLS.
fn remote<'s>(s: &'s Session, m: &Matches, names: &[&Reference]) -> Remote<'s> {
    let insecure = names.iter().filter(|_| m.on("insecure")).map(|name| name.domain().to_owned());
    Remote::new(s, insecure.collect())
}

async fn create(s: &Session, m: &Matches) -> Outcome {
    let list = parse(m.word(0))?;
    if draft(s, &list).exists() && !m.on("amend") {
        return Err("refusing to amend an existing manifest list with no --amend flag".into());
    }
    let mut entries = match m.on("amend") {
        true => load(s, &list).map(|v| v["manifests"].clone()).unwrap_or(json!({})),
        false => json!({}),
    };
    for name in &m.words[1..] {
        let reference = parse(name)?;
        match &remote(s, m, &[&reference]).entries(&reference).await?[..] {
            [one] => entries[reference.to_string()] = json!(one.descriptor),
            _ => return Err(format!("{reference} is a manifest list").into()),
        }
    }
    store(s, &list, &json!({"manifests": entries}))?;
    print::line(&format!("Created manifest list {list}"));
    Ok(())
}

async fn annotate(s: &Session, m: &Matches) -> Outcome {
    let list = parse(m.word(0))?;
    let mut value = load(s, &list)?;
    let key = parse(m.word(1))?.to_string();
    let Some(entry) = value["manifests"].get_mut(&key) else {
        return Err(format!("manifest for image {} does not exist in {}", m.word(1), m.word(0)).into());
    };
    for (flag, field) in
        [("arch", "architecture"), ("os", "os"), ("os-version", "os.version"), ("variant", "variant")]
    {
        if m.changed(flag) {
            if entry["platform"].is_null() {
                entry["platform"] = json!({});
            }
            entry["platform"][field] = json!(m.text(flag));
        }
    }
    if m.changed("os-features") {
        entry["platform"]["os.features"] = json!(m.all("os-features"));
    }
    store(s, &list, &value)
}

async fn inspect(s: &Session, m: &Matches) -> Outcome {
    let name = parse(m.words.last().map_or("", String::as_str))?;
    if let Ok(value) = load(s, &name) {
        let manifests: Vec<Value> =
            value["manifests"].as_object().map(|o| o.values().cloned().collect()).unwrap_or_default();
        let media = "application/vnd.docker.distribution.manifest.list.v2+json";
        let shown = json!({"schemaVersion": 2, "mediaType": media, "manifests": manifests});
        print::line(&indented(&shown, "   "));
        return Ok(());
    }
    if m.words.len() == 2 {
        let list = load(s, &parse(m.word(0))?)?;
        return match list["manifests"].get(name.to_string()) {
            Some(entry) => {
                print::line(&indented(entry, "   "));
                Ok(())
            }
            None => Err(format!("No such manifest: {}", m.word(1)).into()),
        };
    }
    let remote = remote(s, m, &[&name]);
    let manifest = remote.manifest(&name).await?;
    let raw: Value = serde_json::from_slice(&manifest.bytes).map_err(|why| why.to_string())?;
    if !m.on("verbose") {
        print::line(&indented(&raw, "\t"));
        return Ok(());
    }
    let entries = remote.entries(&name).await?;
    let mut shown = Vec::new();
    for one in &entries {
        let at = if matches!(manifest.document, Document::Index(_)) { &one.at } else { &name };
        let found = remote.manifest(&one.at).await?;
        let raw: Value = serde_json::from_slice(&found.bytes).map_err(|why| why.to_string())?;
        let kind = if found.media_type.contains("docker") { "SchemaV2Manifest" } else { "OCIManifest" };
        shown.push(json!({"Ref": at, "Descriptor": one.descriptor, kind: raw}));
    }
    let shown = match (&manifest.document, shown.pop()) {
        (Document::Image(_), Some(only)) => only,
        (_, last) => Value::Array(shown.into_iter().chain(last).collect()),
    };
    print::line(&indented(&shown, "\t"));
    Ok(())
}

async fn push(s: &Session, m: &Matches) -> Outcome {
    let list = parse(m.word(0))?;
    let value = load(s, &list)?;
    let mut entries = Vec::new();
    for (name, entry) in value["manifests"].as_object().into_iter().flatten() {
        let descriptor: Descriptor =
            serde_json::from_value(entry.clone()).map_err(|why| format!("{}: {why}", list.familiar()))?;
        let at = parse(name)?.repository().with_digest(descriptor.digest.clone());
        entries.push(Entry { at, descriptor });
    }
    let names: Vec<&Reference> = entries.iter().map(|entry| &entry.at).chain([&list]).collect();
    let made = remote(s, m, &names).put_index(&list, &entries).await?;
    print::line(made.digest.as_str());
    if m.on("purge") {
        fs::remove_file(draft(s, &list))?;
    }
    Ok(())
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    let mut failed = Vec::new();
    for name in &m.words {
        let list = parse(name)?;
        if fs::remove_file(draft(s, &list)).is_err() {
            failed.push(format!("No such manifest: {name}"));
        }
    }
    Failure::all(failed)
}
