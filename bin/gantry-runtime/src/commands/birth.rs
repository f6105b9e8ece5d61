//! `create`, `start` and `run`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gantry_runtime_lib::spec::Spec;
use gantry_runtime_lib::{Container, Create, Gate, RootMount, Stdio, cgroup_of, protect};

use crate::args::{Args, Flag, Global};
use crate::state::{Folder, Saved, VERSION, write_pid_file};
use crate::{clock, console, foreground, log};

const FLAGS: &[Flag] = &[
    ("bundle", 'b', true),
    ("console-socket", '\0', true),
    ("pidfd-socket", '\0', true),
    ("pid-file", '\0', true),
    ("no-pivot", '\0', false),
    ("no-new-keyring", '\0', false),
    ("preserve-fds", '\0', true),
    ("detach", 'd', false),
    ("keep", '\0', false),
    ("no-subreaper", '\0', false),
];

pub fn create(global: &Global, words: Vec<String>) -> Result<u8> {
    protect::ensure()?;
    let args = Args::parse(words, FLAGS)?;
    if args.value("console-socket").is_none() && load(&bundle(&args)?)?.process.is_some_and(|p| p.terminal) {
        bail!("cannot allocate tty if runc will detach without setting console socket");
    }
    make(global, &args)?;
    Ok(0)
}

pub fn start(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[])?;
    let folder = Folder::open(global, args.id()?)?;
    let (_, mut container) = folder.load()?;
    container.start().map_err(failed)?;
    warn(global, &container);
    Ok(0)
}

pub fn run(global: &Global, words: Vec<String>) -> Result<u8> {
    protect::ensure()?;
    let args = Args::parse(words, FLAGS)?;
    let detach = args.has("detach");
    let signals = if detach { None } else { Some(foreground::prepare()?) };
    let (folder, mut container, master) = make(global, &args)?;
    let code = container.start().map_err(failed).and_then(|()| {
        warn(global, &container);
        match &signals {
            None => Ok(0),
            Some(signals) => foreground::stay(container.pidfd(), master, signals),
        }
    });
    if code.is_err() || !(detach || args.has("keep")) {
        container.delete()?;
        folder.remove()?;
    }
    code
}

fn bundle(args: &Args) -> Result<PathBuf> {
    let path = Path::new(args.value("bundle").unwrap_or("."));
    path.canonicalize().with_context(|| format!("bundle {}", path.display()))
}

fn load(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            bail!("JSON specification file {} not found", path.display())
        }
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let spec: Spec =
        serde_json::from_slice(&text).with_context(|| format!("{} is not valid", path.display()))?;
    if spec.oci_version.is_empty() {
        bail!("{}: ociVersion is missing", path.display());
    }
    Ok(spec)
}

type Made = (Folder, Container, Option<std::os::fd::OwnedFd>);

fn make(global: &Global, args: &Args) -> Result<Made> {
    let bundle = bundle(args)?;
    let spec = load(&bundle)?;
    let id = args.id()?;
    let terminal = spec.process.as_ref().is_some_and(|p| p.terminal);
    let socket = args.value("console-socket").map(PathBuf::from);
    if args.has("detach") && terminal && socket.is_none() {
        bail!("cannot allocate tty if runc will detach without setting console socket");
    }
    if !terminal && socket.is_some() {
        bail!("cannot use console socket if runc will not detach or allocate tty");
    }
    let folder = Folder::make(global, id)?;
    folder.intend(&cgroup_of(&spec, id)?)?;
    let made = gantry_runtime_lib::create(Create {
        id,
        bundle: &bundle,
        spec: &spec,
        root: &RootMount::Path,
        stdio: if terminal { Stdio::Terminal } else { Stdio::Inherit },
        gate: Gate::Folder(&folder.path),
        no_pivot: args.has("no-pivot"),
        no_new_keyring: args.has("no-new-keyring"),
        preserve_fds: preserved(args)?,
        seccomp: None,
    });
    let mut container = match made {
        Ok(container) => container,
        Err(e) => {
            folder.remove()?;
            return Err(failed(e));
        }
    };
    warn(global, &container);
    let after = after(args, &folder, &mut container, socket.as_deref());
    match after {
        Ok(master) => Ok((folder, container, master)),
        Err(e) => {
            // The first cause is told; a folder that stays is taken away by `delete --force`.
            if container.delete().is_ok() {
                let _ = folder.remove();
            }
            Err(e)
        }
    }
}

/// What others need of a created container: its terminal, its state, its number.
fn after(
    args: &Args,
    folder: &Folder,
    container: &mut Container,
    socket: Option<&Path>,
) -> Result<Option<std::os::fd::OwnedFd>> {
    let mut master = container.take_console();
    if let (Some(socket), Some(fd)) = (socket, master.take_if(|_| socket.is_some())) {
        console::send(socket, &fd)?;
    }
    if let Some(socket) = args.value("pidfd-socket") {
        send_pidfd(Path::new(socket), container)?;
    }
    let mut record = container.record().clone();
    if let Some(program) = container.seccomp_program() {
        folder.save_seccomp(program)?;
        // Hundreds of names that nobody reads again; who is told of notifications stays.
        if let Some(profile) = &mut record.seccomp {
            profile.syscalls.clear();
        }
    }
    folder.save(&Saved { version: VERSION, created: clock::now(), owner: String::new(), record })?;
    if let Some(file) = args.value("pid-file") {
        write_pid_file(Path::new(file), container.pid())?;
    }
    container.keep().context("letting the container's process wait for its start")?;
    Ok(master)
}

fn send_pidfd(socket: &Path, container: &Container) -> Result<()> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let doing = || format!("sending the process's descriptor to {}", socket.display());
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .with_context(doing)?;
    connect(&fd, &SocketAddrUnix::new(socket).with_context(doing)?).with_context(doing)?;
    gantry_sys::fds::send(&fd, b"pidfd", &[container.pidfd()]).with_context(doing)
}

/// Descriptors handed through: the flag's, and those of socket activation.
fn preserved(args: &Args) -> Result<u32> {
    let asked: u32 = args.number("preserve-fds")?.unwrap_or(0);
    let listening: u32 = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(asked + listening)
}

/// runc's words around a start that failed, which clients look for.
fn failed(error: gantry_runtime_lib::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("unable to start container process")
}

fn warn(global: &Global, container: &Container) {
    for warning in container.warnings() {
        log::warn(global, warning);
    }
}
