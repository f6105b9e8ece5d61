//! The first format: `repositories`, and a folder a layer with `VERSION`, `json` and `layer.tar`. Each folder is an image;
//! its parent is named in its `json`.

use std::collections::{BTreeMap, HashSet};

use gantry_names::{DiffId, Reference};
use serde_json::{Map, Value};

use super::{Archive, Loaded};
use crate::config::RootFs;
use crate::{CreateOptions, Error, HistoryEntry, ImageConfig, Result};

/// Keys of a layer's `json` that belong to the format and not to the image.
const OF_THE_FORMAT: [&str; 7] = ["id", "parent", "parent_id", "layer_id", "Size", "throwaway", "checksum"];

pub(super) fn load(archive: &mut Archive<'_>) -> Result<Vec<Loaded>> {
    let names: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_slice(archive.document("repositories")?)
            .map_err(|error| Error::Archive(format!("repositories: {error}")))?;
    let mut loaded = Vec::new();
    for (repository, tags) in names {
        for (tag, id) in tags {
            let reference = Reference::parse(&repository)?.with_tag(&tag)?;
            let (config, files) = image(archive, &id)?;
            let id = archive.image(&config, &files, &CreateOptions::default())?;
            loaded.push(archive.name(&id, &reference)?);
        }
    }
    Ok(loaded)
}

/// The config document today's images have, made from the chain of folders that ends at `id`, and the layers' files.
fn image(archive: &mut Archive<'_>, id: &str) -> Result<(Vec<u8>, Vec<String>)> {
    let mut chain = Vec::new();
    let mut seen = HashSet::new();
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        if !seen.insert(id.clone()) {
            return Err(Error::Archive(format!("layer {id} is its own parent")));
        }
        let name = format!("{id}/json");
        let json: Map<String, Value> = serde_json::from_slice(archive.document(&name)?)
            .map_err(|error| Error::Archive(format!("{name}: {error}")))?;
        next =
            json.get("parent").and_then(Value::as_str).filter(|parent| !parent.is_empty()).map(str::to_owned);
        chain.push((id, json));
    }
    chain.reverse();
    let text = |json: &Map<String, Value>, key: &str| {
        json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut files = Vec::new();
    let mut diff_ids: Vec<DiffId> = Vec::new();
    let mut history = Vec::new();
    for (id, json) in &chain {
        if let Some(error) = archive.refused.remove(&archive.followed(&format!("{id}/layer.tar"))?) {
            return Err(error);
        }
        let file = format!("{id}/layer.tar");
        let name = archive.followed(&file)?;
        let piece = archive.layers.get(&name).ok_or_else(|| Error::Archive(format!("{name} is missing")))?;
        diff_ids.push(piece.diff_id.clone());
        files.push(file);
        let command =
            json.get("container_config").and_then(|config| config.get("Cmd")).and_then(Value::as_array);
        let words: Vec<&str> = command.into_iter().flatten().filter_map(Value::as_str).collect();
        history.push(HistoryEntry {
            created: Some(text(json, "created")).filter(|created| !created.is_empty()),
            created_by: words.join(" "),
            author: text(json, "author"),
            comment: text(json, "comment"),
            ..HistoryEntry::default()
        });
    }
    let (_, mut newest) = chain.pop().ok_or_else(|| Error::Archive(format!("layer {id} is missing")))?;
    newest.retain(|key, _| !OF_THE_FORMAT.contains(&key.as_str()));
    let mut config: ImageConfig = serde_json::from_value(Value::Object(newest))
        .map_err(|error| Error::Config { id: id.to_owned(), why: error.to_string() })?;
    config.rootfs = Some(RootFs { diff_ids, ..RootFs::default() });
    config.history = history;
    let bytes = serde_json::to_vec(&config).map_err(std::io::Error::other)?;
    Ok((bytes, files))
}
