//! SIGHUP: the configuration is read again, and what can change while running is changed.
//!
//! Docker's list: labels, debug, live-restore, shutdown-timeout, max-concurrent-*, max-download-attempts,
//! insecure registries, mirrors, runtimes, default runtime. Only settings that the file names change; flags stay.

use crate::build;
use crate::config::{self, Config};
use crate::log::LogLevel;
use crate::options::flags::Flags;
use crate::start::Boot;
use gantry_engine::Engine;
use std::sync::{Arc, Mutex, PoisonError};

/// What a reload needs to know.
pub(crate) struct Reloader {
    flags: Flags,
    drop_in: bool,
    level: LogLevel,
    engine: Engine,
    current: Mutex<Arc<Config>>,
}

impl Reloader {
    pub(crate) fn new(boot: &Boot, level: LogLevel, engine: Engine) -> Reloader {
        Reloader {
            flags: boot.flags.clone(),
            drop_in: boot.drop_in,
            level,
            engine,
            current: Mutex::new(Arc::new(boot.loaded.config.clone())),
        }
    }

    /// The configuration in force.
    pub(crate) fn current(&self) -> Arc<Config> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the configuration again. A bad one changes nothing and is told.
pub(crate) fn reload(reloader: &Reloader) {
    let loaded = match config::load(&reloader.flags, reloader.drop_in) {
        Ok(loaded) => loaded,
        Err(err) => return tracing::error!(%err, "reloading the configuration: nothing is changed"),
    };
    let merged = Arc::new(merge(&reloader.current(), &loaded.config));
    match build::engine_config(&merged) {
        Ok(config) => reloader.engine.reconfigure(config),
        Err(err) => return tracing::error!("reloading the configuration: nothing is changed: {err:#}"),
    }
    reloader.level.set(&merged);
    *reloader.current.lock().unwrap_or_else(PoisonError::into_inner) = merged;
    tracing::info!("Reloaded configuration");
}

/// The running configuration with what may change taken from the new one.
fn merge(running: &Config, new: &Config) -> Config {
    let new = new.clone();
    Config {
        debug: new.debug,
        log_level: new.log_level,
        labels: new.labels,
        live_restore: new.live_restore,
        shutdown_timeout: new.shutdown_timeout,
        max_concurrent_downloads: new.max_concurrent_downloads,
        max_concurrent_uploads: new.max_concurrent_uploads,
        max_download_attempts: new.max_download_attempts,
        insecure_registries: new.insecure_registries,
        registry_mirrors: new.registry_mirrors,
        runtimes: new.runtimes,
        default_runtime: new.default_runtime,
        ..running.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_docker_reloads_changes() {
        let running = Config::default();
        let new = Config {
            labels: vec!["a=b".into()],
            debug: true,
            live_restore: true,
            data_root: "/elsewhere".into(),
            icc: false,
            ..Config::default()
        };
        let merged = merge(&running, &new);
        assert!(merged.debug && merged.live_restore && merged.labels == ["a=b"]);
        assert_eq!(merged.data_root, running.data_root);
        assert!(merged.icc);
    }
}
