//! SELinux' labels in a container's life: decided with the record, put on its root and on what it mounts at every start.

use std::path::Path;

use gantry_snapshots::Rootfs;

use crate::bundle::BoundMount;
use crate::bundle::security::Security;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, MountPoint, MountPointKind};
use crate::selinux::relabel::{Sharing, relabel};
use crate::selinux::{self, Labels};
use crate::spec::{ContainerSpec, IpcMode, NetworkMode, PidMode};

impl Engine {
    /// Adds the labels that follow from the rest of a spec, as Docker does: none for who is privileged or lives in the host's
    /// namespaces, the owner's for who lives in another container's.
    pub(super) fn imply_labels(&self, spec: &mut ContainerSpec, security: &Security) -> Result<()> {
        if !security.labels.is_empty() {
            return Ok(());
        }
        let of_host = matches!(spec.ipc_mode, IpcMode::Host) || matches!(spec.pid_mode, PidMode::Host);
        if spec.privileged || of_host {
            spec.security_opts.push("label=disable".to_owned());
            return Ok(());
        }
        let label_of = |who: &str| self.find(who).map(|owner| owner.record().selinux.process.clone());
        let ipc = if let IpcMode::Container(who) = &spec.ipc_mode { Some(label_of(who)?) } else { None };
        let pid = if let PidMode::Container(who) = &spec.pid_mode { Some(label_of(who)?) } else { None };
        if let (Some(ipc), Some(pid)) = (&ipc, &pid)
            && ipc != pid
        {
            return Err(Error::Invalid(
                "--ipc and --pid containers SELinux labels aren't the same".to_owned(),
            ));
        }
        if let Some(label) = ipc.or(pid) {
            let words = selinux::words_of(&label).into_iter();
            spec.security_opts.extend(words.map(|word| format!("label={word}")));
        }
        Ok(())
    }

    /// What a person asked for and will not get.
    pub(super) fn label_warning(&self, security: &Security) -> Option<String> {
        let asked = security.labels.iter().any(|word| word != "disable");
        let told = || "This engine does not use SELinux. The labels asked for are not applied.".to_owned();
        (asked && !self.inner.host.selinux.is_on()).then(told)
    }

    /// A new container's labels. They are its own until [`Engine::release_labels`].
    pub(super) fn draw_labels(&self, spec: &ContainerSpec) -> Result<Labels> {
        let security = Security::parse(&spec.security_opts).map_err(crate::bundle::BundleError::from)?;
        self.inner.host.selinux.label(&security.labels).map_err(|bad| Error::Invalid(bad.to_string()))
    }

    pub(super) fn release_labels(&self, record: &ContainerRecord) {
        self.inner.host.selinux.release(&record.selinux);
    }

    /// A container's root as its processes see it: every file has its label. Blocking.
    pub(super) fn labelled_root(&self, rootfs: Rootfs, record: &ContainerRecord) -> Result<Rootfs> {
        let Some(label) = self.inner.host.selinux.applied(&record.selinux.mount) else { return Ok(rootfs) };
        match rootfs {
            Rootfs::Overlay { lower, upper, work, mut options } => {
                options.push(format!("context={label}"));
                Ok(Rootfs::Overlay { lower, upper, work, options })
            }
            Rootfs::Dir { path, read_only } => {
                // An image's own files are everybody's.
                let sharing = if read_only { Sharing::Shared } else { Sharing::Private };
                self.relabel(&path, record, sharing)?;
                Ok(Rootfs::Dir { path, read_only })
            }
        }
    }

    /// Labels what is mounted of the host: by `z` and `Z`, and volumes of which nobody said how. Blocking.
    pub(super) fn relabel_mount(
        &self,
        source: &Path,
        point: &MountPoint,
        record: &ContainerRecord,
    ) -> Result<()> {
        let unsaid = point.kind == MountPointKind::Volume && point.mode.is_empty();
        match Sharing::of_mode(&point.mode).or(unsaid.then_some(Sharing::Shared)) {
            Some(sharing) => self.relabel(source, record, sharing),
            None => Ok(()),
        }
    }

    /// Labels the engine's own files in a container. Blocking.
    pub(super) fn relabel_files(&self, files: &[BoundMount], record: &ContainerRecord) -> Result<()> {
        let joined = matches!(record.spec.network_mode, NetworkMode::Container(_));
        let sharing = if joined { Sharing::Shared } else { Sharing::Private };
        for file in files {
            if let BoundMount::Bind { source, .. } = file {
                self.relabel(source, record, sharing)?;
            }
        }
        Ok(())
    }

    fn relabel(&self, path: &Path, record: &ContainerRecord, sharing: Sharing) -> Result<()> {
        relabel(&self.inner.host.selinux, path, &record.selinux.mount, sharing).map_err(|err| {
            let text = format!("error setting label on mount source '{}': {err}", path.display());
            match err.kind() {
                std::io::ErrorKind::InvalidInput => Error::Invalid(text),
                _ => Error::Io {
                    what: format!("error setting label on mount source '{}'", path.display()),
                    cause: err,
                },
            }
        })
    }
}
