//! Folders that are image layouts: local caches, contexts, and results that stay unpacked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_buildkit::content::{self, Layout};
use gantry_buildkit::proto::control::CacheOptions;
use gantry_names::Digest;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::print;
use crate::terminal::io_text;

/// The layout's list of what is in it.
const INDEX: &str = "index.json";
/// A name in that list.
const NAME: &str = "org.opencontainers.image.ref.name";
/// The store of a result; the engine knows one.
pub const EXPORT: &str = "export";

/// Layouts by the names the engine calls them, and which of them get a new name when all is done.
#[derive(Default)]
pub struct Stores {
    layouts: BTreeMap<String, Layout>,
    /// Folders of caches, and their tags.
    caches: Vec<(PathBuf, String)>,
    /// The folder of the result.
    result: Option<PathBuf>,
}

fn told(folder: &str, error: &std::io::Error) -> Failure {
    Failure::text(1, format!("{folder}: {}", io_text(error)))
}

impl Stores {
    /// The folders of `--cache-to` and `--cache-from`. A cache that is not there is told and left out.
    pub fn caches(&mut self, cache: &mut CacheOptions) -> Result<(), Failure> {
        for export in cache.exports.iter().filter(|entry| entry.kind == "local") {
            let folder = export.attrs.get("dest").ok_or("local cache exporter requires dest")?;
            let layout = Layout::make(Path::new(folder)).map_err(|error| told(folder, &error))?;
            self.layouts.insert(format!("local:{folder}"), layout);
            let tag = export.attrs.get("tag").map_or("latest", String::as_str);
            self.caches.push((PathBuf::from(folder), tag.to_owned()));
        }
        let mut kept = Vec::new();
        for mut import in std::mem::take(&mut cache.imports) {
            if import.kind == "local" {
                let folder = import.attrs.get("src").ok_or("local cache importer requires src")?.clone();
                if !import.attrs.contains_key("digest") {
                    let tag = import.attrs.get("tag").map_or("latest", String::as_str);
                    let Some(digest) = named(Path::new(&folder), tag) else {
                        print::err(&format!(
                            "WARNING: local cache import at {folder} skipped: no {tag} there"
                        ));
                        continue;
                    };
                    import.attrs.insert("digest".into(), digest.to_string());
                }
                self.layouts.insert(format!("local:{folder}"), Layout::at(Path::new(&folder)));
            }
            kept.push(import);
        }
        cache.imports = kept;
        Ok(())
    }

    /// A context's layout: `oci-layout://FOLDER[:TAG|@DIGEST]`. Gives what the engine is told.
    pub fn context(&mut self, value: &str) -> Result<String, Failure> {
        let path = value.trim_start_matches("oci-layout://");
        let (folder, digest) = match path.split_once('@') {
            Some((folder, digest)) => {
                let digest = Digest::parse(digest).map_err(|error| Failure::text(1, error.to_string()))?;
                (folder.to_owned(), digest)
            }
            None => {
                let (folder, tag) = match path.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
                    Some((folder, tag)) => (folder, tag),
                    None => (path, "latest"),
                };
                let none = || Failure::text(1, format!("could not resolve image {tag} in {folder}/{INDEX}"));
                (folder.to_owned(), named(Path::new(&folder), tag).ok_or_else(none)?)
            }
        };
        let key = format!("layout{}", self.layouts.len());
        self.layouts.insert(format!("oci:{key}"), Layout::at(Path::new(&folder)));
        Ok(format!("oci-layout://{key}@{digest}"))
    }

    /// A result's layout.
    pub fn result(&mut self, folder: &Path) -> Result<(), Failure> {
        if self.result.is_some() {
            return Err("only one output can be an image layout in a folder".into());
        }
        let layout = Layout::make(folder).map_err(|error| told(&folder.display().to_string(), &error))?;
        self.layouts.insert(EXPORT.to_owned(), layout);
        self.result = Some(folder.to_owned());
        Ok(())
    }

    /// The layout a call is for.
    pub fn of(&self, id: &str) -> Option<&Layout> {
        self.layouts.get(id)
    }

    /// The methods that are served for them.
    pub fn methods(&self) -> Vec<&'static str> {
        match self.layouts.is_empty() {
            true => Vec::new(),
            false => {
                vec![content::INFO, content::READ, content::WRITE, content::STATUS, content::ABORT]
            }
        }
    }

    /// Writes down what the engine has put into the folders.
    pub fn finish(&self, done: &BTreeMap<String, String>) -> Result<(), Failure> {
        if let Some(manifest) = done.get("cache.manifest").and_then(|text| serde_json::from_str(text).ok()) {
            for (folder, tag) in &self.caches {
                put(folder, &manifest, tag)?;
            }
        }
        let result = done.get("containerimage.descriptor").map(|text| super::decoded(text));
        if let (Some(folder), Some(manifest @ Value::Object(_))) = (&self.result, result) {
            let names = done.get("image.name").map_or("latest", String::as_str);
            for name in names.split(',') {
                put(folder, &manifest, name)?;
            }
        }
        Ok(())
    }
}

fn index(folder: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(folder.join(INDEX)).ok()?).ok()
}

/// Whether an entry of an index has this name, alone or at its end: `app:1` and `docker.io/library/app:1` are `1`.
fn is_named(entry: &Value, name: &str) -> bool {
    entry["annotations"][NAME].as_str().is_some_and(|known| known == name)
}

/// The manifest of a name; one without a name is `latest`.
fn named(folder: &Path, name: &str) -> Option<Digest> {
    let index = index(folder)?;
    let entries = index["manifests"].as_array()?;
    let mut alone = entries.iter().filter(|entry| entry["annotations"][NAME].is_null());
    let found = entries.iter().find(|entry| is_named(entry, name));
    let found = found.or_else(|| alone.next_back().filter(|_| name == "latest"))?;
    Digest::parse(found["digest"].as_str()?).ok()
}

/// Gives a manifest a name in the folder's list; who had it, loses it.
fn put(folder: &Path, manifest: &Value, name: &str) -> Result<(), Failure> {
    let empty = || json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json" });
    let mut index = index(folder).unwrap_or_else(empty);
    let mut entries = index["manifests"].as_array().cloned().unwrap_or_default();
    entries.retain(|entry| !is_named(entry, name));
    let mut entry = manifest.clone();
    entry["annotations"][NAME] = json!(name);
    entries.push(entry);
    index["manifests"] = Value::Array(entries);
    let path = folder.join(INDEX);
    let beside = folder.join(format!("{INDEX}.{}", std::process::id()));
    std::fs::write(&beside, index.to_string())
        .and_then(|()| std::fs::rename(&beside, &path))
        .map_err(|error| told(&path.display().to_string(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_the_last_manifest_that_got_it() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |text: &str| Digest::sha256_of(text.as_bytes());
        for text in ["one", "two"] {
            put(folder.path(), &json!({ "digest": digest(text), "size": 1 }), "latest").unwrap();
        }
        put(folder.path(), &json!({ "digest": digest("three"), "size": 1 }), "other").unwrap();
        assert_eq!(named(folder.path(), "latest"), Some(digest("two")));
        assert_eq!(named(folder.path(), "other"), Some(digest("three")));
        assert_eq!(named(folder.path(), "none"), None);
        let mut stores = Stores::default();
        let at = folder.path().display();
        let told = stores.context(&format!("oci-layout://{at}:other")).unwrap();
        assert_eq!(told, format!("oci-layout://layout0@{}", digest("three")));
        assert!(stores.of("oci:layout0").is_some());
        assert!(stores.context(&format!("oci-layout://{at}:none")).is_err());
    }
}
