//! From a command line to a running registry.

mod assemble;
mod collect;
mod control;
mod storage;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError};
use crate::store::collect::Report;

/// Requests under way get so long at the end.
const DRAIN: Duration = Duration::from_secs(30);

/// `gantry registry ...`.
#[derive(Debug, Parser)]
#[command(name = "registry", about = "Run an image registry")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve images over HTTP
    Serve(Serve),
    /// Remove what no image names any more; a running registry does it itself, without pause
    GarbageCollect(Collect),
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file (config.yml); REGISTRY_* variables override it
    config: Option<PathBuf>,
    /// Listen here instead [default: :5000]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
    /// Keep images here instead [default: /var/lib/registry]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Certificate key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Users (htpasswd -B)
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// With users: reading needs no login
    #[arg(long)]
    anonymous_pull: bool,
    /// Cache the images of this registry instead of taking pushes
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
}

#[derive(Debug, Args)]
struct Collect {
    /// The configuration file
    config: Option<PathBuf>,
    /// The directory instead of the configuration's
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Only tell what would go
    #[arg(short, long)]
    dry_run: bool,
    /// Manifests without a tag go too
    #[arg(short = 'm', long)]
    delete_untagged: bool,
    /// What is younger stays
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    grace: String,
}

/// Why the registry does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings are of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another registry has this storage.
    #[error("{0} is in use by another registry")]
    InUse(PathBuf),
    /// A file or a socket failed.
    #[error("{what}: {cause}")]
    Io {
        /// Which.
        what: String,
        /// How.
        cause: io::Error,
    },
    /// Certificates.
    #[error("tls: {0}")]
    Tls(String),
}

impl RunError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |cause| Self::Io { what: what.into(), cause }
    }
}

/// Runs what the command line says, until it is done or a signal ends it.
pub fn run(arguments: Arguments) -> Result<(), RunError> {
    match arguments.command {
        Command::Serve(serve) => {
            let config = serve.configured()?;
            log(&config);
            runtime()?.block_on(async {
                let running = start(config).await?;
                tracing::info!(address = %running.address(), "listening");
                terminated().await.map_err(RunError::io("signals"))?;
                running.stop().await;
                Ok(())
            })
        }
        Command::GarbageCollect(collect) => {
            let report = runtime()?.block_on(collect::run(collect))?;
            tell(&report);
            Ok(())
        }
    }
}

fn tell(report: &Report) {
    println!(
        "{} manifests and {} blob links removed, {} blobs deleted, {} bytes freed",
        report.manifests, report.links, report.blobs, report.bytes
    );
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::io("start threads"))
}

async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// Logs to stderr as the configuration says. A program that logs already keeps its own way.
fn log(config: &Config) {
    use tracing_subscriber::EnvFilter;
    let known = |level: &&str| ["error", "warn", "info", "debug"].contains(level);
    let level = config.log.level.as_deref().filter(known).unwrap_or("info");
    let filter = EnvFilter::try_new(level).unwrap_or_default();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    let set = match config.log.formatter.as_deref() {
        Some("json" | "logstash") => builder.json().flatten_event(true).try_init(),
        _ => builder.try_init(),
    };
    if set.is_err() {
        tracing::debug!("the log is set up already");
    }
}

impl Serve {
    /// The configuration with the command line on top.
    fn configured(self) -> Result<Config, RunError> {
        use serde_json::json;
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(addr) = self.addr {
            config.http.addr = Some(crate::config::units::Text(addr));
        }
        if let Some(root) = self.root {
            config.storage = json!({"filesystem": {"rootdirectory": root}});
        }
        if let (Some(certificate), Some(key)) = (self.tls_cert, self.tls_key) {
            (config.http.tls.certificate, config.http.tls.key) = (Some(certificate), Some(key));
        }
        if let Some(path) = self.htpasswd {
            config.auth.htpasswd = Some(crate::config::Htpasswd { realm: None, path });
        }
        config.gantry.anonymouspull |= self.anonymous_pull;
        if let Some(remoteurl) = self.proxy {
            config.proxy =
                Some(crate::config::Proxy { remoteurl, username: None, password: None, ttl: None });
        }
        Ok(config)
    }
}

/// A registry that serves.
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Held until the end: nobody else may write to the storage.
    _lock: Option<std::fs::File>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends in order: no new connection, requests under way finish.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Starts a registry; it runs until it is stopped or dropped.
pub async fn start(config: Config) -> Result<Running, RunError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let assembled = assemble::assemble(config).await?;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let address = assembled.listen.listener.local_addr().map_err(RunError::io("listen"))?;
    let server = Arc::clone(&assembled.listen.server);
    for listen in std::iter::once(assembled.listen).chain(assembled.operators) {
        tasks.spawn(listen.run(stopped.clone(), assembled.drain));
    }
    tasks.spawn(collect::drive(Arc::clone(&server), assembled.upkeep, stopped.clone()));
    if let Some(control) = assembled.control {
        tasks.spawn(control::serve(control, server, stopped));
    }
    Ok(Running { address, stop, tasks, _lock: assembled.lock })
}
