//! Images that are inside the program, so that a machine with no network has something to run.
//!
//! `pull` asks here before it asks a registry; what is found is a docker-archive for the image store's `load`,
//! like any archive a person brings. Nothing here knows the store.
//!
//! Start reading at [`archive_of`]; the program that speaks is in [`hello`].

mod hello;
mod tarball;

use gantry_names::{Digest, Platform, Reference};

/// Names of the embedded images, as people type them.
pub const NAMES: &[&str] = &["hello-world:latest"];

/// The docker-archive (an uncompressed tar) of the embedded image that `reference` names for this host, if it
/// names one. The bytes are the same each time, and so is the image's id.
pub fn archive_of(reference: &Reference) -> Option<Vec<u8>> {
    let wanted = reference.or_latest().familiar();
    let name = NAMES.iter().find(|name| **name == wanted)?;
    let host = Platform::host();
    let program = hello::program(&host.architecture)?;
    Some(docker_archive(name, &host.architecture, "/hello", &program))
}

fn docker_archive(name: &str, architecture: &str, path: &str, program: &[u8]) -> Vec<u8> {
    let layer = tarball::of(&[(path.trim_start_matches('/'), 0o755, program)]);
    let diff_id = Digest::sha256_of(&layer);
    let config = serde_json::json!({
        "architecture": architecture,
        "config": { "Cmd": [path], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/" },
        "created": "2026-11-21T00:00:00Z",
        "history": [
            { "created": "2026-11-21T00:00:00Z", "created_by": "COPY hello / # gantry" },
            { "created": "2026-11-21T00:00:00Z", "created_by": "CMD [\"/hello\"]", "empty_layer": true }
        ],
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [diff_id.as_str()] }
    })
    .to_string();
    let config_name = format!("{}.json", Digest::sha256_of(config.as_bytes()).hex());
    let layer_name = format!("{}/layer.tar", diff_id.hex());
    let manifest = serde_json::json!([{ "Config": config_name, "RepoTags": [name], "Layers": [layer_name] }])
        .to_string();
    tarball::of(&[
        (&config_name, 0o644, config.as_bytes()),
        (&layer_name, 0o644, &layer),
        ("manifest.json", 0o644, manifest.as_bytes()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_world_is_there_by_every_name_people_use() {
        for typed in ["hello-world", "hello-world:latest", "docker.io/library/hello-world"] {
            assert!(archive_of(&Reference::parse(typed).unwrap()).is_some(), "{typed}");
        }
        for other in ["hello-world:linux", "busybox", "localhost/hello-world"] {
            assert!(archive_of(&Reference::parse(other).unwrap()).is_none(), "{other}");
        }
    }

    #[test]
    fn the_archive_is_the_same_each_time() {
        let hello = Reference::parse("hello-world").unwrap();
        assert_eq!(archive_of(&hello), archive_of(&hello));
    }
}
