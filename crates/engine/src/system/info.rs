//! `info`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_images::ListOptions;
use gantry_names::ContainerId;
use gantry_store::Table;

use crate::bundle::apparmor::AppArmor;
use crate::config::{DOCKERS_NAMES, OWN_RUNTIME};
use crate::engine::{Engine, blocking};
use crate::error::Result;
use crate::limits::Limits;
use crate::record::State;

const IDENTITY: Table<String, ContainerId> = Table::new("engine.identity");

/// What `info` shows that the server does not know by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is one of Docker's /info, under its own name")]
pub struct Info {
    pub id: String,
    pub containers: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
    pub images: usize,
    pub driver: String,
    pub driver_status: Vec<[String; 2]>,
    pub cgroup_version: String,
    pub log_drivers: Vec<String>,
    pub logging_driver: String,
    pub events_listeners: usize,
    pub root_dir: PathBuf,
    pub labels: Vec<String>,
    pub runtimes: BTreeMap<String, PathBuf>,
    pub default_runtime: String,
    pub live_restore: bool,
    pub security_options: Vec<String>,
    pub warnings: Vec<String>,
    pub debug: bool,
    pub init_binary: String,
    pub limits: Limits,
    pub network_drivers: Vec<String>,
    pub firewall: String,
    pub insecure_registries: Vec<String>,
    pub mirrors: Vec<String>,
    pub address_pools: Vec<(String, u8)>,
    pub http_proxy: String,
    pub https_proxy: String,
    pub no_proxy: String,
    pub experimental: bool,
}

impl Engine {
    /// The engine's view of itself and its host.
    pub async fn info(&self) -> Result<Info> {
        let engine = self.clone();
        blocking(move || engine.info_blocking()).await
    }

    fn info_blocking(&self) -> Result<Info> {
        let config = self.config();
        let mut info = Info {
            id: self.identity()?,
            images: self.inner.images.list(&ListOptions { all: true, ..ListOptions::default() })?.len(),
            driver: self.inner.images.snapshots().driver().to_owned(),
            driver_status: self
                .inner
                .images
                .snapshots()
                .status()
                .into_iter()
                .map(|(key, value)| [key, value])
                .collect(),
            cgroup_version: if self.inner.host.cgroup_v2 { "2" } else { "1" }.to_owned(),
            log_drivers: ["json-file", "local", "none"].map(str::to_owned).to_vec(),
            logging_driver: config.log.driver.clone(),
            events_listeners: self.inner.events.followers(),
            root_dir: config.data_root.clone(),
            labels: config.labels.clone(),
            default_runtime: config.default_runtime.clone(),
            live_restore: config.live_restore,
            warnings: self.inner.damaged.clone(),
            debug: config.facts.debug,
            init_binary: "docker-init".to_owned(),
            network_drivers: ["bridge", "host", "ipvlan", "macvlan", "null"].map(str::to_owned).to_vec(),
            firewall: config.facts.firewall.clone(),
            insecure_registries: config.facts.insecure_registries.clone(),
            mirrors: config.facts.mirrors.clone(),
            address_pools: config.facts.address_pools.clone(),
            http_proxy: without_login(&config.facts.http_proxy),
            https_proxy: without_login(&config.facts.https_proxy),
            no_proxy: config.facts.no_proxy.clone(),
            experimental: config.facts.experimental,
            limits: self.inner.host.limits,
            ..Info::default()
        };
        info.runtimes.extend(
            [OWN_RUNTIME].iter().chain(DOCKERS_NAMES).map(|name| ((*name).to_owned(), config.shim.clone())),
        );
        info.runtimes
            .extend(config.runtimes.iter().map(|(name, runtime)| (name.clone(), runtime.path.clone())));
        for container in self.registry().all() {
            info.containers += 1;
            match container.record().state {
                State::Running(_) | State::Restarting { .. } => info.running += 1,
                State::Paused(_) => info.paused += 1,
                _ => info.stopped += 1,
            }
        }
        info.security_options.push("name=seccomp,profile=builtin".to_owned());
        let apparmor = &self.inner.host.apparmor;
        if *apparmor != AppArmor::Off && !apparmor.has_default() {
            info.warnings.push(
                "WARNING: AppArmor has no default profile: apparmor_parser is not installed".to_owned(),
            );
        }
        if *apparmor != AppArmor::Off {
            info.security_options.insert(0, "name=apparmor".to_owned());
        }
        if self.inner.host.selinux.is_on() {
            info.security_options.push("name=selinux".to_owned());
        }
        if let Some(why) = &self.inner.host.no_selinux {
            info.warnings.push(format!("WARNING: {why}"));
        }
        if self.inner.host.cgroup_v2 {
            info.security_options.push("name=cgroupns".to_owned());
        }
        if !info.limits.swap {
            info.warnings.push("WARNING: No swap limit support".to_owned());
        }
        Ok(info)
    }

    /// Drawn once, kept for the life of the data folder.
    pub(crate) fn identity(&self) -> Result<String> {
        let key = "id".to_owned();
        if let Some(id) = self.inner.store.read(|tx| tx.get(IDENTITY, &key))? {
            return Ok(id.to_string());
        }
        let id = ContainerId::random();
        self.inner.store.write(|tx| tx.put(IDENTITY, &key, &id))?;
        Ok(id.to_string())
    }
}

/// A URL without what logs in there, as Docker shows it.
pub fn without_login(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => url.to_owned(),
    }
}
