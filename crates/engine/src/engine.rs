//! The engine: what all verbs share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gantry_events::{Journal, Kind, Query, Subscription};
use gantry_images::ImageStore;
use gantry_names::ContainerId;
use gantry_shim_client::Shims;
use gantry_store::{Store, Table};
use gantry_volumes::Volumes;

use crate::bundle::Host;
use crate::config::EngineConfig;
use crate::container::{Container, Registry, Sessions};
use crate::error::{Error, Result};
use crate::host;
use crate::network::Networking;
use crate::record::{ContainerRecord, MountPointKind};

pub(crate) const CONTAINERS: Table<ContainerId, ContainerRecord> = Table::new("containers");

/// The engine. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: RwLock<Arc<EngineConfig>>,
    pub(crate) host: Host,
    pub(crate) store: Store,
    pub(crate) images: ImageStore,
    /// Speaks to registries.
    pub(crate) registries: crate::images::Registries,
    pub(crate) volumes: Volumes,
    pub(crate) events: Journal,
    pub(crate) shims: Shims,
    pub(crate) network: Networking,
    registry: RwLock<Registry>,
    execs: Mutex<Sessions>,
    /// The engine ends: exits are recorded, but nothing is started or removed any more.
    pub(crate) draining: AtomicBool,
    /// Whether [`Engine::restore`] is through: starts by policy wait for it.
    pub(crate) restored: tokio::sync::watch::Sender<bool>,
    /// Records that could not be read, for the log and `info`.
    pub(crate) damaged: Vec<String>,
}

impl Engine {
    /// Opens the engine over its folders. Nothing runs or is repaired yet: [`Engine::restore`].
    pub fn open(
        config: EngineConfig,
        store: Store,
        images: ImageStore,
        network: Networking,
    ) -> Result<Engine> {
        for dir in [config.data_root.join("containers"), config.exec_root.clone()] {
            std::fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
        }
        store.migrate("engine", &[|_| Ok(())])?;
        let events =
            Journal::open(&config.data_root.join("events")).map_err(Error::io("open the event journal"))?;
        let (volumes, lost_volumes) = Volumes::open(&config.data_root.join("volumes"), store.clone())?;
        let shims = Shims::new(&config.shim, &config.exec_root)
            .map_err(Error::io(format!("read the shim {}", config.shim.display())))?;
        let host = host::look(config.selinux);
        let listing = store.read(|tx| tx.list(CONTAINERS))?;
        let mut registry = Registry::default();
        for (_, mut record) in listing.rows {
            // The data root may have been moved since.
            for point in record.mounts.iter_mut().filter(|point| point.kind == MountPointKind::Volume) {
                point.source = volumes.data_path(&point.name).display().to_string();
            }
            // Two records with one name cannot be written; a name lost to damage is free again.
            let _ = registry.reserve(&record.name, &record.id);
            host.selinux.reserve(&record.selinux);
            registry.add(Container::new(record));
        }
        let damaged = listing.damaged.iter().chain(&lost_volumes).map(ToString::to_string).collect();
        let inner = Inner {
            host,
            config: RwLock::new(Arc::new(config)),
            store,
            images,
            registries: crate::images::Registries::default(),
            volumes,
            events,
            shims,
            network,
            registry: RwLock::new(registry),
            execs: Mutex::default(),
            draining: AtomicBool::new(false),
            restored: tokio::sync::watch::Sender::new(false),
            damaged,
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// The image store, for verbs that need no containers.
    pub fn images(&self) -> &ImageStore {
        &self.inner.images
    }

    /// The settings as they are now.
    pub fn config(&self) -> Arc<EngineConfig> {
        Arc::clone(&self.inner.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what may change while the engine runs (SIGHUP): labels, live restore, the shutdown timeout, runtimes,
    /// what registries are spoken to how, and what `info` shows. The rest of `new` is ignored.
    pub fn reconfigure(&self, new: EngineConfig) {
        let mut slot = self.inner.config.write().unwrap_or_else(PoisonError::into_inner);
        let EngineConfig {
            labels,
            live_restore,
            shutdown_timeout,
            runtimes,
            default_runtime,
            facts,
            transfers,
            ..
        } = new;
        let old = EngineConfig::clone(&slot);
        *slot = Arc::new(EngineConfig {
            labels,
            live_restore,
            shutdown_timeout,
            runtimes,
            default_runtime,
            facts,
            transfers,
            ..old
        });
        self.inner.registries.renew(&slot);
    }

    /// Follows and replays events.
    pub fn events(&self, query: Query) -> Result<Subscription> {
        self.inner.events.subscribe(query).map_err(Error::io("read the event journal"))
    }

    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.inner.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.inner.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn execs(&self) -> MutexGuard<'_, Sessions> {
        self.inner.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, who: &str) -> Result<Arc<Container>> {
        self.registry().find(who)
    }

    /// Writes a record to the store, then shows it.
    pub(crate) async fn save(&self, container: &Container, record: ContainerRecord) -> Result<()> {
        let store = self.inner.store.clone();
        let row = record.clone();
        // A state change frees rather than takes room: it may use the store's ballast on a full disk.
        blocking(move || store.write_freeing(|tx| tx.put(CONTAINERS, &row.id, &row))).await?;
        container.set(record);
        Ok(())
    }

    /// Changes the record under the gate.
    pub(crate) async fn change(
        &self,
        container: &Container,
        change: impl FnOnce(&mut ContainerRecord),
    ) -> Result<()> {
        let mut record = ContainerRecord::clone(&container.record());
        change(&mut record);
        self.save(container, record).await
    }

    /// Where a container's own files are: its log, hosts, resolv.conf.
    pub(crate) fn container_dir(&self, id: &ContainerId) -> PathBuf {
        self.config().data_root.join("containers").join(id.as_str())
    }

    /// Publishes an event. A journal that cannot be written is told in the log, not to the caller.
    pub(crate) fn publish(&self, kind: Kind, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        if let Err(err) = self.inner.events.publish(kind, action, id, attributes) {
            tracing::warn!(%err, action, "event journal");
        }
    }

    /// A container's event with Docker's attributes: its labels, image and name, and `more`.
    pub(crate) fn container_event(&self, record: &ContainerRecord, action: &str, more: &[(&str, String)]) {
        let mut attributes: BTreeMap<String, String> = record.spec.labels.clone();
        attributes.insert("image".to_owned(), record.spec.image.clone());
        attributes.insert("name".to_owned(), record.name.to_string());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.publish(Kind::Container, action, record.id.as_str(), attributes);
    }
}

/// Runs disk work on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}
