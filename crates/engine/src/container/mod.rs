//! One container in the engine: its record, its gate, what lives with it. A verb is a file beside this one.
//!
//! One owner at a time: whoever changes a container has passed its gate ([`Container::enter`]), a queue in the order of asking.
//! Waiting for a process' end is done without it, so that a `kill` reaches a container that a `stop` waits for.

mod archive;
mod attach;
mod changes;
mod commit;
mod create;
mod exec;
mod exit;
mod export;
mod files;
mod inspect;
mod kill;
mod labels;
mod list;
mod logs;
mod mounts;
mod pause;
mod prune;
mod remove;
mod rename;
mod resize;
mod root;
mod start;
mod stats;
mod step;
pub(crate) mod stop;
mod top;
mod update;
mod validate;
mod wait;

pub use archive::{PathStat, TarWriter};
pub use attach::{AttachRequest, Attachment, Output};
pub use changes::ChangeKind;
pub use commit::CommitRequest;
pub use create::Created;
pub use exec::{ExecRequest, ExecState};
pub use inspect::Inspected;
pub use list::{ListRequest, Listed};
pub use logs::{LogLine, Logs, LogsRequest};
pub use stats::{NetworkCounters, Sample};
pub use step::StepRequest;
pub use top::Top;
pub use wait::{WaitCondition, Waited};

pub(crate) use exec::Sessions;
pub(crate) use exit::lost as lost_exit;
pub(crate) use inspect::graph;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use gantry_names::{ContainerId, ContainerName};
use gantry_shim_client::Shim;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::admission::{self, Verb, Verdict};
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, State};

/// How long a removal waits for those who follow: somebody who does not read holds nobody up.
const FOLLOWERS_PATIENCE: Duration = Duration::from_millis(500);

/// A container.
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    record: RwLock<Arc<ContainerRecord>>,
    /// Held by whoever changes the container; see [`Container::enter`].
    gate: tokio::sync::Mutex<()>,
    /// Held by whoever mounts its files to write them: an overlay has one writer.
    pub(crate) files: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
    moment: watch::Sender<Moment>,
    /// Shared by those who follow its log or its counters.
    followed: Arc<tokio::sync::RwLock<()>>,
}

/// Held by one who follows a container's log or counters, until they have all of it.
pub(crate) type Following = Option<tokio::sync::OwnedRwLockReadGuard<()>>;

/// What is not written down.
#[derive(Default)]
pub(crate) struct Live {
    /// Who keeps the process, while there is one.
    pub(crate) shim: Option<Shim>,
    /// Clients that joined before the start.
    pub(crate) pending: Vec<attach::Pending>,
    /// A person's stop or kill is under way: the restart policy keeps still.
    pub(crate) stop_asked: bool,
    /// A restart is under way: no auto-removal between its two halves.
    pub(crate) kept: bool,
    /// Waits for the next start by policy.
    pub(crate) back_off: Option<AbortHandle>,
    /// The last wait of the policy.
    pub(crate) last_delay: Duration,
    /// Watches health.
    pub(crate) health: Option<AbortHandle>,
    /// The task that watches the shim.
    pub(crate) keeper: Option<AbortHandle>,
}

/// What waiters watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moment {
    /// Running, paused or waiting for its restart.
    pub(crate) alive: bool,
    /// How many exits there were.
    pub(crate) exits: u64,
    /// Its removal has begun.
    pub(crate) leaving: bool,
    /// It is gone.
    pub(crate) removed: bool,
    /// The last exit code.
    pub(crate) code: i32,
    /// Why the last start or removal failed.
    pub(crate) error: Option<String>,
}

impl Container {
    pub(crate) fn new(record: ContainerRecord) -> Arc<Container> {
        let moment =
            Moment { alive: is_up(&record.state), code: record.state.exit_code(), ..Moment::default() };
        Arc::new(Container {
            id: record.id.clone(),
            record: RwLock::new(Arc::new(record)),
            gate: tokio::sync::Mutex::new(()),
            files: tokio::sync::Mutex::new(()),
            live: Mutex::default(),
            moment: watch::Sender::new(moment),
            followed: Arc::default(),
        })
    }

    /// Waits for its turn to change the container. Refused where it was removed meanwhile: what is written of it from then on
    /// would bring it back.
    pub(crate) async fn enter(&self) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        let gate = self.gate.lock().await;
        if self.moment.borrow().removed {
            return Err(Error::NoSuchContainer(self.id.to_string()));
        }
        Ok(gate)
    }

    /// Its removal waits for a follower; one that comes while it does is not waited for.
    pub(crate) fn follow(&self) -> Following {
        Arc::clone(&self.followed).try_read_owned().ok()
    }

    /// Waits until those who follow it have heard its end; not long, for they may not be reading.
    pub(crate) async fn followers_end(&self) {
        let _left_early = tokio::time::timeout(FOLLOWERS_PATIENCE, self.followed.write()).await;
    }

    /// The record as it is now.
    pub(crate) fn record(&self) -> Arc<ContainerRecord> {
        Arc::clone(&self.record.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a new record; the store has it already.
    pub(crate) fn set(&self, record: ContainerRecord) {
        let up = is_up(&record.state);
        *self.record.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(record);
        // An end is told by whoever records it, after its event: waiters must not overtake that.
        if up {
            self.moment.send_modify(|moment| moment.alive = true);
        }
    }

    /// Changes the record in memory; the store learns of it with the next save.
    pub(crate) fn update(&self, change: impl FnOnce(&mut ContainerRecord)) {
        let mut slot = self.record.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut slot));
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shim(&self) -> Option<Shim> {
        self.live().shim.clone()
    }

    pub(crate) fn moment(&self) -> watch::Receiver<Moment> {
        self.moment.subscribe()
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut Moment)) {
        self.moment.send_modify(change);
    }

    /// Asks the admission; `Already` is a refusal of class not-modified.
    pub(crate) fn admit(&self, verb: Verb) -> Result<Arc<ContainerRecord>> {
        let record = self.record();
        match admission::admit(verb, &record.state, record.id.as_str(), record.name.as_str()) {
            Verdict::Yes => Ok(record),
            Verdict::Already => Err(admission::Refusal::already(format!(
                "container {} is {}",
                record.id,
                record.state.status()
            ))
            .into()),
            Verdict::No(refusal) => Err(refusal.into()),
        }
    }

    /// The shim of a container that was found alive.
    pub(crate) fn living_shim(&self) -> Result<Shim> {
        self.shim().ok_or_else(|| Error::Conflict(format!("container {} is not running", self.id)))
    }
}

fn is_up(state: &State) -> bool {
    state.is_alive() || matches!(state, State::Restarting { .. })
}

/// All containers by id and name.
#[derive(Default)]
pub(crate) struct Registry {
    by_id: BTreeMap<ContainerId, Arc<Container>>,
    names: HashMap<ContainerName, ContainerId>,
}

impl Registry {
    /// Takes a name for an id, if it is free.
    pub(crate) fn reserve(&mut self, name: &ContainerName, id: &ContainerId) -> Result<()> {
        if let Some(owner) = self.names.get(name) {
            return Err(Error::NameInUse { name: name.to_string(), owner: owner.to_string() });
        }
        self.names.insert(name.clone(), id.clone());
        Ok(())
    }

    pub(crate) fn release(&mut self, name: &ContainerName) {
        self.names.remove(name);
    }

    pub(crate) fn add(&mut self, container: Arc<Container>) {
        self.by_id.insert(container.id.clone(), container);
    }

    pub(crate) fn remove(&mut self, container: &Container) {
        self.by_id.remove(&container.id);
        self.names.retain(|_, owner| *owner != container.id);
    }

    /// By full id, name (with or without slash), or unique beginning of an id.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Container>> {
        let none = || Error::NoSuchContainer(who.to_owned());
        if who.is_empty() {
            return Err(Error::Invalid("invalid name or ID supplied: \"\"".to_owned()));
        }
        if let Some(found) = ContainerId::parse(who).ok().and_then(|id| self.by_id.get(&id)) {
            return Ok(Arc::clone(found));
        }
        let named = ContainerName::parse(who).ok().and_then(|name| self.names.get(&name));
        if let Some(found) = named.and_then(|id| self.by_id.get(id)) {
            return Ok(Arc::clone(found));
        }
        if !who.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(none());
        }
        let mut hits = self.by_id.values().filter(|container| container.id.as_str().starts_with(who));
        match (hits.next(), hits.next()) {
            (Some(one), None) => Ok(Arc::clone(one)),
            (Some(_), Some(_)) => Err(Error::Ambiguous(who.to_owned())),
            (None, _) => Err(none()),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.by_id.values().cloned().collect()
    }
}
