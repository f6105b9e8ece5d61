//! What is installed: every plugin is asked what it is, as Docker's client does for its help.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answer::answer;
use super::{ASKED, folders, is_program};
use crate::session::Session;

/// Plugins are asked so many side by side.
const SIDE_BY_SIDE: usize = 16;
/// All of them together may think so long: help that waits for a program that hangs is no help.
const PATIENCE: Duration = Duration::from_secs(5);

/// An installed plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// How it is called.
    pub name: String,
    /// Its program.
    pub path: PathBuf,
    /// What it says of itself, or why that cannot be used.
    pub metadata: Result<Value, String>,
}

impl Plugin {
    /// A word of what it says of itself.
    pub fn word(&self, key: &str) -> &str {
        self.metadata.as_ref().ok().and_then(|said| said[key].as_str()).unwrap_or_default()
    }

    /// Docker's object of it, for templates.
    pub fn to_json(&self) -> Value {
        let mut all = match &self.metadata {
            Ok(said) => said.clone(),
            Err(why) => serde_json::json!({"Err": why}),
        };
        all["Name"] = self.name.clone().into();
        all["Path"] = self.path.display().to_string().into();
        all
    }
}

/// All plugins, by name.
pub fn listed(session: &Session) -> Vec<Plugin> {
    let mut found = BTreeMap::new();
    for path in folders(session).iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
        let path = path.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("docker-"));
        if let Some(name) = name.filter(|_| is_program(&path)) {
            found.entry(name.to_owned()).or_insert_with(|| path.clone());
        }
    }
    let until = Instant::now() + PATIENCE;
    let found: Vec<(String, PathBuf)> = found.into_iter().collect();
    let side_by_side = |some: &[(String, PathBuf)]| -> Vec<Plugin> {
        std::thread::scope(|scope| {
            let asking: Vec<_> = some
                .iter()
                .map(|(name, path)| {
                    let asking = scope.spawn(move || asked(name, path, until));
                    (name, path, asking)
                })
                .collect();
            let plugin = |(name, path, asking): (&String, &PathBuf, std::thread::ScopedJoinHandle<'_, _>)| {
                let metadata = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Plugin { name: name.clone(), path: path.clone(), metadata }
            };
            asking.into_iter().map(plugin).collect()
        })
    };
    found.chunks(SIDE_BY_SIDE).flat_map(side_by_side).collect()
}

fn asked(name: &str, path: &Path, until: Instant) -> Result<Value, String> {
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    {
        return Err(format!("plugin candidate {name:?} did not match \"^[a-z][a-z0-9]*$\""));
    }
    let said = answer(path, ASKED, until).map_err(|error| format!("failed to fetch metadata: {error}"))?;
    let value: Value = serde_json::from_slice(&said).map_err(|error| format!("invalid metadata: {error}"))?;
    match (value["SchemaVersion"].as_str().unwrap_or_default(), value["Vendor"].as_str().unwrap_or_default())
    {
        (version, _) if !version.starts_with("0.") => {
            Err(format!("plugin SchemaVersion {version:?} is not valid, must be 0.1.0"))
        }
        (_, "") => Err("plugin metadata does not define a vendor".into()),
        _ => Ok(value),
    }
}
