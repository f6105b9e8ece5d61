//! `linux.cgroupsPath` to a folder.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Hierarchy, Result};

/// What the configuration names, not yet in a hierarchy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// From the hierarchy's mount.
    Absolute(PathBuf),
    /// From the runtime's own folder.
    Relative(PathBuf),
}

impl Wanted {
    /// `/docker/<id>`, `pod/<id>`, `machine.slice:libpod:<id>`, or nothing: the id below the runtime's own.
    pub(crate) fn parse(path: Option<&str>, id: &str) -> Result<Wanted> {
        let path = path.unwrap_or("").trim();
        if path.is_empty() {
            return Ok(Wanted::Relative(plain(id)?));
        }
        let parts: Vec<&str> = path.split(':').collect();
        if parts.len() == 3 && !path.starts_with('/') {
            return Ok(Wanted::Absolute(of_systemd(parts[0], parts[1], parts[2])?));
        }
        let folder = plain(path)?;
        Ok(if path.starts_with('/') { Wanted::Absolute(folder) } else { Wanted::Relative(folder) })
    }

    pub(crate) fn within(&self, hierarchy: &Hierarchy) -> PathBuf {
        match self {
            Wanted::Absolute(p) => hierarchy.mount.join(p),
            Wanted::Relative(p) => hierarchy.mount.join(&hierarchy.own).join(p),
        }
    }
}

/// A path of plain names only, so that no folder outside the hierarchy can be meant.
fn plain(path: &str) -> Result<PathBuf> {
    let mut folder = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => folder.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(Error::Invalid(format!("invalid cgroup path \"{path}\""))),
        }
    }
    if folder.as_os_str().is_empty() {
        return Err(Error::Invalid(format!("invalid cgroup path \"{path}\": it is the root")));
    }
    Ok(folder)
}

/// systemd.slice(5): `a-b.slice` lies in `a.slice`; the container's unit is `prefix-name.scope`.
fn of_systemd(slice: &str, prefix: &str, name: &str) -> Result<PathBuf> {
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    let mut folder = PathBuf::new();
    if slice != "-.slice" {
        let stem = slice
            .strip_suffix(".slice")
            .filter(|s| !s.is_empty() && !s.contains('/') && !s.split('-').any(str::is_empty))
            .ok_or_else(|| Error::Invalid(format!("invalid slice name: {slice}")))?;
        let mut so_far = String::new();
        for part in stem.split('-') {
            if !so_far.is_empty() {
                so_far.push('-');
            }
            so_far.push_str(part);
            folder.push(format!("{so_far}.slice"));
        }
    }
    let unit = if name.ends_with(".slice") {
        name.to_owned()
    } else if prefix.is_empty() {
        format!("{name}.scope")
    } else {
        format!("{prefix}-{name}.scope")
    };
    if unit.contains('/') {
        return Err(Error::Invalid(format!("invalid unit name: {unit}")));
    }
    folder.push(unit);
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(path: &str) -> Wanted {
        Wanted::Absolute(PathBuf::from(path))
    }

    #[test]
    fn plain_paths_are_from_the_mount_or_from_ones_own_folder() {
        assert_eq!(Wanted::parse(Some("/docker/x"), "x").unwrap(), absolute("docker/x"));
        assert_eq!(Wanted::parse(Some("pod/x"), "x").unwrap(), Wanted::Relative("pod/x".into()));
        assert_eq!(Wanted::parse(None, "x").unwrap(), Wanted::Relative("x".into()));
    }

    #[test]
    fn systemd_paths_are_unfolded() {
        let want = absolute("machine.slice/machine-a.slice/libpod-x.scope");
        assert_eq!(Wanted::parse(Some("machine-a.slice:libpod:x"), "x").unwrap(), want);
        assert_eq!(Wanted::parse(Some(":docker:x"), "x").unwrap(), absolute("system.slice/docker-x.scope"));
        assert!(Wanted::parse(Some("a--b.slice:p:x"), "x").is_err());
    }

    #[test]
    fn nothing_leads_out_of_the_hierarchy() {
        for bad in ["/../x", "a/../../x", "/", "..", "a.slice:p:../x"] {
            assert!(Wanted::parse(Some(bad), "x").is_err(), "{bad}");
        }
    }
}
