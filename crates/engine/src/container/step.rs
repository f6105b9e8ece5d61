//! A build's step: a container without a record.
//!
//! It gets what a container gets (namespaces, limits, network, files under `/etc`, a shim), and is shown nowhere. Its
//! root is a snapshot that the build made under the step's id, and that stays the build's. Whatever a crash of the
//! engine leaves of it (shim, bundle, folder, sandbox, snapshot) has no record, and is removed as an orphan by the next
//! [`Engine::restore`].

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use gantry_errdefs::{Class, chain};
use gantry_names::{ContainerId, ContainerName, Digest, ImageId, Platform};
use gantry_shim_client::{AttachTo, Exit as ShimExit, Shim, ShimError, SpawnError};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::attach::Output;
use super::start::start_error;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, MountPoint, State};
use crate::spec::{ContainerSpec, LogConfig};

/// How long the end after a cut may take before it is given up and left to the next start of the engine.
const CUT_PATIENCE: Duration = Duration::from_secs(30);

/// One step.
#[derive(Debug, Clone)]
pub struct StepRequest {
    /// Its id, and the key of the snapshot that is its root.
    pub id: ContainerId,
    /// What runs and within which limits. Nothing of an image is merged in.
    pub spec: ContainerSpec,
    /// Files and folders of the host, and memory.
    pub mounts: Vec<MountPoint>,
}

impl Engine {
    /// Runs a step to its end and gives its exit code. `output` is awaited for every piece, so that a reader who is slow
    /// slows the step. Dropping the future ends the step; what it used is given back in the background.
    pub async fn step_run<F>(
        &self,
        request: StepRequest,
        mut output: impl FnMut(Output, Bytes) -> F + Send,
    ) -> Result<i32>
    where
        F: Future<Output = ()> + Send,
    {
        let (pieces, mut said) = mpsc::channel(1);
        // Dropped with this future; the step hears it.
        let (_alive, cut) = oneshot::channel();
        let engine = self.clone();
        let step = tokio::spawn(async move { engine.step_life(request, pieces, cut).await });
        while let Some((stream, bytes)) = said.recv().await {
            output(stream, bytes).await;
        }
        match step.await {
            Ok(done) => done,
            Err(err) => std::panic::resume_unwind(err.into_panic()),
        }
    }

    /// The whole life of a step, in a task of its own: it is never left half done.
    async fn step_life(
        &self,
        request: StepRequest,
        output: mpsc::Sender<(Output, Bytes)>,
        mut cut: oneshot::Receiver<()>,
    ) -> Result<i32> {
        let record = self.step_record(request)?;
        let ended = match self.step_begin(&record).await {
            Ok(shim) => tokio::select! {
                ended = step_follow(&shim, output) => ended,
                _ = &mut cut => Err(cut_off()),
            },
            Err(err) => Err(err),
        };
        if tokio::time::timeout(CUT_PATIENCE, self.step_clean(&record)).await.is_err() {
            tracing::warn!(step = %record.id, "a step does not end; the next start of the engine removes it");
        }
        if cut.is_terminated() || matches!(cut.try_recv(), Err(oneshot::error::TryRecvError::Closed)) {
            // Whoever dropped the build could not remove a root that was still written to.
            let (images, key) = (self.inner.images.clone(), record.id.to_string());
            let _gone_already = blocking(move || images.snapshots().remove(&key)).await;
        }
        ended
    }

    fn step_record(&self, request: StepRequest) -> Result<ContainerRecord> {
        let StepRequest { id, mut spec, mounts } = request;
        spec.log = LogConfig { driver: "none".to_owned(), ..LogConfig::default() };
        self.settle(&mut spec, &id)?;
        Ok(ContainerRecord {
            name: ContainerName::parse(&format!("build-{}", id.short())).expect("digits are a name"),
            id,
            created: Timestamp::now(),
            image: ImageId(Digest::sha256_of(b"")),
            platform: Platform::host(),
            mounts,
            snapshot_driver: self.inner.images.snapshots().driver().to_owned(),
            state: State::Created { failure: None },
            restart_count: 0,
            stopped_by_hand: false,
            health: None,
            network: Default::default(),
            selinux: self.draw_labels(&spec)?,
            spec,
        })
    }

    async fn step_begin(&self, record: &ContainerRecord) -> Result<Shim> {
        let (engine, owned) = (self.clone(), record.clone());
        let prepared = blocking(move || {
            let dir: PathBuf = engine.container_dir(&owned.id);
            std::fs::create_dir_all(&dir).map_err(Error::io(format!("make {}", dir.display())))?;
            engine.prepare_start(&owned, true)
        })
        .await?;
        let bundle = self.inner.shims.bundle(&record.id);
        self.inner.shims.spawn(&bundle, &prepared.config, &prepared.spec).await.map_err(start_error)
    }

    /// Gives back everything, however far the step came.
    async fn step_clean(&self, record: &ContainerRecord) {
        let told =
            |what: &str, err: &dyn std::fmt::Display| tracing::warn!(%err, step = %record.id, "{what}");
        let bundle = self.inner.shims.bundle(&record.id);
        if bundle.exists() {
            match self.inner.shims.reconnect(&bundle, CUT_PATIENCE).await {
                Ok(gantry_shim_client::Found::Alive(shim, _)) => {
                    if let Err(err) = shim.shutdown().await {
                        told("end shim", &chain(&err));
                    }
                }
                _ => {
                    if let Err(err) = self.inner.shims.clean(&bundle).await {
                        told("clean after a step", &chain(&err));
                    }
                }
            }
            if let Err(err) = self.inner.shims.remove(&bundle).await {
                told("remove bundle", &err);
            }
        }
        let (engine, owned) = (self.clone(), record.clone());
        blocking(move || {
            engine.leave_network(&owned, false);
            engine.release_labels(&owned);
            match std::fs::remove_dir_all(engine.container_dir(&owned.id)) {
                Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%err, step = %owned.id, "remove folder");
                }
                _ => {}
            }
        })
        .await;
    }
}

fn cut_off() -> Error {
    Error::Start { text: "the build was cancelled".to_owned(), code: 137, class: Class::Unavailable }
}

async fn step_follow(shim: &Shim, output: mpsc::Sender<(Output, Bytes)>) -> Result<i32> {
    let mut joined = shim.attach(None, AttachTo::output()).await?;
    shim.start().await.map_err(|err| match err {
        ShimError::Failed(failure) => start_error(SpawnError::Failed(failure)),
        other => Error::Shim(other),
    })?;
    while let Ok(Some(piece)) = joined.output.next().await {
        if output.send((piece.stream.into(), piece.bytes)).await.is_err() {
            break;
        }
    }
    drop(output);
    match shim.wait().await? {
        ShimExit::Recorded(record) => Ok(record.code),
        ShimExit::Lost => Err(Error::Unavailable("the step's shim was killed".to_owned())),
    }
}
