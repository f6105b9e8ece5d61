//! The default writer: the table `inet gantry`, by netlink.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_netlink::nft::listing::ListedRule;
use gantry_netlink::nft::{Batch, event::Event};
use gantry_netlink::{Service, Socket};
use rustix::io::Errno;

use super::{BridgeFacts, EndpointFacts, Facts, Writer, neighbours, rules};
use crate::failure::Error;

/// Writes the private table and remembers what the host's administrator put into its chain.
#[derive(Debug)]
pub struct Nftables {
    inner: Mutex<Inner>,
    /// The port of the writing socket: changes by it are our own.
    port: AtomicU32,
}

#[derive(Debug)]
struct Inner {
    socket: Socket,
    /// The administrator's rules as last seen, to be written again after a flush.
    user_rules: Vec<ListedRule>,
    /// Whether the table for frames on bridges stands.
    bridge_table: bool,
}

fn kernel(cause: gantry_netlink::Error) -> Error {
    let what = "packet rules".to_owned();
    match cause.errno {
        Errno::PERM | Errno::ACCESS => Error::NotPermitted(what),
        _ if cause.is_unsupported() => Error::KernelLacks(
            "nftables (module nf_tables): start the engine with --firewall-backend=iptables or --iptables=false",
        ),
        _ => Error::Kernel { what, cause },
    }
}

/// Takes the private tables away, when the rules are somebody else's from now on.
pub fn leave() -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.delete_table(rules::TABLE);
    batch.delete_table(rules::BRIDGE_TABLE);
    Socket::open(Service::Netfilter).and_then(|mut socket| socket.commit(batch)).map_err(kernel)
}

impl Nftables {
    /// Opens the writer in the calling thread's network namespace.
    pub fn open() -> Result<Arc<Nftables>, Error> {
        let socket = Socket::open(Service::Netfilter).map_err(kernel)?;
        let port = AtomicU32::new(socket.port());
        let inner = Inner { socket, user_rules: Vec::new(), bridge_table: false };
        Ok(Arc::new(Nftables { inner: Mutex::new(inner), port }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a change; true when it was somebody else's and may have damaged our rules.
    pub fn note(&self, event: &Event) -> bool {
        if event.port == self.port.load(Ordering::Relaxed) {
            return false;
        }
        let ours = event.table == rules::TABLE.name && event.family == Some(rules::TABLE.family);
        let frames =
            event.table == rules::BRIDGE_TABLE.name && event.family == Some(rules::BRIDGE_TABLE.family);
        if ours && event.chain.as_deref() == Some(rules::USER_CHAIN) {
            self.lock().note_user_rule(event);
        }
        (ours || frames) && event.removal || neighbours::concerns(event)
    }
}

impl Inner {
    /// Looks at the administrator's chain at once. If the table is gone by now, the change itself says what was added.
    fn note_user_rule(&mut self, event: &Event) {
        let standing = match self.socket.has_table(rules::TABLE) {
            Ok(true) => self.socket.rules(rules::TABLE, rules::USER_CHAIN).ok(),
            _ => None,
        };
        match (standing, &event.rule) {
            (Some(rules), _) => self.user_rules = rules,
            (None, Some(rule)) if self.user_rules.iter().all(|known| known.handle != rule.handle) => {
                self.user_rules.push(rule.clone());
            }
            _ => {}
        }
    }

    /// Everything of ours in the table goes; the administrator's chain, and chains and sets of his own, stay.
    fn clear(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let chains: Vec<String> = self
            .socket
            .chains()
            .map_err(kernel)?
            .into_iter()
            .filter(|chain| chain.family == rules::TABLE.family && chain.table == rules::TABLE.name)
            .map(|chain| chain.name)
            .collect();
        let ours = |name: &str| {
            rules::FIXED_CHAINS.contains(&name)
                || rules::NETWORK_CHAINS.iter().any(|prefix| name.starts_with(prefix))
        };
        for chain in chains.iter().filter(|name| ours(name)) {
            batch.flush_chain(rules::TABLE, chain);
        }
        // Maps hold jumps, so they go between the rules that ask them and the chains they lead to.
        let sets = self.socket.sets(rules::TABLE).map_err(kernel)?;
        for set in sets.iter().filter(|name| rules::SETS.contains(&name.as_str())) {
            batch.delete_set(rules::TABLE, set);
        }
        for chain in chains.iter().filter(|name| ours(name)) {
            batch.delete_chain(rules::TABLE, chain);
        }
        Ok(())
    }

    fn assert(&mut self, facts: &Facts) -> Result<(), Error> {
        let mut batch = Batch::new();
        let stands = self.socket.has_table(rules::TABLE).map_err(kernel)?;
        batch.add_table(rules::TABLE);
        if stands {
            self.clear(&mut batch)?;
        }
        let user = self.socket.rules(rules::TABLE, rules::USER_CHAIN).map_err(kernel)?;
        batch.add_chain(rules::TABLE, rules::USER_CHAIN, None);
        if stands {
            self.user_rules = user;
        } else {
            for rule in &self.user_rules {
                if rule.has_nameless_set() {
                    tracing::warn!(
                        chain = rules::USER_CHAIN,
                        "a rule with a set in braces was flushed and is not written again; give the set a name"
                    );
                } else {
                    batch.add_listed_rule(rules::TABLE, rules::USER_CHAIN, rule);
                }
            }
        }
        rules::foundation::write(&mut batch);
        if rules::needs_bridge_table(facts) {
            rules::foundation::write_frames(&mut batch);
            self.bridge_table = true;
        } else {
            batch.delete_table(rules::BRIDGE_TABLE);
            self.bridge_table = false;
        }
        for bridge in &facts.bridges {
            rules::network::add(&mut batch, bridge);
        }
        for endpoint in &facts.endpoints {
            rules::endpoint::add(&mut batch, endpoint);
        }
        self.socket.commit(batch).map_err(kernel)?;
        let bridges: BTreeSet<&str> = facts.bridges.iter().map(|bridge| bridge.bridge.as_str()).collect();
        neighbours::open(&mut self.socket, &bridges);
        Ok(())
    }
}

impl Writer for Nftables {
    fn assert(&self, facts: &Facts) -> Result<(), Error> {
        self.lock().assert(facts)
    }

    fn add_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error> {
        let inner = &mut *self.lock();
        let mut batch = Batch::new();
        if !bridge.options.icc && !inner.bridge_table {
            rules::foundation::write_frames(&mut batch);
            inner.bridge_table = true;
        }
        rules::network::add(&mut batch, bridge);
        inner.socket.commit(batch).map_err(kernel)?;
        neighbours::open(&mut inner.socket, &BTreeSet::from([bridge.bridge.as_str()]));
        Ok(())
    }

    fn remove_bridge(&self, bridge: &BridgeFacts) -> Result<(), Error> {
        let inner = &mut *self.lock();
        let mut batch = Batch::new();
        rules::network::remove(&mut batch, bridge);
        inner.socket.commit(batch).map_err(kernel)?;
        neighbours::close(&mut inner.socket, &bridge.bridge);
        Ok(())
    }

    fn add_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error> {
        let mut batch = Batch::new();
        rules::endpoint::add(&mut batch, endpoint);
        self.lock().socket.commit(batch).map_err(kernel)
    }

    fn remove_endpoint(&self, endpoint: &EndpointFacts) -> Result<(), Error> {
        let mut batch = Batch::new();
        rules::endpoint::remove(&mut batch, endpoint);
        self.lock().socket.commit(batch).map_err(kernel)
    }

    fn change_endpoints(&self, before: &[EndpointFacts], after: &[EndpointFacts]) -> Result<(), Error> {
        let mut batch = Batch::new();
        rules::endpoint::change(&mut batch, before, after);
        self.lock().socket.commit(batch).map_err(kernel)
    }

    fn withdraw(&self, facts: &Facts) -> Result<(), Error> {
        let inner = &mut *self.lock();
        let mut batch = Batch::new();
        batch.delete_table(rules::TABLE);
        batch.delete_table(rules::BRIDGE_TABLE);
        inner.socket.commit(batch).map_err(kernel)?;
        for bridge in &facts.bridges {
            neighbours::close(&mut inner.socket, &bridge.bridge);
        }
        Ok(())
    }
}
