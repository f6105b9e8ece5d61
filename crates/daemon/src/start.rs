//! The life of the engine, from top to bottom.

use crate::config::{Config, Loaded};
use crate::notify::notify;
use crate::options::flags::Flags;
use crate::pidfile::PidFile;
use crate::reload::Reloader;
use crate::signals::{Signals, Told};
use crate::{build, log, reload};
use anyhow::{Context, Result};
use gantry_engine::Engine;
use gantry_server::{App, ListenOptions, Listener, TlsFiles};
use gantry_store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The oldest version of the API that clients may speak, under Docker's name.
const OLDEST_API: &str = "DOCKER_MIN_API_VERSION";

/// How long requests under way may still take once the engine has stopped its containers.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What was read before anything was touched.
pub(crate) struct Boot {
    pub(crate) flags: Flags,
    pub(crate) drop_in: bool,
    pub(crate) loaded: Loaded,
}

/// Runs the engine in a runtime of its own.
pub(crate) fn start(boot: Boot) -> Result<()> {
    let level = log::start(&boot.loaded.config);
    // A shim lives longer than we: a socket of systemd's that it inherited would be listened on by nobody for ever.
    gantry_sys::fds::cloexec_from(3).context("keeping inherited descriptors to ourselves")?;
    // As Docker's: a stricter one would hide volumes and `/etc/resolv.conf` from a container's users. What is ours alone is made
    // private by name.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    if !rustix::process::geteuid().is_root() {
        anyhow::bail!("the engine needs to be started with root privileges");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let outcome = runtime.block_on(live(boot, level, raise_descriptors()));
    // Blocking reads of clients that never end must not keep a stopped engine alive.
    runtime.shutdown_timeout(LAST_ANSWERS);
    let Ended { store, pidfile } = outcome?;
    // A copy that cannot be made is one that the next start does without.
    if let Err(error) = store.close() {
        tracing::warn!(%error, "no copy of the store is kept");
    }
    drop(pidfile);
    Ok(())
}

/// What outlives the requests: closed and given back when nothing runs any more.
struct Ended {
    store: Store,
    pidfile: Option<PidFile>,
}

/// Takes all the descriptors that the hard limit allows; gives the soft limit that there was, for the containers.
fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if let Err(err) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%err, "the soft limit of descriptors stays");
    }
    limit.current
}

async fn live(boot: Boot, level: log::LogLevel, soft_descriptors: Option<u64>) -> Result<Ended> {
    let config = &boot.loaded.config;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting up");
    for sentence in &boot.loaded.told {
        tracing::warn!("{sentence}");
    }
    let mut signals = Signals::listen().context("listening to signals")?;
    private_dir(&config.data_root, 0o710)?;
    private_dir(&config.exec_root, 0o700)?;
    // Docker's modes. The data root keeps everybody out; these do so where somebody opens it up (CVE-2021-41103).
    for (name, mode) in [
        ("containers", 0o710),
        ("content", 0o700),
        ("snapshots", 0o710),
        ("volumes", 0o701),
        ("build", 0o710),
        ("events", 0o700),
    ] {
        private_dir(&config.data_root.join(name), mode)?;
    }
    let pidfile = if config.pidfile.as_os_str().is_empty() {
        None
    } else {
        let hint = format!(
            "failed to start daemon, ensure it is not running or delete {}",
            config.pidfile.display()
        );
        Some(PidFile::write(&config.pidfile).context(hint)?)
    };
    let oldest = gantry_server::oldest_version(std::env::var(OLDEST_API).ok().as_deref());
    let oldest = oldest.with_context(|| format!("invalid {OLDEST_API}"))?;
    let listeners = listeners(config).await.context("failed to load listeners")?;

    let store = build::store(config)?;
    let (engine, builder) = build::engine(config, &store, soft_descriptors)?;
    engine.restore().await.context("restoring containers")?;
    let app = Arc::new(App::new(engine.clone(), builder).experimental(config.experimental).oldest(oldest));
    let reloader = Reloader::new(&boot, level, engine.clone());

    let drain = CancellationToken::new();
    let serving = tokio::spawn(gantry_server::serve(app.clone(), listeners, drain.clone()));
    notify("READY=1");
    tracing::info!("Daemon has completed initialization");

    loop {
        match signals.next().await {
            Told::Stop => break,
            Told::Reload => reload::reload(&reloader),
            Told::Dump => dump(&engine).await,
        }
    }

    notify("STOPPING=1");
    tracing::info!("Processing signal: shutting down");
    drain.cancel();
    let ending = async {
        engine.shutdown().await;
        app.end_streams();
        if tokio::time::timeout(LAST_ANSWERS, serving).await.is_err() {
            tracing::warn!("some requests are still under way; their clients are cut off");
        }
    };
    // A second signal means: now.
    tokio::select! {
        () = ending => {}
        told = signals.next() => tracing::warn!(?told, "not waiting any longer"),
    }
    tracing::info!("Daemon shutdown complete");
    Ok(Ended { store, pidfile })
}

/// Opens every address. All or none: an engine that listens on half of its sockets helps nobody.
async fn listeners(config: &Config) -> Result<Vec<Listener>> {
    let tls = if config.uses_tls() { Some(tls_files(config)?.load()?) } else { None };
    let options = ListenOptions { group: config.group.clone(), tls };
    let mut listeners = Vec::new();
    for address in config.addresses()? {
        if matches!(address, gantry_server::Address::Tcp(_)) && options.tls.is_none() {
            tracing::warn!(%address, "anybody who can reach this port is root on this machine: use --tlsverify");
        }
        listeners.extend(Listener::open(&address, &options).await?);
    }
    Ok(listeners)
}

/// Where the certificates are: as told, else in `DOCKER_CERT_PATH`, else in `~/.docker`.
fn tls_files(config: &Config) -> Result<TlsFiles> {
    let folder = std::env::var_os("DOCKER_CERT_PATH").map(Into::into).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
        Path::new(&home).join(".docker")
    });
    let file =
        |told: &Option<std::path::PathBuf>, name: &str| told.clone().unwrap_or_else(|| folder.join(name));
    let verify = config.tlsverify.unwrap_or(false);
    if config.tlsverify == Some(false) && config.tls == Some(false) {
        anyhow::bail!("TLS is switched off");
    }
    Ok(TlsFiles {
        cert: file(&config.tlscert, "cert.pem"),
        key: file(&config.tlskey, "key.pem"),
        client_ca: verify.then(|| file(&config.tlscacert, "ca.pem")),
    })
}

/// Makes a folder for the engine alone (and, with 710, for processes that know a path inside).
fn private_dir(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("making {}", path.display()))
}

/// SIGUSR1: how things stand, in the log.
async fn dump(engine: &Engine) {
    let metrics = tokio::runtime::Handle::current().metrics();
    let (tasks, workers) = (metrics.num_alive_tasks(), metrics.num_workers());
    match engine.info().await {
        Ok(info) => tracing::info!(
            containers = info.containers,
            running = info.running,
            images = info.images,
            listeners = info.events_listeners,
            tasks,
            workers,
            "state of the engine"
        ),
        Err(err) => tracing::error!(%err, tasks, workers, "state of the engine"),
    }
}
