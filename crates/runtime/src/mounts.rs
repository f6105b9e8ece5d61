//! The configuration's mounts, prepared before there is a child. Sources on the host are opened here, by the
//! creating process: the child may be in a user namespace that cannot reach them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::error::Step;
use crate::options::{self, Options};
use crate::spec::{IdMapping, Mount, Spec};
use crate::{Error, Result, RootMount, inside, mount_api, user_namespace};

/// A mount that only has to be attached, or that only the child can make.
#[derive(Debug)]
pub(crate) struct Planned<'a> {
    pub mount: &'a Mount,
    pub options: Options,
    pub source: Source,
}

#[derive(Debug)]
pub(crate) enum Source {
    /// A bind: the source, ready.
    Tree { tree: OwnedFd, is_folder: bool },
    /// A file system made in the child's namespaces.
    New { kind: String },
    /// The container's control groups.
    Cgroup,
}

/// The propagation that the container's copy of the host's mounts gets.
pub(crate) fn base_propagation(spec: &Spec) -> Result<(u64, bool)> {
    match spec.linux().rootfs_propagation.as_deref().filter(|p| !p.is_empty()) {
        None => Ok((options::SLAVE, true)),
        Some(word) => options::propagation(word)
            .ok_or_else(|| Error::InvalidSpec(format!("rootfsPropagation={word} is not supported"))),
    }
}

pub(crate) fn plan<'a>(spec: &'a Spec, bundle: &Path) -> Result<Vec<Planned<'a>>> {
    let base = base_propagation(spec)?;
    spec.mounts.iter().map(|mount| one(mount, spec, bundle, base)).collect()
}

fn one<'a>(mount: &'a Mount, spec: &Spec, bundle: &Path, base: (u64, bool)) -> Result<Planned<'a>> {
    let options = Options::of(mount)?;
    let source = match (options.bind, mount.kind.as_deref()) {
        (Some(recursive), _) => {
            let from = mount.source.as_deref().filter(|s| !s.as_os_str().is_empty()).ok_or_else(|| {
                Error::InvalidSpec(format!("bind mount {} without a source", mount.destination.display()))
            })?;
            bind(mount, &options, &bundle.join(from), recursive, spec, base)?
        }
        (None, Some("cgroup" | "cgroup2")) => Source::Cgroup,
        (None, Some(kind)) if !kind.is_empty() => Source::New { kind: kind.to_owned() },
        _ => return Err(Error::InvalidSpec(format!("mount {} has no type", mount.destination.display()))),
    };
    Ok(Planned { mount, options, source })
}

fn bind(
    mount: &Mount,
    options: &Options,
    from: &Path,
    recursive: bool,
    spec: &Spec,
    base: (u64, bool),
) -> Result<Source> {
    let doing =
        || format!("error mounting \"{}\" to rootfs at \"{}\"", from.display(), mount.destination.display());
    let tree = mount_api::copy_of(from, recursive).step(doing)?;
    let is_folder = inside::kind(&tree).step(doing)? == FileType::Directory;
    // Shared stays shared only where the whole container's root is to be: else nothing may flow back to the host.
    if base.0 != options::SHARED {
        mount_api::propagate(tree.as_fd(), base.0, true).step(doing)?;
    }
    mount_api::change(tree.as_fd(), options.set_recursive, options.clear_recursive, true).step(doing)?;
    mount_api::change(tree.as_fd(), options.set, options.clear, false).step(doing)?;
    for (propagation, deep) in &options.propagation {
        mount_api::propagate(tree.as_fd(), *propagation, *deep).step(doing)?;
    }
    if let Some(deep) = options.idmap {
        idmap(mount, &tree, deep, spec).step(doing)?;
    } else if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        idmap(mount, &tree, false, spec).step(doing)?;
    }
    Ok(Source::Tree { tree, is_folder })
}

/// Shows the tree's owners through the mount's own maps, or the container's.
fn idmap(mount: &Mount, tree: &OwnedFd, deep: bool, spec: &Spec) -> std::io::Result<()> {
    let pick =
        |own: &Vec<IdMapping>, all: &Vec<IdMapping>| if own.is_empty() { all.clone() } else { own.clone() };
    let linux = spec.linux();
    let namespace = user_namespace::with_maps(
        &pick(&mount.uid_mappings, &linux.uid_mappings),
        &pick(&mount.gid_mappings, &linux.gid_mappings),
    )?;
    let attributes =
        gantry_sys::mount::Attributes { user_namespace: Some(namespace.as_fd()), ..Default::default() };
    gantry_sys::mount::set_attributes(tree.as_fd(), c"", deep, attributes)
}

/// The root file system as a detached tree, and the folder it will be attached on.
pub(crate) fn root(spec: &Spec, bundle: &Path, ask: &RootMount) -> Result<(OwnedFd, PathBuf)> {
    let declared = spec.root.as_ref().map(|r| bundle.join(&r.path)).filter(|p| p != bundle);
    let path = declared.unwrap_or_else(|| bundle.join("rootfs"));
    match ask {
        RootMount::Path => Ok((tree_of(&path, spec)?, path)),
        RootMount::Dir { path } => Ok((tree_of(path, spec)?, path.clone())),
        RootMount::Overlay { lower, upper, work, options } => {
            match std::fs::create_dir(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::setup(format!("making {}", path.display()), e));
                }
                _ => {}
            }
            let tree = overlay(lower, upper.as_deref(), work.as_deref(), options)?;
            Ok((tree, path))
        }
    }
}

fn tree_of(path: &Path, spec: &Spec) -> Result<OwnedFd> {
    let doing = || format!("preparing the root file system {}", path.display());
    if !path.is_dir() {
        return Err(Error::InvalidSpec(format!("invalid rootfs: {} is not a directory", path.display())));
    }
    let tree = mount_api::copy_of(path, true).step(doing)?;
    let (propagation, _) = base_propagation(spec)?;
    if propagation != options::SHARED {
        mount_api::propagate(tree.as_fd(), propagation, true).step(doing)?;
    }
    Ok(tree)
}

fn overlay(lower: &[PathBuf], upper: Option<&Path>, work: Option<&Path>, more: &[String]) -> Result<OwnedFd> {
    let lower: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
    let read_only = upper.is_none() || more.iter().any(|option| option == "ro");
    let options = more.iter().map(String::as_str).filter(|option| !matches!(*option, "ro" | "rw"));
    let options: Vec<&str> = options.collect();
    let overlay = gantry_sys::overlay::Overlay {
        lower: &lower,
        upper: upper.zip(work),
        options: &options,
        attributes: if read_only { options::RDONLY } else { 0 },
    };
    overlay.detached().step(|| "mounting the container's overlay".to_owned())
}
