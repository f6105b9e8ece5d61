//! From the configuration to a living engine: which folder, which driver, which limits.

use crate::config::{Config, Pool};
use crate::steps::Steps;
use anyhow::{Context, Result, anyhow};
use gantry_build::Builder;
use gantry_content::ContentStore;
use gantry_engine::spec::{IpcMode, LogConfig, Ulimit};
use gantry_engine::{Engine, EngineConfig, ForeignRuntime, InfoFacts, Networking, Transfers};
use gantry_errdefs::{Class, Classified};
use gantry_images::ImageStore;
use gantry_network::{AddressPool, DefaultBridge, DnsSpec, Firewall, HostNames, Prefix};
use gantry_snapshots::Snapshotter;
use gantry_store::Store;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Docker's bridge, and ours.
const BRIDGES: [&str; 2] = ["docker0", "gantry0"];

/// Opens the records of everything.
pub(crate) fn store(config: &Config) -> Result<Store> {
    let path = config.data_root.join("store.db");
    let store = Store::open(&path).map_err(|err| match err.class() {
        Class::Conflict => anyhow!("another engine runs on the data root {}", config.data_root.display()),
        _ => anyhow::Error::new(err).context("opening the store"),
    })?;
    if store.is_restored() {
        tracing::error!(
            store = %path.display(),
            "the store was damaged while the engine was down; its copy of that time stands in, nothing is lost. The damaged file is kept \
             beside it as store.db.damaged: look after the disk"
        );
    }
    Ok(store)
}

/// The driver that was asked for; where none was, the best there is.
fn snapshots(config: &Config, root: &Path) -> gantry_snapshots::Result<Arc<dyn Snapshotter>> {
    if !config.storage_driver.is_empty() {
        return gantry_snapshots::open(&config.storage_driver, root);
    }
    let (driver, why) = gantry_snapshots::best(root)?;
    if let Some(why) = why {
        tracing::warn!(%why, "no overlays: every container is a whole copy of its image");
    }
    Ok(driver)
}

/// Opens everything else below the two roots. Nothing runs yet.
pub(crate) fn engine(
    config: &Config,
    store: &Store,
    soft_descriptors: Option<u64>,
) -> Result<(Engine, Builder)> {
    let root = &config.data_root;
    let content = ContentStore::open(&root.join("content")).context("opening the content store")?;
    let snapshots = snapshots(config, &root.join("snapshots")).context("opening the storage driver")?;
    let images = ImageStore::open(store.clone(), content, snapshots).context("opening the image store")?;
    let networking =
        Networking::open(network_config(config)?, store.clone()).context("opening the networks")?;
    let settings = EngineConfig { soft_descriptors, ..engine_config(config)? };
    let engine = Engine::open(settings, store.clone(), images.clone(), networking)?;
    let outside = Arc::new(Steps(engine.clone()));
    let mut builder =
        Builder::open(images, store, outside, root.join("build")).context("opening the build cache")?;
    builder.gc = crate::gc::read(&config.builder).map_err(|text| anyhow!("builder: {text}"))?;
    Ok((engine, builder))
}

/// The engine's own settings.
pub(crate) fn engine_config(config: &Config) -> Result<EngineConfig> {
    let shim = gantry_engine::find_shim().ok_or_else(|| {
        anyhow!(
            "gantry-shim is not there: it belongs beside this program, on the PATH, or where GANTRY_SHIM says"
        )
    })?;
    let mut engine = EngineConfig::new(config.data_root.clone(), config.exec_root.clone(), shim);
    for (name, runtime) in &config.runtimes {
        let program = runtime.program().map_err(|why| anyhow!("runtime {name}: {why}"))?;
        let foreign = ForeignRuntime { path: program.into(), args: runtime.runtime_args.clone() };
        engine.runtimes.insert(name.clone(), foreign);
    }
    match config.default_runtime.as_str() {
        "" => {}
        // Docker's word for the runtime that comes with the engine is as good as ours.
        name if engine.runs_itself(name) || config.runtimes.contains_key(name) => {
            engine.default_runtime = name.to_owned();
        }
        name => return Err(anyhow!("specified default runtime '{name}' does not exist")),
    }
    if !config.cgroup_parent.is_empty() {
        engine.cgroup_parent = config.cgroup_parent.clone();
    }
    engine.init = config.init;
    engine.log = LogConfig { driver: config.log_driver.clone(), options: config.log_opts.clone() };
    engine.default_ulimits = config
        .default_ulimits
        .iter()
        .map(|(name, limit)| Ulimit { name: name.clone(), soft: limit.soft, hard: limit.hard })
        .collect();
    engine.default_shm_size = config.default_shm_size.0;
    if let Some(mode) =
        IpcMode::parse(&config.default_ipc_mode).filter(|_| !config.default_ipc_mode.is_empty())
    {
        engine.default_ipc_mode = mode;
    }
    engine.seccomp_profile = match config.seccomp_profile.as_str() {
        "" | "builtin" => None,
        "unconfined" => Some("unconfined".into()),
        path => Some(
            fs::read_to_string(path).with_context(|| format!("opening seccomp profile ({path}) failed"))?,
        ),
    };
    engine.no_new_privileges = config.no_new_privileges;
    engine.selinux = config.selinux_enabled;
    engine.live_restore = config.live_restore;
    engine.shutdown_timeout = patience(config);
    engine.labels = config.labels.clone();
    engine.transfers = Transfers {
        downloads: config.max_concurrent_downloads as usize,
        uploads: config.max_concurrent_uploads as usize,
        attempts: config.max_download_attempts,
        certificates: vec![config.folder.join("certs.d")],
    };
    engine.facts = facts(config);
    Ok(engine)
}

/// How long containers may take to stop; a negative number of seconds is for ever.
pub(crate) fn patience(config: &Config) -> Duration {
    u64::try_from(config.shutdown_timeout).map_or(Duration::MAX, Duration::from_secs)
}

/// What only `info` shows.
pub(crate) fn facts(config: &Config) -> InfoFacts {
    InfoFacts {
        debug: config.debug,
        experimental: config.experimental,
        insecure_registries: config.insecure_registries.clone(),
        // As Docker shows them: with a slash at the end.
        mirrors: config
            .registry_mirrors
            .iter()
            .map(|url| format!("{}/", url.trim_end_matches('/')))
            .collect(),
        address_pools: config
            .default_address_pools
            .iter()
            .map(|pool| (pool.base.clone(), pool.size))
            .collect(),
        firewall: match config.firewall_backend.as_str() {
            "" => "nftables".into(),
            backend => backend.into(),
        },
        http_proxy: or_environment(&config.http_proxy, "HTTP_PROXY"),
        https_proxy: or_environment(&config.https_proxy, "HTTPS_PROXY"),
        no_proxy: or_environment(&config.no_proxy, "NO_PROXY"),
    }
}

/// What the settings leave open is the environment's; capital and small names both count.
fn or_environment(told: &str, name: &str) -> String {
    let look = || [name.to_owned(), name.to_lowercase()].iter().find_map(|name| std::env::var(name).ok());
    if told.is_empty() { look().unwrap_or_default() } else { told.to_owned() }
}

/// The networks' settings. Must run inside of the runtime that will serve names.
pub(crate) fn network_config(config: &Config) -> Result<gantry_network::Config> {
    let runtime = tokio::runtime::Handle::current();
    let mut network = gantry_network::Config::new(config.exec_root.clone(), runtime);
    network.default_bridge = bridge(config)?;
    network.default_address_pools =
        config.default_address_pools.iter().map(address_pool).collect::<Result<_>>()?;
    network.firewall = match config.firewall_backend.as_str() {
        _ if !config.iptables => Firewall::None,
        "iptables" => Firewall::Iptables,
        _ => Firewall::Nftables,
    };
    network.ip_forward = config.ip_forward;
    network.userland_proxy = config.userland_proxy;
    network.host_names = host_names(config)?;
    network.dns = DnsSpec {
        servers: config.dns.clone(),
        search: config.dns_search.clone(),
        options: config.dns_opts.clone(),
    };
    network.host_gateway = config.host_gateway_ips.clone();
    Ok(network)
}

/// A name server of the host's for containers' names, when one is asked for.
fn host_names(config: &Config) -> Result<Option<HostNames>> {
    let text = config.host_dns.as_str();
    if text.is_empty() {
        return Ok(None);
    }
    let listen = match text.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, 53),
        Err(_) => text.parse().map_err(|_| anyhow!("invalid address for --host-dns: {text}"))?,
    };
    let suffix = config.host_dns_suffix.trim_matches('.').to_ascii_lowercase();
    let good = |label: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..64).contains(&label.len()) && label.bytes().all(known)
    };
    if !suffix.split('.').all(good) {
        return Err(anyhow!("invalid domain for --host-dns-suffix: {:?}", config.host_dns_suffix));
    }
    Ok(Some(HostNames { listen, suffix }))
}

fn bridge(config: &Config) -> Result<DefaultBridge> {
    let own = BRIDGES[usize::from(!config.drop_in)];
    let (enabled, name, external) = match config.bridge.as_str() {
        "" => (true, own, false),
        "none" => (false, own, false),
        name => (true, name, !BRIDGES.contains(&name)),
    };
    Ok(DefaultBridge {
        enabled,
        name: name.to_owned(),
        external,
        bip: prefix("bip", &config.bip)?,
        bip6: prefix("bip6", &config.bip6)?,
        fixed_cidr: prefix("fixed-cidr", &config.fixed_cidr)?,
        fixed_cidr_v6: prefix("fixed-cidr-v6", &config.fixed_cidr_v6)?,
        default_gateway: config.default_gateway,
        default_gateway_v6: config.default_gateway_v6,
        mtu: config.mtu,
        host_ip: config.ip.filter(|ip| !ip.is_unspecified()),
        masquerade: config.ip_masq,
        icc: config.icc,
        ipv6: config.ipv6,
    })
}

fn address_pool(pool: &Pool) -> Result<AddressPool> {
    let base =
        prefix("default-address-pool", &pool.base)?.unwrap_or_else(|| Prefix::host([0, 0, 0, 0].into()));
    if pool.size < base.length() {
        return Err(anyhow!(
            "default-address-pool: size {} is larger than its base {}",
            pool.size,
            pool.base
        ));
    }
    Ok(AddressPool { base, size: pool.size })
}

fn prefix(flag: &str, text: &str) -> Result<Option<Prefix>> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| anyhow!("invalid CIDR address for --{flag}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_are_ours_dockers_or_the_hosts() {
        let named = |config: Config| {
            let bridge = bridge(&config).unwrap();
            (bridge.enabled, bridge.name, bridge.external)
        };
        assert_eq!(named(Config::default()), (true, "gantry0".into(), false));
        assert_eq!(named(Config { drop_in: true, ..Config::default() }), (true, "docker0".into(), false));
        assert_eq!(named(Config { bridge: "br0".into(), ..Config::default() }), (true, "br0".into(), true));
        assert!(!named(Config { bridge: "none".into(), ..Config::default() }).0);
        let bad = bridge(&Config { bip: "nonsense".into(), ..Config::default() }).unwrap_err();
        assert_eq!(bad.to_string(), "invalid CIDR address for --bip: nonsense");
    }

    #[test]
    fn names_on_the_host_have_an_address_and_a_suffix() {
        let names = |dns: &str, suffix: &str| {
            host_names(&Config { host_dns: dns.into(), host_dns_suffix: suffix.into(), ..Config::default() })
        };
        assert_eq!(names("", "gantry").unwrap(), None);
        let listen = names("172.17.0.1", ".Docker").unwrap().unwrap();
        assert_eq!((listen.listen.to_string().as_str(), listen.suffix.as_str()), ("172.17.0.1:53", "docker"));
        assert_eq!(names("[::1]:5353", "a.b").unwrap().unwrap().listen.port(), 5353);
        assert!(names("53", "gantry").unwrap_err().to_string().contains("--host-dns: 53"));
        assert!(names("127.0.0.1", "").unwrap_err().to_string().contains("--host-dns-suffix"));
    }

    #[test]
    fn a_pool_is_larger_than_its_pieces() {
        assert!(address_pool(&Pool { base: "10.0.0.0/8".into(), size: 24 }).is_ok());
        assert!(address_pool(&Pool { base: "10.0.0.0/24".into(), size: 16 }).is_err());
    }

    #[test]
    fn negative_patience_has_no_end() {
        assert_eq!(patience(&Config::default()), Duration::from_secs(15));
        assert_eq!(patience(&Config { shutdown_timeout: -1, ..Config::default() }), Duration::MAX);
    }
}
