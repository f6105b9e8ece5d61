//! The container's root: attached, furnished with mounts and devices, and turned to.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, mount_move, unmount};

use super::{Birth, cgroup_mounts, console, devices, masks, mount, sysctl};
use crate::error::Step;
use crate::hooks::{self, State};
use crate::inside::Inside;
use crate::mounts::{Source, base_propagation};
use crate::wire::Kind;
use crate::{Error, Result, mount_api, namespaces, options};

pub(crate) fn build(birth: &mut Birth<'_>) -> Result<()> {
    let spec = birth.spec;
    let linux = spec.linux();
    apart_from_host(birth)?;
    mount_api::attach_at(&birth.root, &birth.rootfs)
        .step(|| format!("attaching the root file system to {}", birth.rootfs.display()))?;
    let root = birth.root.try_clone().step(|| "keeping the root")?;
    let inside = Inside::new(&root);
    let mut in_cgroup = false;
    for planned in &birth.mounts {
        if matches!(planned.source, Source::Cgroup) && !in_cgroup {
            join_cgroup(birth)?;
            in_cgroup = true;
        }
        match &planned.source {
            Source::Cgroup => cgroup_mounts::attach(&inside, planned, birth)?,
            _ => mount::attach(&inside, planned, linux.mount_label.as_deref())?,
        }
    }
    if !in_cgroup {
        join_cgroup(birth)?;
    }
    if devices::are_ours(spec) {
        devices::make(&inside, spec, &birth.device_trees)?;
    }
    run_hooks(birth)?;
    let slave = console::prepare(birth, &inside)?;
    if let Some(slave) = slave {
        birth.stdio = super::three(slave)?;
    }
    console::give_stdio(birth)?;
    sysctl::write(&linux.sysctl)?;
    masks::read_only(&inside, &linux.readonly_paths)?;
    masks::hide(&inside, &linux.masked_paths, linux.mount_label.as_deref())?;
    make_cwd(&inside, spec)?;
    mount::late_read_only(&inside, &birth.mounts)?;
    if spec.root.as_ref().is_some_and(|r| r.readonly) {
        mount_api::change(birth.root.as_fd(), options::RDONLY, 0, false)
            .step(|| "making the root read-only")?;
    }
    turn_to(birth)?;
    if linux.rootfs_propagation.as_deref().is_some_and(|p| !p.is_empty()) {
        let (flag, deep) = base_propagation(spec)?;
        propagate(Path::new("/"), flag, deep)?;
    }
    Ok(())
}

/// Nothing that is mounted from here on reaches the host.
fn apart_from_host(birth: &Birth<'_>) -> Result<()> {
    let (flag, deep) = base_propagation(birth.spec)?;
    propagate(Path::new("/"), flag, deep)?;
    if flag != options::SHARED {
        return Ok(());
    }
    // pivot_root wants the mount below the root to be private, and so does whoever is attached to it.
    for folder in birth.rootfs.ancestors() {
        match mount_change(folder, MountPropagationFlags::PRIVATE) {
            Err(Errno::INVAL) => continue, // Not a mount of its own: the one above.
            other => return other.step(|| format!("making {} private", folder.display())),
        }
    }
    Ok(())
}

fn propagate(path: &Path, flag: u64, deep: bool) -> Result<()> {
    let mut flags = MountPropagationFlags::from_bits_retain(flag as u32);
    if deep {
        flags |= MountPropagationFlags::REC;
    }
    mount_change(path, flags).step(|| "setting the mount propagation")
}

/// The cgroup stands; only in it a cgroup namespace has the right root.
fn join_cgroup(birth: &Birth<'_>) -> Result<()> {
    birth.line.wait_for(Kind::Go)?;
    if birth.joins_cgroup {
        birth.cgroup.join_self(None)?;
    }
    if birth.namespaces.new & namespaces::CGROUP != 0 {
        gantry_sys::clone::unshare(namespaces::CGROUP).step(|| "making the cgroup namespace")?;
    }
    Ok(())
}

/// The hooks that come between the mounts and pivot_root, first those of the creating process.
fn run_hooks(birth: &Birth<'_>) -> Result<()> {
    let Some(all) = &birth.spec.hooks else { return Ok(()) };
    if !all.prestart.is_empty() || !all.create_runtime.is_empty() {
        birth.line.tell(Kind::Hooks, None)?;
        birth.line.wait_for(Kind::HooksDone)?;
    }
    if all.create_container.is_empty() {
        return Ok(());
    }
    let state = State {
        oci_version: &birth.spec.oci_version,
        id: birth.id,
        status: "creating",
        pid: Some(rustix::process::getpid().as_raw_nonzero().get()),
        bundle: birth.bundle,
        annotations: &birth.spec.annotations,
    };
    hooks::run("createContainer", &all.create_container, &state)
}

/// A working folder that the image has not is made, as Docker's users expect.
fn make_cwd(inside: &Inside<'_>, spec: &crate::spec::Spec) -> Result<()> {
    let Some(process) = &spec.process else { return Ok(()) };
    match inside.folder(Path::new(&process.cwd)) {
        Ok(_) => Ok(()),
        // On a read-only root the chdir tells it better.
        Err(Errno::ROFS) => Ok(()),
        Err(e) => Err(Error::setup(format!("mkdir {}", process.cwd), e)),
    }
}

/// pivot_root onto itself: the old root lies on top and is let go, and no folder for it is needed.
fn turn_to(birth: &Birth<'_>) -> Result<()> {
    rustix::process::fchdir(&birth.root).step(|| "entering the root file system")?;
    if birth.no_pivot {
        mount_move(".", "/").step(|| "moving the root file system to /")?;
        rustix::process::chroot(".").step(|| "chroot to the root file system")?;
    } else {
        let old = rustix::fs::open(
            "/",
            rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .step(|| "opening the old root")?;
        rustix::process::pivot_root(".", ".").step(|| "pivot_root")?;
        rustix::process::fchdir(&old).step(|| "entering the old root")?;
        // Letting it go must not unmount anything on the host.
        mount_change(".", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
            .step(|| "setting the old root apart")?;
        unmount(".", UnmountFlags::DETACH).step(|| "letting the old root go")?;
    }
    rustix::process::chdir("/").step(|| "entering the new root")
}
