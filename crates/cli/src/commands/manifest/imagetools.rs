//! `imagetools`: what a registry has under a name, and indexes made of images that are in registries, no engine between.

use gantry_distribution::manifest::{Document, Manifest};
use gantry_names::Reference;

use super::remote::{Entry, Remote, index};
use crate::command::{Arity, COMMAND, Command, entry};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch};
use crate::print;
use crate::session::Session;
use crate::work;

pub static IMAGETOOLS: Command = Command {
    short: "Commands to work on images in registry",
    below: &[entry(&["create"], &CREATE), entry(&["inspect"], &INSPECT)],
    ..COMMAND
};

static CREATE_FLAGS: &[Flag] = &[
    switch("append", "Append to existing manifest"),
    switch("dry-run", "Show final image instead of pushing"),
    list("tag", "Set reference for new image").short('t'),
];
static INSPECT_FLAGS: &[Flag] = &[switch("raw", "Show original, unformatted JSON manifest")];

static CREATE: Command = Command {
    usage: "[OPTIONS] [SOURCE...]",
    short: "Create a new image based on source images",
    flags: &[CREATE_FLAGS],
    arity: Arity::AtLeast(1),
    work: work!(create),
    ..COMMAND
};
static INSPECT: Command = Command {
    usage: "[OPTIONS] NAME",
    short: "Show details of an image in the registry",
    flags: &[INSPECT_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(inspect),
    ..COMMAND
};

fn parse(text: &str) -> Result<Reference, Failure> {
    Ok(Reference::parse(text).map_err(|e| e.to_string())?.or_latest())
}

async fn create(s: &Session, m: &Matches) -> Outcome {
    let remote = Remote::new(s, Vec::new());
    let tags = m.all("tag").iter().map(|tag| parse(tag)).collect::<Result<Vec<_>, _>>()?;
    if tags.is_empty() && !m.on("dry-run") {
        return Err("can't push with no tags specified, please set --tag or --dry-run".into());
    }
    let mut names = m.words.iter().map(|name| parse(name)).collect::<Result<Vec<_>, _>>()?;
    if m.on("append") {
        names.splice(0..0, tags.first().cloned());
    }
    if let [only] = &names[..] {
        // One source keeps its digest.
        let manifest = remote.manifest(only).await?;
        if m.on("dry-run") {
            print::line(&String::from_utf8_lossy(&manifest.bytes));
            return Ok(());
        }
        for tag in &tags {
            remote.copy(only, &manifest, tag).await?;
            print::line(&format!("{tag}: {}", manifest.digest));
        }
        return Ok(());
    }
    let mut entries: Vec<Entry> = Vec::new();
    for name in &names {
        for one in remote.entries(name).await? {
            if !entries.iter().any(|known| known.descriptor.digest == one.descriptor.digest) {
                entries.push(one);
            }
        }
    }
    if m.on("dry-run") {
        print::line(&String::from_utf8_lossy(&index(&entries)?.bytes));
        return Ok(());
    }
    for tag in &tags {
        let made = remote.put_index(tag, &entries).await?;
        print::line(&format!("{tag}: {}", made.digest));
    }
    Ok(())
}

async fn inspect(s: &Session, m: &Matches) -> Outcome {
    let name = parse(m.word(0))?;
    let manifest = Remote::new(s, Vec::new()).manifest(&name).await?;
    if m.on("raw") {
        print::bytes(&manifest.bytes);
    } else {
        print::out(&shown(&name, &manifest));
    }
    Ok(())
}

fn shown(name: &Reference, manifest: &Manifest) -> String {
    let mut text =
        format!("Name:      {name}\nMediaType: {}\nDigest:    {}\n", manifest.media_type, manifest.digest);
    if let Document::Index(entries) = &manifest.document {
        text.push_str("           \nManifests: \n");
        for one in entries {
            let at = name.with_digest(one.digest.clone());
            text.push_str(&format!("  Name:      {at}\n  MediaType: {}\n", one.media_type));
            if let Some(platform) = &one.platform {
                text.push_str(&format!("  Platform:  {}\n", platform.platform()));
            }
            text.push_str("             \n");
        }
    }
    text
}
