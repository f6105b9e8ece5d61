//! `start`: admission, then step by step from the record to a process. A failed step undoes the ones before by the same
//! road that an exit takes.

use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_errdefs::{Class, Classified, chain};
use gantry_shim_client::{LogSpec, RootMount, RuntimeSpec, ShimConfig, SpawnError};
use gantry_snapshots::Rootfs;
use jiff::Timestamp;
use tokio::time::timeout;

use super::root::{self, Access};
use super::{Container, attach};
use crate::admission::Verb;
use crate::bundle::{self, Device, Inputs, NodeKind, apparmor};
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, MountPointKind, Process, StartFailure, State};
use crate::spec::{IpcMode, PidMode};

/// How long a start waits for a copy into the container; the client that sends it may stand still.
const COPY_PATIENCE: Duration = Duration::from_secs(30);

/// What the blocking part of a start prepares.
pub(super) struct Prepared {
    pub(super) config: ShimConfig,
    pub(super) spec: Vec<u8>,
}

impl Engine {
    /// Runs a container's process. Class not-modified when it runs already.
    pub async fn container_start(&self, name: &str) -> Result<()> {
        let container = self.find(name)?;
        let _gate = container.enter().await?;
        container.admit(Verb::Start)?;
        self.cancel_back_off(&container);
        container.update(|record| {
            record.restart_count = 0;
            record.stopped_by_hand = false;
        });
        container.live().last_delay = Duration::ZERO;
        self.start_locked(&container).await
    }

    /// Starts a container whose gate the caller holds.
    pub(crate) async fn start_locked(&self, container: &Arc<Container>) -> Result<()> {
        if self.inner.draining.load(Ordering::Acquire) {
            return Err(Error::Unavailable("the engine is shutting down".to_owned()));
        }
        match self.try_start(container).await {
            Ok(()) => Ok(()),
            Err(err) => {
                self.tear_down(container).await;
                container.live().pending.clear();
                self.note_failure(container, &err).await;
                // Whoever asked for its removal waits for it, also when it never ran.
                if container.record().spec.auto_remove {
                    self.auto_remove(container).await;
                }
                Err(err)
            }
        }
    }

    async fn try_start(&self, container: &Arc<Container>) -> Result<()> {
        let copied = || Error::Conflict(format!("files are being copied into container {}", container.id));
        let _alone = timeout(COPY_PATIENCE, container.files.lock()).await.map_err(|_| copied())?;
        let record = container.record();
        let pending = std::mem::take(&mut container.live().pending);
        let engine = self.clone();
        let attached = !pending.is_empty();
        let prepared = blocking({
            let record = Arc::clone(&record);
            move || engine.prepare_start(&record, attached)
        })
        .await?;
        let bundle = self.inner.shims.bundle(&container.id);
        let shim =
            self.inner.shims.spawn(&bundle, &prepared.config, &prepared.spec).await.map_err(start_error)?;
        container.live().shim = Some(shim.clone());
        let pid = if attached {
            attach::join_all(&shim, pending, record.spec.tty).await?;
            shim.start().await.map_err(|err| match err {
                gantry_shim_client::ShimError::Failed(failure) => start_error(SpawnError::Failed(failure)),
                other => Error::Shim(other),
            })?
        } else {
            shim.pid()
        };
        let process =
            Process { pid: pid.cast_signed(), started_at: Timestamp::now(), cgroup: prepared.config.cgroup };
        self.change(container, |record| {
            record.state = State::Running(process);
            record.health = None;
        })
        .await?;
        container.live().stop_asked = false;
        container.tell(|moment| moment.error = None);
        let record = container.record();
        self.mount_events(&record, "mount");
        self.container_event(&record, "start", &[]);
        self.keep(container, shim);
        self.watch_health(container);
        Ok(())
    }

    /// Everything between the record and the shim. Blocking.
    pub(super) fn prepare_start(&self, record: &ContainerRecord, attached: bool) -> Result<Prepared> {
        let rootfs = self.snapshots_of(record)?.rootfs(record.id.as_str())?;
        self.make_folder(&record.id)?;
        let (asked, images) = self.bind_mounts(record)?;
        let network = self.join_network(record)?;
        let mut mounts = self.file_mounts(record, &asked);
        self.relabel_files(&mounts, record)?;
        mounts.extend(asked);
        let user = self.resolve_user(record, &rootfs)?;
        let (ipc_of, pid_of) = (self.ipc_owner(record)?, self.pid_owner(record)?);
        let config = self.config();
        let cgroup = config.cgroup_of(record);
        let limits = bundle::resources::limits(&record.spec.resources, &device_numbers)
            .map_err(|err| Error::Invalid(format!("error gathering device information: {err}")))?;
        let spec = bundle::build(Inputs {
            record,
            host: &self.inner.host,
            user: &user,
            mounts,
            network: network.namespace,
            ipc_of,
            pid_of,
            devices: devices(record)?,
            limits,
            cgroup: cgroup.clone(),
            extra_env: network.environment,
            init: record.spec.init.unwrap_or(config.init).then(|| config.shim.clone()),
            seccomp_profile: config.seccomp_profile.as_deref(),
            no_new_privileges: config.no_new_privileges,
            default_ulimits: &config.default_ulimits,
        })?;
        let [height, width] = record.spec.console_size.map(|side| u16::try_from(side).unwrap_or(u16::MAX));
        let shim = ShimConfig {
            id: record.id.clone(),
            tty: record.spec.tty,
            open_stdin: record.spec.open_stdin,
            stdin_once: record.spec.stdin_once,
            console_size: (height > 0 && width > 0).then_some((height, width)),
            root: root_mount(self.labelled_root(rootfs, record)?),
            images,
            log: self.log_spec(record),
            runtime: self.runtime_spec(record)?,
            cgroup,
            oom_score_adj: None,
            soft_descriptors: config.soft_descriptors,
            start: !attached,
        };
        let profile = spec.process.as_ref().and_then(|process| process.apparmor_profile.as_deref());
        if profile == Some(apparmor::DEFAULT) {
            let failed =
                Error::io(format!("AppArmor: the profile {} could not be loaded", apparmor::DEFAULT));
            self.inner.host.apparmor.ensure_default().map_err(failed)?;
        }
        let spec = serde_json::to_vec(&spec).map_err(|err| Error::Invalid(err.to_string()))?;
        Ok(Prepared { config: shim, spec })
    }

    /// Resolves the user by the container's own files, and makes its working folder.
    fn resolve_user(&self, record: &ContainerRecord, rootfs: &Rootfs) -> Result<bundle::user::ResolvedUser> {
        let cwd = record.spec.working_dir.as_str();
        let failed = || Error::io(format!("open the root of container {}", record.id));
        let view = root::of_snapshot(rootfs, Access::Read).map_err(failed())?;
        let (passwd, group) = root::users(view.as_fd())?;
        let user = bundle::user::resolve(&record.spec.user, &record.spec.group_add, &passwd, &group)?;
        let missing = !matches!(cwd, "" | "/")
            && root::open_inside(view.as_fd(), cwd, rustix::fs::OFlags::PATH).is_err();
        if missing {
            drop(view);
            let writable = root::of_snapshot(rootfs, Access::Write).map_err(failed())?;
            root::make_dirs_inside(writable.as_fd(), cwd)
                .map_err(Error::io(format!("make working directory {cwd}")))?;
        }
        Ok(user)
    }

    fn pid_owner(&self, record: &ContainerRecord) -> Result<Option<i32>> {
        match &record.spec.pid_mode {
            PidMode::Container(who) => self.running_pid(who, "PID").map(Some),
            _ => Ok(None),
        }
    }

    fn ipc_owner(&self, record: &ContainerRecord) -> Result<Option<i32>> {
        match &record.spec.ipc_mode {
            IpcMode::Container(who) => self.running_pid(who, "IPC").map(Some),
            _ => Ok(None),
        }
    }

    /// The process of a container whose namespace another one joins.
    pub(crate) fn running_pid(&self, who: &str, what: &str) -> Result<i32> {
        let owner = self.find(who)?;
        let record = owner.record();
        let process = record.state.process().ok_or_else(|| {
            Error::Conflict(format!(
                "cannot join {what} namespace of a non running container: container {}",
                owner.id
            ))
        })?;
        Ok(process.pid)
    }

    fn log_spec(&self, record: &ContainerRecord) -> LogSpec {
        let mut attributes = std::collections::BTreeMap::new();
        let option = |name: &str| record.spec.log.options.get(name).map_or("", String::as_str).split(',');
        for label in option("labels").filter(|name| !name.is_empty()) {
            if let Some(value) = record.spec.labels.get(label) {
                attributes.insert(label.to_owned(), value.clone());
            }
        }
        for name in option("env").filter(|name| !name.is_empty()) {
            let found =
                record.spec.env.iter().find_map(|word| word.split_once('=').filter(|(key, _)| *key == name));
            if let Some((key, value)) = found {
                attributes.insert(key.to_owned(), value.to_owned());
            }
        }
        if let Some(tag) = record.spec.log.options.get("tag") {
            attributes.insert("tag".to_owned(), expand_tag(tag, record));
        }
        LogSpec {
            driver: record.spec.log.driver.clone(),
            path: self.log_path(record),
            options: record.spec.log.options.clone(),
            attributes,
        }
    }

    fn runtime_spec(&self, record: &ContainerRecord) -> Result<RuntimeSpec> {
        let config = self.config();
        let root = config.exec_root.join("runtime").join(&record.spec.runtime);
        if config.runs_itself(&record.spec.runtime) {
            return Ok(RuntimeSpec::Own { root });
        }
        let known = config.runtimes.get(&record.spec.runtime);
        let foreign = known.ok_or_else(|| {
            Error::Invalid(format!("unknown or invalid runtime name: {}", record.spec.runtime))
        })?;
        Ok(RuntimeSpec::Foreign { path: foreign.path.clone(), args: foreign.args.clone(), root })
    }

    async fn note_failure(&self, container: &Container, err: &Error) {
        let code = match err {
            Error::Start { code, .. } => *code,
            _ => 128,
        };
        let text = err.to_string();
        let failure = StartFailure { code, error: text.clone() };
        let noted = self
            .change(container, |record| {
                record.state = match &record.state {
                    State::Exited { exit, .. } | State::Restarting { exit } => {
                        State::Exited { exit: exit.clone(), failure: Some(failure) }
                    }
                    _ => State::Created { failure: Some(failure) },
                }
            })
            .await;
        if let Err(err) = noted {
            tracing::error!(err = chain(&err), container = %container.id, "record a failed start");
        }
        // No exit: who waits for the next one goes on waiting, as on Docker. Who asked for the start is told by it.
        container.tell(|moment| {
            moment.alive = false;
            moment.code = code;
            moment.error = Some(text);
        });
    }

    /// Docker's volume events of a start and an exit.
    pub(super) fn mount_events(&self, record: &ContainerRecord, action: &str) {
        for point in record.mounts.iter().filter(|point| point.kind == MountPointKind::Volume) {
            let mut more = vec![("container", record.id.to_string())];
            if action == "mount" {
                more.push(("destination", point.target.clone()));
                more.push(("read/write", (point.read_only == crate::spec::ReadOnly::No).to_string()));
                let propagation = point.propagation.map_or("", crate::spec::Propagation::as_str);
                more.push(("propagation", propagation.to_owned()));
            }
            self.volume_event(&point.name, action, &more);
        }
    }
}

/// `{{.Name}}` and its like in the log tag.
fn expand_tag(tag: &str, record: &ContainerRecord) -> String {
    tag.replace("{{.Name}}", record.name.as_str())
        .replace("{{.ID}}", record.id.short())
        .replace("{{.FullID}}", record.id.as_str())
        .replace("{{.ImageName}}", &record.spec.image)
        .replace("{{.ImageID}}", record.image.0.short())
        .replace("{{.ImageFullID}}", record.image.as_ref())
}

/// Docker's text around a failed start: the runtime's own words after a fixed beginning.
pub(super) fn start_error(err: SpawnError) -> Error {
    match err {
        SpawnError::Failed(failure) => {
            let code = failure.exit_code.unwrap_or(128);
            let class = if matches!(code, 126 | 127) { Class::InvalidArgument } else { failure.class };
            Error::Start {
                text: format!("failed to create task for container: {}", failure.message),
                code,
                class,
            }
        }
        other => Error::Start {
            text: format!("failed to create shim task: {}", chain(&other)),
            code: 128,
            class: other.class(),
        },
    }
}

pub(super) fn root_mount(rootfs: Rootfs) -> RootMount {
    match rootfs {
        Rootfs::Overlay { lower, upper, work, options } => RootMount::Overlay { lower, upper, work, options },
        Rootfs::Dir { path, read_only } => RootMount::Dir { path, read_only },
    }
}

/// Type and numbers of a device node.
pub(super) fn device_numbers(path: &str) -> std::io::Result<(char, i64, i64)> {
    let meta = std::fs::metadata(path)?;
    let kind = meta.file_type();
    let letter = match (kind.is_block_device(), kind.is_char_device()) {
        (true, _) => 'b',
        (_, true) => 'c',
        _ => return Err(std::io::Error::other("not a device node")),
    };
    let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
    Ok((letter, i64::from(major), i64::from(minor)))
}

/// The devices of `--device`; with privilege, all of the host's.
fn devices(record: &ContainerRecord) -> Result<Vec<Device>> {
    let mut all = Vec::new();
    if record.spec.privileged {
        devices_below(Path::new("/dev"), "/dev", "rwm", &mut all);
    }
    for asked in &record.spec.resources.devices {
        let target = if asked.container.is_empty() { &asked.host } else { &asked.container };
        let access = if asked.permissions.is_empty() { "rwm" } else { &asked.permissions };
        if Path::new(&asked.host).is_dir() {
            devices_below(Path::new(&asked.host), target, access, &mut all);
            continue;
        }
        let one = device(Path::new(&asked.host), target, access);
        let one = one.map_err(|err| {
            Error::Invalid(format!(
                "error gathering device information while adding custom device \"{}\": {}",
                asked.host,
                match err.kind() {
                    // As Go says it.
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    _ => err.to_string(),
                }
            ))
        })?;
        all.retain(|known| known.path != one.path);
        all.push(one);
    }
    Ok(all)
}

fn device(host: &Path, target: &str, access: &str) -> std::io::Result<Device> {
    let (letter, major, minor) = device_numbers(&host.to_string_lossy())?;
    let meta = std::fs::metadata(host)?;
    Ok(Device {
        path: target.to_owned(),
        kind: if letter == 'b' { NodeKind::Block } else { NodeKind::Character },
        major,
        minor,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        permissions: access.to_owned(),
    })
}

fn devices_below(host: &Path, target: &str, access: &str, all: &mut Vec<Device>) {
    // Places of the container's own: its terminals, memory, queues.
    const OWN: &[&str] = &["pts", "shm", "fd", "mqueue", "console", "ptmx", ".lxc", ".lxd-mounts", ".udev"];
    let Ok(entries) = std::fs::read_dir(host) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        if OWN.contains(&name.as_str()) || kind.is_symlink() {
            continue;
        }
        let place = format!("{target}/{name}");
        if kind.is_dir() {
            devices_below(&entry.path(), &place, access, all);
        } else if let Ok(device) = device(&entry.path(), &place, access) {
            all.push(device);
        }
    }
}
