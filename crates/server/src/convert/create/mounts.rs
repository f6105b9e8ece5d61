//! `--mount`: each kind with its own options, and Docker's refusals.

use super::binds::{clean, place};
use crate::failure::Failure;
use gantry_api::mount::Mount;
use gantry_engine::spec::{
    BindOptions, ImageOptions, MountKind, MountRequest, Propagation, ReadOnly, TmpfsOptions, VolumeOptions,
};

/// Reads one mount.
pub(super) fn mount(mount: Mount) -> Result<MountRequest, Failure> {
    let kind = mount.r#type.clone();
    request(mount).map_err(|why| Failure::invalid(format!("invalid mount config for type {kind:?}: {why}")))
}

fn request(mount: Mount) -> Result<MountRequest, String> {
    place(&mount.target)?;
    let extra = |there: bool, name: &str| match there {
        true => Err(format!("field {name} must not be specified")),
        false => Ok(()),
    };
    let kind = match mount.r#type.as_str() {
        "bind" => {
            missing(&mount.source, "Source")?;
            let options = mount.bind_options.clone().unwrap_or_default();
            let propagation = match options.propagation.as_str() {
                "" => None,
                word => Some(
                    Propagation::parse(word).ok_or_else(|| format!("invalid propagation mode: {word}"))?,
                ),
            };
            extra(mount.volume_options.is_some(), "VolumeOptions")?;
            extra(mount.image_options.is_some(), "ImageOptions")?;
            if !mount.source.starts_with('/') {
                return Err(format!("invalid mount path: '{}' mount path must be absolute", mount.source));
            }
            if options.read_only_force_recursive && !mount.read_only {
                return Err("mount source must be read-only".into());
            }
            MountKind::Bind(BindOptions {
                read_only: match (mount.read_only, options.read_only_non_recursive) {
                    (false, _) => ReadOnly::No,
                    (true, _) if options.read_only_force_recursive => ReadOnly::ForceRecursive,
                    (true, true) => ReadOnly::NonRecursive,
                    (true, false) => ReadOnly::Yes,
                },
                propagation,
                nocopy: false,
                relabel: None,
                create_source: options.create_mountpoint,
                non_recursive: options.non_recursive,
            })
        }
        "volume" => {
            extra(mount.bind_options.is_some(), "BindOptions")?;
            extra(mount.image_options.is_some(), "ImageOptions")?;
            let options = mount.volume_options.clone().unwrap_or_default();
            if !options.subpath.is_empty() {
                if mount.source.is_empty() {
                    return Err("must not set Subpath when using anonymous volumes".into());
                }
                local(&options.subpath)?;
            }
            if mount.read_only && mount.source.is_empty() {
                return Err("must not set ReadOnly mode when using anonymous volumes".into());
            }
            let driver = options.driver_config.unwrap_or_default();
            MountKind::Volume(VolumeOptions {
                nocopy: options.no_copy,
                labels: options.labels,
                subpath: options.subpath,
                driver: driver.name,
                driver_opts: driver.options,
            })
        }
        "tmpfs" => {
            extra(mount.bind_options.is_some(), "BindOptions")?;
            extra(mount.image_options.is_some(), "ImageOptions")?;
            extra(!mount.source.is_empty(), "Source")?;
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            for option in &options.options {
                match option.first().map(String::as_str) {
                    _ if option.is_empty() || option.len() > 2 => {
                        return Err("invalid option array length".into());
                    }
                    Some("exec" | "noexec") => {}
                    other => return Err(format!("invalid option: {}", other.unwrap_or_default())),
                }
            }
            MountKind::Tmpfs(TmpfsOptions {
                size_bytes: options.size_bytes,
                mode: options.mode,
                options: options.options,
            })
        }
        "image" => {
            extra(mount.bind_options.is_some(), "BindOptions")?;
            extra(mount.volume_options.is_some(), "VolumeOptions")?;
            missing(&mount.source, "Source")?;
            let subpath = mount.image_options.clone().unwrap_or_default().subpath;
            if !subpath.is_empty() {
                local(&subpath)?;
            }
            MountKind::Image(ImageOptions { subpath })
        }
        _ => return Err("mount type unknown".into()),
    };
    Ok(MountRequest {
        source: if mount.r#type == "bind" { clean(&mount.source) } else { mount.source },
        target: clean(&mount.target),
        read_only: mount.read_only,
        consistency: mount.consistency,
        kind,
    })
}

fn missing(text: &str, name: &str) -> Result<(), String> {
    if text.is_empty() { Err(format!("field {name} must not be empty")) } else { Ok(()) }
}

/// A path that stays inside: relative, without a way up.
fn local(path: &str) -> Result<(), String> {
    let mut depth = 0_i32;
    let inside = !path.starts_with('/')
        && path.split('/').all(|part| {
            depth += match part {
                ".." => -1,
                "" | "." => 0,
                _ => 1,
            };
            depth >= 0
        });
    if inside { Ok(()) } else { Err("subpath must be a relative path within the volume".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, source: &str) -> Mount {
        Mount { r#type: kind.into(), source: source.into(), target: "/t".into(), ..Default::default() }
    }

    #[test]
    fn kinds_refuse_what_is_not_theirs() {
        assert!(mount(of("bind", "/a")).is_ok());
        assert!(mount(of("tmpfs", "")).is_ok());
        let cases = [
            (of("bind", "a"), "invalid mount path: 'a' mount path must be absolute"),
            (of("tmpfs", "x"), "field Source must not be specified"),
            (of("image", ""), "field Source must not be empty"),
            (of("npipe", "x"), "mount type unknown"),
            (
                Mount { read_only: true, ..of("volume", "") },
                "must not set ReadOnly mode when using anonymous volumes",
            ),
        ];
        for (bad, text) in cases {
            let err = mount(bad).unwrap_err().message;
            assert!(err.starts_with("invalid mount config for type \"") && err.ends_with(text), "{err}");
        }
    }

    #[test]
    fn subpaths_stay_inside() {
        for (path, inside) in
            [("a/b", true), ("a/../b", true), ("../a", false), ("/a", false), ("a/../../b", false)]
        {
            assert_eq!(local(path).is_ok(), inside, "{path}");
        }
    }
}
