//! The Engine API over HTTP: what turns a socket into an engine that Docker's clients drive unmodified.
//!
//! Wire types stop here. A request comes in through [`listen`](Listener), its head is read in bounded time, its
//! version is negotiated, its route is found (`route`, `routers`), its body becomes a typed spec (`convert`), and
//! the engine is asked. What the engine says becomes wire types again, in the shape the asked version had.
//!
//! Not here: anything that decides. Names, defaults of containers, conflicts and their texts are the engine's; this
//! crate knows HTTP, JSON, streams, and how Docker's wire has looked in each version.
//!
//! Start reading at [`serve`], then `routers/mod.rs`, then one router beside its `convert` module. What is refused
//! and why is one table, `coverage.rs`.

mod body;
mod bridge;
mod browser;
mod building;
mod call;
mod convert;
mod coverage;
mod detach;
mod failure;
mod fetch;
mod hijack;
mod listen;
mod machine;
mod mux;
mod query;
mod reply;
mod route;
mod routers;
mod serve;
mod session;
mod status;
mod timestamp;
mod version;
mod websocket;

pub use coverage::{Coverage, coverage};
pub use failure::Failure;
pub use listen::{
    Address, AddressError, ListenError, ListenOptions, Listener, TlsConfig, TlsError, TlsFiles,
};
pub use serve::serve;
pub use version::{UnservedVersion, oldest_version};

use gantry_api::version::{ApiVersion, NEWEST, OLDEST};
use gantry_build::Builder;
use gantry_engine::Engine;
use gantry_solver::{Facts, Solver};
use http::header::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a client may take of us before it has shown that it means well.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a TLS handshake, and for the head of a request.
    pub head_timeout: Duration,
    /// For a head in bytes, and for what is read ahead of a body.
    pub head_bytes: usize,
    /// For a JSON body in bytes. Archives are streams and have no limit here.
    pub document_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { head_timeout: Duration::from_secs(60), head_bytes: 64 << 10, document_bytes: 16 << 20 }
    }
}

/// Everything the routers need.
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) builder: Builder,
    /// Builds that a client can end by their id.
    pub(crate) building: building::Running,
    /// Builds by BuildKit's protocol.
    pub(crate) solver: Solver,
    pub(crate) limits: Limits,
    pub(crate) oldest: ApiVersion,
    pub(crate) newest: ApiVersion,
    pub(crate) experimental: bool,
    pub(crate) server_header: HeaderValue,
    pub(crate) api_version_header: HeaderValue,
    pub(crate) routes: &'static [&'static [route::Route]],
    /// Cancelled when streams that would never end must.
    pub(crate) ending: CancellationToken,
}

impl App {
    /// The API of an engine and its builder.
    pub fn new(engine: Engine, builder: Builder) -> App {
        let header = |text: String| HeaderValue::from_str(&text).expect("versions are plain ASCII");
        let facts = Facts { version: env!("CARGO_PKG_VERSION").to_owned(), host_name: machine::host_name() };
        App {
            solver: Solver::new(builder.clone(), facts, Arc::new(building::EngineHost(engine.clone()))),
            engine,
            builder,
            building: building::Running::default(),
            limits: Limits::default(),
            oldest: OLDEST,
            newest: NEWEST,
            experimental: false,
            server_header: header(format!("Docker/{} (linux)", env!("CARGO_PKG_VERSION"))),
            api_version_header: header(NEWEST.to_string()),
            routes: routers::ALL,
            ending: CancellationToken::new(),
        }
    }

    /// Ends followed events, logs and stats, once there is nothing more to tell.
    pub fn end_streams(&self) {
        self.ending.cancel();
    }

    /// With other limits than the usual ones.
    pub fn with_limits(mut self, limits: Limits) -> App {
        self.limits = limits;
        self
    }

    /// Serves older versions, too (or fewer): from this one on.
    pub fn oldest(mut self, oldest: ApiVersion) -> App {
        self.oldest = oldest;
        self
    }

    /// Says that features may change.
    pub fn experimental(mut self, on: bool) -> App {
        self.experimental = on;
        self
    }
}
