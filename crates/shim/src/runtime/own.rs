//! Our own runtime, in this process.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_errdefs::{Class, Classified};
use gantry_runtime_lib as lib;
use gantry_runtime_lib::spec::{Process, Resources, Spec};
use gantry_shim_protocol::{Failure, RootMount, ShimConfig, bundle};

use super::{Made, Runtime, Stdio, failure, not_understood};

/// What the undertaker needs, beside the bundle's other files.
const RECORD: &str = "runtime.json";

pub(crate) struct Own {
    bundle: PathBuf,
    id: String,
    root: lib::RootMount,
    read_only: bool,
    container: Option<lib::Container>,
}

impl Own {
    pub fn new(bundle: &Path, config: &ShimConfig) -> Own {
        Own {
            bundle: bundle.to_owned(),
            id: config.id.as_str().to_owned(),
            root: root(&config.root),
            read_only: matches!(config.root, RootMount::Dir { read_only: true, .. }),
            container: None,
        }
    }

    fn container(&mut self) -> Result<&mut lib::Container, Failure> {
        self.container.as_mut().ok_or_else(|| Failure::new(Class::Conflict, "container is not created"))
    }
}

fn root(root: &RootMount) -> lib::RootMount {
    match root.clone() {
        RootMount::Path => lib::RootMount::Path,
        RootMount::Dir { path, .. } => lib::RootMount::Dir { path },
        RootMount::Overlay { lower, upper, work, options } => {
            lib::RootMount::Overlay { lower, upper, work, options }
        }
    }
}

impl Runtime for Own {
    fn create(&mut self, stdio: Stdio) -> Result<Made, Failure> {
        let text =
            fs::read(self.bundle.join(bundle::CONFIG)).map_err(|err| failure("read config.json", &err))?;
        let mut spec: Spec =
            serde_json::from_slice(&text).map_err(|err| not_understood("config.json", &err))?;
        if let Some(root) = &mut spec.root {
            root.readonly |= self.read_only;
        }
        let mut container = lib::create(lib::Create {
            id: &self.id,
            bundle: &self.bundle,
            spec: &spec,
            root: &self.root,
            stdio: given(stdio),
            gate: lib::Gate::Here,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            seccomp: None,
        })
        .map_err(|err| not_started(&err))?;
        for warning in container.warnings() {
            eprintln!("{warning}");
        }
        if let Err(err) = record(&self.bundle, container.record()) {
            drop(container.delete());
            return Err(err);
        }
        let made = Made { pid: container.pid(), console: container.take_console() };
        self.container = Some(container);
        Ok(made)
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.container()?.start().map_err(|err| not_started(&err))
    }

    fn exec(&mut self, _session: &str, process: &serde_json::Value, stdio: Stdio) -> Result<Made, Failure> {
        let mut process = Process::deserialize_value(process)?;
        process.terminal = matches!(stdio, Stdio::Terminal);
        let exec = lib::Exec {
            process: &process,
            stdio: given(stdio),
            seccomp: None,
            preserve_fds: 0,
            sub_cgroup: None,
        };
        let mut session = self.container()?.exec(exec).map_err(|err| not_started(&err))?;
        Ok(Made { pid: session.pid(), console: session.take_console() })
    }

    fn kill_all(&mut self, signal: i32) -> Result<(), Failure> {
        self.container()?.kill_all(signal).map_err(|err| refused(&err))
    }

    fn pause(&mut self) -> Result<(), Failure> {
        self.container()?.pause().map_err(|err| refused(&err))
    }

    fn resume(&mut self) -> Result<(), Failure> {
        self.container()?.resume().map_err(|err| refused(&err))
    }

    fn update(&mut self, resources: &serde_json::Value) -> Result<(), Failure> {
        let resources: Resources =
            serde::Deserialize::deserialize(resources).map_err(|err| not_understood("resources", &err))?;
        for warning in self.container()?.update(&resources).map_err(|err| refused(&err))? {
            eprintln!("{warning}");
        }
        Ok(())
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let Some(container) = &mut self.container else { return Ok(()) };
        container.delete().map_err(|err| refused(&err))?;
        match fs::remove_file(self.bundle.join(RECORD)) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(failure("remove record", &err)),
            _ => Ok(()),
        }
    }
}

/// `Process` from JSON, with our failure.
trait DeserializeValue: Sized {
    fn deserialize_value(value: &serde_json::Value) -> Result<Self, Failure>;
}

impl DeserializeValue for Process {
    fn deserialize_value(value: &serde_json::Value) -> Result<Self, Failure> {
        serde::Deserialize::deserialize(value).map_err(|err| not_understood("process", &err))
    }
}

fn given(stdio: Stdio) -> lib::Stdio {
    match stdio {
        Stdio::Terminal => lib::Stdio::Terminal,
        Stdio::Files { stdin, stdout, stderr } => {
            let files: [OwnedFd; 3] = [stdin, stdout, stderr];
            let [stdin, stdout, stderr] = files;
            lib::Stdio::Files { stdin, stdout, stderr }
        }
    }
}

fn refused(err: &lib::Error) -> Failure {
    Failure::new(err.class(), gantry_errdefs::chain(err))
}

fn not_started(err: &lib::Error) -> Failure {
    Failure { exit_code: Some(err.exit_code()), ..refused(err) }
}

fn record(bundle: &Path, record: &lib::Record) -> Result<(), Failure> {
    let text = serde_json::to_vec(record).map_err(|err| not_understood("record", &err))?;
    fs::write(bundle.join(RECORD), text).map_err(|err| failure("write record", &err))
}

/// The undertaker's part: kills and removes a container by its record. A keeper that was killed before the record was
/// whole had not started it: its process has ended with the keeper, and the cgroup is where the configuration says.
pub(crate) fn end_recorded(bundle: &Path, id: &str) -> Result<(), Failure> {
    let text = match fs::read(bundle.join(RECORD)) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return forget(bundle, id),
        other => other.map_err(|err| failure("read record", &err))?,
    };
    let Ok(record) = serde_json::from_slice::<lib::Record>(&text) else { return forget(bundle, id) };
    let mut container = lib::Container::attach(record, None).map_err(|err| refused(&err))?;
    container.delete().map_err(|err| refused(&err))?;
    fs::remove_file(bundle.join(RECORD)).map_err(|err| failure("remove record", &err))
}

fn forget(bundle: &Path, id: &str) -> Result<(), Failure> {
    let text = match fs::read(bundle.join(bundle::CONFIG)) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|err| failure("read config.json", &err))?,
    };
    // Written half, nothing was made of it.
    let Ok(spec) = serde_json::from_slice::<Spec>(&text) else { return Ok(()) };
    lib::cgroup_of(&spec, id).and_then(|cgroup| lib::forget(&cgroup)).map_err(|err| refused(&err))
}
