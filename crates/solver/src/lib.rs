//! BuildKit's door: its `Control` and `LLBBridge` services over our builder.
//!
//! A client exposes itself on a session ([`Solver::session`]), asks for a build on another connection
//! ([`Solver::serve`]), and is called back for the files, secrets and agents that the build needs. The frontend is our own
//! reading of a Dockerfile; a graph of operations from somebody else's frontend is refused with a sentence.
//!
//! What it is not: it builds nothing (`gantry-build` does) and knows no HTTP of the Engine API (`gantry-server` does).
//!
//! Start reading at [`Solver`], then `service/control.rs`, then `frontend/mod.rs`.

mod cache;
mod export;
mod frontend;
mod history;
mod job;
mod kept;
mod service;
mod sessions;
mod story;
mod uploads;
mod usage;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use gantry_build::Builder;
pub use gantry_build::step::{Refusal, Task};
pub use gantry_buildkit::grpc::Status;
use gantry_buildkit::grpc::{client, server};
use gantry_buildkit::session::{Caller, UUID};
use gantry_names::{Digest, ImageId, Reference};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

pub use gantry_buildkit::proto::control::{Exporter, SolveRequest, StatusResponse};
pub use job::Reader;
pub use prost::Message;

/// What clients are told of this engine.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The engine's version.
    pub version: String,
    /// Name of the machine.
    pub host_name: String,
}

/// What the engine does for builds beside running them.
pub trait Host: Send + Sync + fmt::Debug {
    /// Sends a manifest that is in the content store, and everything it names. An image of the store is known by its
    /// digest from then on.
    fn push_manifest(
        &self,
        name: Reference,
        manifest: Digest,
        image: Option<ImageId>,
        auth: Option<serde_json::Value>,
    ) -> Task<'_, Result<(), Refusal>>;

    /// A manifest of a registry as it is.
    fn manifest(
        &self,
        name: Reference,
        auth: Option<serde_json::Value>,
    ) -> Task<'_, Result<Vec<u8>, Refusal>>;

    /// Brings a blob of a repository into the content store.
    fn blob(
        &self,
        name: Reference,
        digest: Digest,
        size: u64,
        auth: Option<serde_json::Value>,
    ) -> Task<'_, Result<(), Refusal>>;

    /// What `host-gateway` means in `--add-host`.
    fn host_gateway(&self) -> Task<'_, Option<IpAddr>>;
}

/// All builds by BuildKit's protocol. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Solver(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) builder: Builder,
    pub(crate) facts: Facts,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) sessions: sessions::Sessions,
    pub(crate) jobs: job::Jobs,
    pub(crate) uploads: uploads::Uploads,
    pub(crate) kept: Arc<kept::Shelf>,
    pub(crate) history: history::History,
}

impl Solver {
    /// A door to `builder`; files that sessions sent are kept below the builder's folder.
    pub fn new(builder: Builder, facts: Facts, host: Arc<dyn Host>) -> Self {
        let kept = Arc::new(kept::Shelf::below(&builder.folder));
        let history = history::History::below(&builder.folder);
        Self(Arc::new(Inner {
            builder,
            facts,
            host,
            sessions: sessions::Sessions::default(),
            jobs: job::Jobs::default(),
            uploads: uploads::Uploads::default(),
            kept,
            history,
        }))
    }

    /// Holds a session on a connection that was taken over, until its client leaves.
    ///
    /// # Errors
    /// When the client speaks no HTTP/2.
    pub async fn session<IO>(&self, io: IO, headers: &HeaderMap) -> Result<(), Status>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let id = headers.get(UUID).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let channel = client::Channel::over(io).await?;
        let caller = Caller::new(channel, headers);
        let _entered = self.0.sessions.enter(&id, caller.clone());
        caller.closed().await;
        Ok(())
    }

    /// Serves gRPC on a connection that was taken over, until its client leaves.
    ///
    /// # Errors
    /// When the client speaks no HTTP/2.
    pub async fn serve<IO>(&self, io: IO) -> Result<(), Status>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        server::serve(io, Arc::new(service::Door(Arc::clone(&self.0)))).await
    }

    /// A build as the Engine API's `POST /build?version=2` asks for it: what `Control.Solve` does, without gRPC. The
    /// progress of it is [`Solver::progress`].
    ///
    /// # Errors
    /// Why the build failed.
    pub async fn solve(
        &self,
        request: SolveRequest,
    ) -> Result<std::collections::BTreeMap<String, String>, Status> {
        service::control::solve(&self.0, request).await
    }

    /// The progress of a build from its beginning, as soon as there is a build of that name.
    pub async fn progress(&self, reference: &str) -> Option<Reader> {
        self.0.jobs.follow(reference).await.map(|job| job.log.reader())
    }

    /// The address that stands for a context which is offered under this name.
    pub fn upload_address(&self, name: &str) -> String {
        format!("{}{name}", uploads::ADDRESS)
    }

    /// Offers a context to the build that asks for this name. Whether one did.
    pub async fn offer(&self, name: &str, pieces: mpsc::Receiver<Vec<u8>>) -> bool {
        self.0.uploads.offer(name, pieces).await
    }
}
