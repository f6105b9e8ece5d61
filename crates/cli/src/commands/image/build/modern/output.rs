//! `--output`: where the result goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_buildkit::proto::control::Exporter;

use crate::failure::Failure;
use crate::parse::csv;
use crate::terminal;

/// Where the engine's bytes end here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Nowhere: the result stays in the engine.
    Engine,
    /// Files below a folder.
    Folder(PathBuf),
    /// One file.
    File(PathBuf),
    /// Blobs of an image layout in a folder: `tar=false`.
    Layout(PathBuf),
    /// Standard output.
    Stdout,
}

/// One place for the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What the engine is asked for.
    pub exporter: Exporter,
    /// What becomes of it here.
    pub goal: Goal,
}

impl Output {
    /// The engine's image store.
    pub fn store() -> Output {
        Output { exporter: Exporter { kind: "moby".into(), ..Exporter::default() }, goal: Goal::Engine }
    }

    /// Whether it makes an image with names.
    pub fn is_named(&self) -> bool {
        ["moby", "image", "oci", "docker"].contains(&self.exporter.kind.as_str())
    }
}

/// Reads one `--output`.
pub fn parse(text: &str) -> Result<Output, Failure> {
    let fields = csv::fields(text)?;
    let mut attrs = BTreeMap::new();
    let mut kind = String::new();
    match fields.as_slice() {
        // A word alone is a folder, or a tar on standard output.
        [one] if !one.contains('=') => {
            kind = if one == "-" { "tar" } else { "local" }.into();
            attrs.insert("dest".to_owned(), one.clone());
        }
        fields => {
            for field in fields {
                let (key, value) = field.split_once('=').ok_or_else(|| format!("invalid value {field}"))?;
                match key.trim().to_lowercase().as_str() {
                    "type" => value.clone_into(&mut kind),
                    key => drop(attrs.insert(key.to_owned(), value.to_owned())),
                }
            }
        }
    }
    let dest = attrs.remove("dest").unwrap_or_default();
    let goal = match kind.as_str() {
        "" => return Err("type is required for output".into()),
        "registry" => {
            kind = "image".into();
            attrs.insert("push".into(), "true".into());
            Goal::Engine
        }
        "image" | "moby" | "cacheonly" => Goal::Engine,
        // Without a file an image's archive goes into the engine, where this builder keeps its images anyway.
        "docker" if dest.is_empty() => {
            kind = "moby".into();
            Goal::Engine
        }
        "local" if dest.is_empty() => return Err("dest is required for local output".into()),
        "local" if dest == "-" => return Err("dest file required, got stdout for local output".into()),
        "local" => Goal::Folder(dest.into()),
        "oci" | "docker" if attrs.get("tar").is_some_and(|tar| tar == "false") => {
            if dest.is_empty() || dest == "-" {
                return Err(format!("dest is required for {kind} output with tar=false").into());
            }
            Goal::Layout(dest.into())
        }
        "tar" | "oci" | "docker" if dest.is_empty() || dest == "-" => {
            if terminal::stdout_is() {
                return Err(format!(
                    "dest file is required for {kind} exporter. refusing to write to console"
                )
                .into());
            }
            Goal::Stdout
        }
        "tar" | "oci" | "docker" => {
            if std::path::Path::new(&dest).is_dir() {
                return Err(format!("destination file {dest} is a directory").into());
            }
            Goal::File(dest.into())
        }
        _ => Goal::Engine,
    };
    Ok(Output { exporter: Exporter { kind, attrs }, goal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_folders_files_and_the_engine() {
        assert_eq!(parse("out").unwrap().goal, Goal::Folder("out".into()));
        let oci = parse("type=oci,dest=a.tar,compression=zstd").unwrap();
        assert_eq!(
            (oci.goal, oci.exporter.attrs["compression"].as_str()),
            (Goal::File("a.tar".into()), "zstd")
        );
        assert_eq!(parse("type=docker").unwrap(), Output::store());
        let pushed = parse("type=registry").unwrap().exporter;
        assert_eq!((pushed.kind.as_str(), pushed.attrs["push"].as_str()), ("image", "true"));
        assert!(parse("type=local").is_err() && parse("dest=x,y").is_err() && parse("dest=x").is_err());
    }
}
