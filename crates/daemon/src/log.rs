//! The engine's own log, on standard error: text for people, JSON for machines, a level that can change.

use crate::config::Config;
use std::io::IsTerminal;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Changes the level while running.
#[derive(Clone)]
pub(crate) struct LogLevel(reload::Handle<LevelFilter, Registry>);

impl LogLevel {
    /// Sets the level that this configuration asks for.
    pub(crate) fn set(&self, config: &Config) {
        if let Err(err) = self.0.reload(level(config)) {
            tracing::warn!(%err, "changing the log level");
        }
    }
}

/// `--debug` wins over `--log-level`.
fn level(config: &Config) -> LevelFilter {
    if config.debug {
        return LevelFilter::DEBUG;
    }
    match config.log_level.to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" | "panic" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// Starts logging. A second start in one process (tests) keeps the first.
pub(crate) fn start(config: &Config) -> LogLevel {
    let (filter, handle) = reload::Layer::new(level(config));
    let layer = if config.log_format == "json" {
        fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
    } else {
        let colours = std::io::stderr().is_terminal() && !config.raw_logs;
        fmt::layer().with_ansi(colours).with_target(false).with_writer(std::io::stderr).boxed()
    };
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_err() {
        tracing::debug!("logging was started before");
    }
    LogLevel(handle)
}
