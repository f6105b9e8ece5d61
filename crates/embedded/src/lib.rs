//! Images that are inside the program, so that a machine with no network has something to run.
//!
//! `pull` asks here before it asks a registry; what is found is a docker-archive for the image store's `load`,
//! like any archive a person brings. Nothing here knows the store.
//!
//! Start reading at [`archive_of`]; the program that speaks is in [`hello`].

mod hello;
mod registry;
mod tarball;

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use gantry_names::{Digest, Platform, Reference};
use serde_json::{Value, json};

/// Names of the embedded images, as people type them.
pub const NAMES: &[&str] = &["hello-world:latest", "registry:latest", "registry:3", "registry:2"];

const CREATED: &str = "2026-11-21T00:00:00Z";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a file of an image holds.
enum Content {
    Bytes(Vec<u8>),
    /// A file of this host.
    File(PathBuf),
}

impl Content {
    fn read(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File(path) => {
                let mut bytes = Vec::new();
                let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes));
                read.map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))?;
                Ok(bytes)
            }
        }
    }
}

/// The docker-archive (an uncompressed tar) of the embedded image that `reference` names for this host, if it
/// names one. Of one program the bytes are the same each time, and so is the image's id.
pub fn archive_of(reference: &Reference) -> io::Result<Option<Box<dyn Read + Send>>> {
    let wanted = reference.or_latest().familiar();
    let Some(name) = NAMES.iter().find(|name| **name == wanted) else { return Ok(None) };
    let host = Platform::host();
    if *name == "hello-world:latest" {
        let Some(program) = hello::program(&host.architecture) else { return Ok(None) };
        let files = vec![("hello".to_owned(), 0o755, Content::Bytes(program))];
        let config = json!({ "Cmd": ["/hello"], "Env": [PATH], "WorkingDir": "/" });
        return docker_archive(name, &host.architecture, config, files).map(Some);
    }
    let [second, third] = registry::CONFIGS;
    let command = if *name == "registry:2" { json!([second]) } else { json!(["serve", third]) };
    let config = json!({
        "Cmd": command,
        "Entrypoint": ["registry"],
        "Env": [PATH],
        "ExposedPorts": { "5000/tcp": {} },
        "Volumes": { "/var/lib/registry": {} },
        "WorkingDir": "/"
    });
    docker_archive(name, &host.architecture, config, registry::files()?).map(Some)
}

/// The archive: its one layer is in memory once, and read from there.
fn docker_archive(
    name: &str,
    architecture: &str,
    config: Value,
    files: Vec<(String, u32, Content)>,
) -> io::Result<Box<dyn Read + Send>> {
    let mut layer = Vec::new();
    for (path, mode, content) in files {
        tarball::add(&mut layer, &path, mode, &content.read()?);
    }
    tarball::end(&mut layer);
    let diff_id = Digest::sha256_of(&layer);
    let config = json!({
        "architecture": architecture,
        "config": config,
        "created": CREATED,
        "history": [
            { "created": CREATED, "created_by": "COPY / # gantry" },
            { "created": CREATED, "created_by": "CMD", "empty_layer": true }
        ],
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [diff_id.as_str()] }
    })
    .to_string();
    let config_name = format!("{}.json", Digest::sha256_of(config.as_bytes()).hex());
    let layer_name = format!("{}/layer.tar", diff_id.hex());
    let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": [layer_name] }]).to_string();
    let mut head = Vec::new();
    tarball::add(&mut head, &config_name, 0o644, config.as_bytes());
    tarball::add(&mut head, "manifest.json", 0o644, manifest.as_bytes());
    head.extend(tarball::header(&layer_name, 0o644, layer.len()));
    let mut tail = vec![0; tarball::padding(layer.len())];
    tarball::end(&mut tail);
    Ok(Box::new(Cursor::new(head).chain(Cursor::new(layer)).chain(Cursor::new(tail))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_world_is_there_by_every_name_people_use() {
        for typed in ["hello-world", "hello-world:latest", "docker.io/library/hello-world"] {
            assert!(archive_of(&Reference::parse(typed).unwrap()).unwrap().is_some(), "{typed}");
        }
        for other in ["hello-world:linux", "busybox", "localhost/hello-world"] {
            assert!(archive_of(&Reference::parse(other).unwrap()).unwrap().is_none(), "{other}");
        }
    }

    fn bytes_of(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let archive = archive_of(&Reference::parse(name).unwrap()).unwrap();
        archive.expect("it is embedded").read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_archive_is_the_same_each_time() {
        assert_eq!(bytes_of("hello-world"), bytes_of("hello-world"));
        let registry = bytes_of("registry:2");
        assert!(registry == bytes_of("registry:2"));
        assert_eq!(registry.len() % 512, 0);
    }

    #[test]
    fn the_registry_answers_to_the_tags_people_use_and_to_no_release() {
        assert!(archive_of(&Reference::parse("registry").unwrap()).unwrap().is_some());
        assert!(archive_of(&Reference::parse("registry:2.8.3").unwrap()).unwrap().is_none());
        assert!(archive_of(&Reference::parse("other/registry:2").unwrap()).unwrap().is_none());
    }
}
