//! The owner of everything that stands: one [`Networks`] an engine, one file a verb.
//!
//! Every verb goes the same way: decide under the state's lock (pure, no waiting), write the rows, do the deed in the
//! kernel, write the rules, let the names be answered. What fails is undone backwards and the first cause is told.
//! A restart of the engine reads the rows and walks the same steps over what is missing.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_names::{ContainerId, NetworkId};
use gantry_netlink::nft::event::Event;
use gantry_netlink::{Service, Socket};

use crate::claim::Claim;
use crate::config::{Config, Firewall};
use crate::dns::server::Server;
use crate::driver::kernel;
use crate::failure::Error;
use crate::firewall::iptables::Iptables;
use crate::firewall::nftables::Nftables;
use crate::firewall::watch::Watch;
use crate::firewall::{Nobody, Writer};
use crate::prefix::Prefix;
use crate::record::{Change, Endpoint, Network, PublishedPort, Records};
use crate::state::State;

mod connect;
mod create;
mod disconnect;
mod inside;
mod predefined;
mod publish;
mod remove;
mod restore;
mod sandbox;
mod sandbox_files;
mod succeed;

pub use create::Created;
pub use restore::Restored;
pub use sandbox::Sandbox;

/// The owner of all networks, sandboxes and endpoints of one engine.
///
/// Its methods are called from threads in the host's network namespace, and wait for the kernel and the disk.
pub struct Networks {
    shared: Arc<Shared>,
    watch: Mutex<Option<Watch>>,
    host_server: Mutex<Option<Server>>,
    /// What no other engine of this host may keep meanwhile.
    claims: Mutex<Vec<Claim>>,
}

/// What the verbs, the name server and the watching loop share.
pub struct Shared {
    pub(crate) config: Config,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) firewall: Arc<dyn Writer>,
    /// This host's own IPv6 prefix, from which networks without a configured pool are cut.
    pub(crate) site: Prefix,
    link: Mutex<Socket>,
    state: Mutex<State>,
    /// Held while rules are computed and written, so that a whole rewrite and a single change never pass each other.
    rules: Mutex<()>,
    /// Held while a network is made or removed: those are rare and slow, and must not race for names and subnets.
    making: Mutex<()>,
}

impl Networks {
    /// Opens the owner: reads the rows, makes the predefined networks, asserts bridges and rules. After a crash this is
    /// the same; call [`Networks::restore`] next.
    pub fn open(config: Config, records: Arc<dyn Records>) -> Result<Arc<Networks>, Error> {
        let claims = claims(&config)?;
        let link = Socket::open(Service::Route).map_err(kernel("open networks"))?;
        let (firewall, note) = writer(config.firewall)?;
        let shared = Arc::new(Shared {
            site: site_prefix(),
            records,
            firewall,
            link: Mutex::new(link),
            state: Mutex::new(State::default()),
            rules: Mutex::new(()),
            making: Mutex::new(()),
            config,
        });
        let networks = Networks {
            shared,
            watch: Mutex::new(None),
            host_server: Mutex::new(None),
            claims: Mutex::new(claims),
        };
        networks.load()?;
        if let Some(note) = note {
            let shared = Arc::downgrade(&networks.shared);
            let again = move || {
                if let Some(shared) = shared.upgrade() {
                    shared.assert_rules();
                }
            };
            *lock(&networks.watch) = Some(Watch::start(note, again)?);
        }
        if let Some(names) = &networks.shared.config.host_names {
            let directory = Arc::clone(&networks.shared) as Arc<dyn crate::dns::Names>;
            let server =
                Server::on_host(names.listen, &networks.shared.config.runtime, directory, &names.suffix)?;
            *lock(&networks.host_server) = Some(server);
        }
        Ok(Arc::new(networks))
    }

    /// Stops the loops, the name servers and what copies, and lets go of the host's ports. Links, addresses and rules stay for the containers that run on; with
    /// `remove_all` the rules go as well (the engine leaves the host for good).
    pub fn shutdown(&self, remove_all: bool) -> Result<(), Error> {
        *lock(&self.watch) = None;
        *lock(&self.host_server) = None;
        let (facts, holds) = {
            let mut state = self.shared.state();
            for sandbox in state.sandboxes.values_mut() {
                sandbox.server = None;
            }
            let ends = state.endpoints.values_mut();
            let holds: Vec<_> = ends.flat_map(|held| std::mem::take(&mut held.holds)).collect();
            (state.facts(), holds)
        };
        drop(holds);
        let done = if remove_all { self.shared.firewall.withdraw(&facts) } else { Ok(()) };
        lock(&self.claims).clear();
        done
    }

    /// A network by full id, name, or unique prefix of an id.
    pub fn get(&self, name_or_id: &str) -> Result<Network, Error> {
        self.shared.state().find(name_or_id).cloned()
    }

    /// Every network, in the order of creation.
    pub fn list(&self) -> Vec<Network> {
        let mut all: Vec<Network> =
            self.shared.state().networks.values().map(|held| held.record.clone()).collect();
        all.sort_by_key(|network| network.created_ns);
        all
    }

    /// What `--network default` means.
    pub fn default_network(&self) -> &'static str {
        if self.shared.config.default_bridge.enabled { "bridge" } else { "none" }
    }

    /// The endpoints of a network.
    pub fn endpoints(&self, network: &NetworkId) -> Vec<Endpoint> {
        self.shared.state().on(network).map(|held| held.record.clone()).collect()
    }

    /// The endpoints of a container; the one that carries the default route comes first.
    pub fn endpoints_of(&self, container: &ContainerId) -> Vec<Endpoint> {
        let state = self.shared.state();
        let gateway = state.gateway(container).map(|endpoint| endpoint.id.clone());
        let mut all: Vec<Endpoint> = state.of(container).map(|held| held.record.clone()).collect();
        all.sort_by_key(|endpoint| (Some(&endpoint.id) != gateway.as_ref(), endpoint.interface.clone()));
        all
    }

    /// The published ports of a container.
    pub fn ports_of(&self, container: &ContainerId) -> Vec<PublishedPort> {
        self.shared.state().of(container).flat_map(|held| held.record.ports.clone()).collect()
    }
}

fn claims(config: &Config) -> Result<Vec<Claim>, Error> {
    let bridge = &config.default_bridge;
    let rules = (config.firewall != Firewall::None).then(|| "the packet rules".to_owned());
    let own = bridge.enabled.then(|| format!("the bridge {}", bridge.name));
    let taken: Result<Vec<_>, Error> = rules.into_iter().chain(own).map(|what| Claim::take(&what)).collect();
    Ok(taken?.into_iter().flatten().collect())
}

/// What says of a change in the host's rules whether it concerns us.
type Note = Box<dyn Fn(&Event) -> bool + Send>;

fn writer(firewall: Firewall) -> Result<(Arc<dyn Writer>, Option<Note>), Error> {
    Ok(match firewall {
        Firewall::Nftables => {
            let writer = Nftables::open()?;
            let heard = Arc::clone(&writer);
            (writer, Some(Box::new(move |event| heard.note(event))))
        }
        Firewall::Iptables => {
            let writer = Iptables::open()?;
            let heard = Arc::clone(&writer);
            (writer, Some(Box::new(move |event| heard.note(event))))
        }
        Firewall::None => (Arc::new(Nobody), None),
    })
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The host's routing socket.
    pub(crate) fn link(&self) -> MutexGuard<'_, Socket> {
        lock(&self.link)
    }

    pub(crate) fn making(&self) -> MutexGuard<'_, ()> {
        lock(&self.making)
    }

    /// Changes the rules: `mark` updates what stands in the state, `change` writes it. A change that fails because
    /// somebody meddled is repaired by writing everything.
    pub(crate) fn change_rules<T>(
        &self,
        mark: impl FnOnce(&mut State) -> T,
        change: impl FnOnce(&dyn Writer, &T) -> Result<(), Error>,
    ) -> Result<T, Error> {
        let _order = lock(&self.rules);
        let marked = mark(&mut self.state());
        if let Err(error) = change(self.firewall.as_ref(), &marked) {
            tracing::warn!(%error, "rules are not as they were left; writing all of them");
            let facts = self.state().facts();
            self.firewall.assert(&facts)?;
        }
        Ok(marked)
    }

    /// Writes all rules, whatever stands. Failures are told; the next change tries again.
    pub(crate) fn assert_rules(&self) {
        let _order = lock(&self.rules);
        let facts = self.state().facts();
        if let Err(error) = self.firewall.assert(&facts) {
            tracing::error!(%error, "cannot write the packet rules");
        }
    }

    pub(crate) fn write(&self, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() { Ok(()) } else { Ok(self.records.write(changes)?) }
    }

    /// Where a sandbox's namespace is mounted.
    pub(crate) fn namespace_path(&self, container: &ContainerId) -> PathBuf {
        self.config.exec_root.join("netns").join(container.short())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in another thread leaves nothing half-written behind these locks: each holds whole values.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A unique local prefix (RFC 4193) that stays the same on this machine.
fn site_prefix() -> Prefix {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let digest = gantry_names::Digest::sha256_of(&[b"gantry networks ".as_slice(), &machine].concat());
    let bytes: Vec<u8> = digest.hex().as_bytes().iter().take(10).copied().collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let site = format!("fd{}:{}:{}::/48", &text[0..2], &text[2..6], &text[6..10]);
    site.parse().expect("hexadecimal digits make an address")
}

/// Unix time in nanoseconds.
fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
