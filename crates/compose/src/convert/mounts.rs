//! What is mounted in a container: `Binds` where they can say it, `Mounts` where not.

use std::collections::BTreeMap;

use gantry_compose_file::project::{BindOptions, Grant, Mount, MountKind, Source};
use serde_json::{Map, Value, json};

use super::{Making, Unconvertible};
use crate::containers::MountPoint;
use crate::grants;

/// An anonymous volume of a container that is replaced.
pub type Kept = MountPoint;

pub(super) fn mounts(making: &Making<'_>) -> Result<(Vec<String>, Vec<Value>), Unconvertible> {
    let mut all: BTreeMap<&str, Value> = BTreeMap::new();
    let mut binds: BTreeMap<&str, String> = BTreeMap::new();
    for mount in &making.service.volumes {
        let kept = making.kept.iter().find(|k| k.target == mount.target && mount.source.is_empty());
        if let Some(kept) = kept {
            all.insert(&mount.target, again(kept));
        } else if let Some(bind) = as_bind(making, mount) {
            binds.insert(&mount.target, bind);
        } else {
            all.insert(&mount.target, as_mount(making, mount));
        }
    }
    // Volumes that the image asks for and the file does not name.
    for kept in making.kept {
        let known = all.contains_key(kept.target.as_str()) || binds.contains_key(kept.target.as_str());
        if !known {
            all.insert(&kept.target, again(kept));
        }
    }
    let files = granted_files(making)?;
    for (target, source) in &files {
        if !all.contains_key(target.as_str()) && !binds.contains_key(target.as_str()) {
            let body = json!({
                "Type": "bind", "Source": source, "Target": target, "ReadOnly": true,
                "BindOptions": {"CreateMountpoint": false},
            });
            all.insert(target, body);
        }
    }
    Ok((binds.into_values().collect(), all.into_values().collect()))
}

fn again(kept: &Kept) -> Value {
    let source = if kept.kind == "volume" { &kept.name } else { &kept.source };
    json!({"Type": kept.kind, "Source": source, "Target": kept.target, "ReadOnly": !kept.writable})
}

/// The engine's name of what is mounted.
fn source(making: &Making<'_>, mount: &Mount) -> String {
    match mount.kind {
        MountKind::Volume => match making.project.volumes.get(&mount.source) {
            Some(volume) => volume.name.clone(),
            None => mount.source.clone(),
        },
        // Another service's image may be named by the service.
        MountKind::Image => match making.project.service(&mount.source) {
            Some(service) => crate::names::image(&making.project.name, service, making.separator),
            None => mount.source.clone(),
        },
        _ => mount.source.clone(),
    }
}

/// `source:target:rw`, which makes the host's folder when it is missing.
fn as_bind(making: &Making<'_>, mount: &Mount) -> Option<String> {
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }];
    match mount.kind {
        MountKind::Bind => {
            if let Some(bind) = &mount.bind {
                if !bind.create_host_path || !bind.propagation.is_empty() || !bind.recursive.is_empty() {
                    return None;
                }
                if !bind.selinux.is_empty() {
                    options.push(&bind.selinux);
                }
            }
        }
        MountKind::Volume => {
            if mount.source.is_empty() || !making.project.volumes.contains_key(&mount.source) {
                return None;
            }
            if let Some(volume) = &mount.volume
                && (!volume.labels.is_empty() || !volume.subpath.is_empty() || volume.nocopy)
            {
                return None;
            }
        }
        _ => return None,
    }
    Some(format!("{}:{}:{}", source(making, mount), mount.target, options.join(",")))
}

fn as_mount(making: &Making<'_>, mount: &Mount) -> Value {
    let mut body = json!({
        "Type": mount.kind.as_str(),
        "Source": source(making, mount),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    });
    if !mount.consistency.is_empty() {
        body["Consistency"] = json!(mount.consistency);
    }
    match mount.kind {
        MountKind::Bind => {
            if let Some(bind) = &mount.bind {
                body["BindOptions"] = bind_options(bind);
            }
        }
        MountKind::Volume => {
            if let Some(volume) = &mount.volume {
                body["VolumeOptions"] =
                    json!({"NoCopy": volume.nocopy, "Labels": volume.labels, "Subpath": volume.subpath});
            }
        }
        MountKind::Tmpfs => {
            if let Some(tmpfs) = &mount.tmpfs {
                body["TmpfsOptions"] = json!({"SizeBytes": tmpfs.size.0, "Mode": tmpfs.mode});
            }
        }
        MountKind::Image => {
            if let Some(image) = &mount.image {
                body["ImageOptions"] = json!({"Subpath": image.subpath});
            }
        }
        MountKind::NamedPipe | MountKind::Cluster => {}
    }
    body
}

fn bind_options(bind: &BindOptions) -> Value {
    let mut body = Map::new();
    if !bind.propagation.is_empty() {
        body.insert("Propagation".into(), json!(bind.propagation));
    }
    if bind.create_host_path {
        body.insert("CreateMountpoint".into(), json!(true));
    }
    let recursive = match bind.recursive.as_str() {
        "disabled" => "NonRecursive",
        "writable" => "ReadOnlyNonRecursive",
        "readonly" => "ReadOnlyForceRecursive",
        _ => return Value::Object(body),
    };
    body.insert(recursive.into(), json!(true));
    Value::Object(body)
}

/// Secrets and configs that are files of this machine: target and source. All others are copied in.
fn granted_files(making: &Making<'_>) -> Result<Vec<(String, String)>, Unconvertible> {
    let project = making.project;
    let mut files = Vec::new();
    for grant in &making.service.secrets {
        let Some(secret) = project.secrets.get(&grant.source) else { continue };
        if !secret.driver.is_empty() {
            return Err(Unconvertible::Driver("secret", "driver"));
        }
        if !secret.template_driver.is_empty() {
            return Err(Unconvertible::Driver("secret", "template_driver"));
        }
        file(making, grant, &secret.source, "secret", &secret.name, &mut files)?;
    }
    for grant in &making.service.configs {
        let Some(config) = project.configs.get(&grant.source) else { continue };
        if !config.template_driver.is_empty() {
            return Err(Unconvertible::Driver("config", "template_driver"));
        }
        file(making, grant, &config.source, "config", &config.name, &mut files)?;
    }
    Ok(files)
}

fn file(
    making: &Making<'_>,
    grant: &Grant,
    source: &Source,
    kind: &'static str,
    name: &str,
    files: &mut Vec<(String, String)>,
) -> Result<(), Unconvertible> {
    match source {
        Source::External => Err(Unconvertible::External { kind, name: name.to_owned() }),
        Source::File(path) if grants::is_bound(making.local, grant) => {
            files.push((grants::target(kind, grant), path.clone()));
            Ok(())
        }
        _ => Ok(()),
    }
}
