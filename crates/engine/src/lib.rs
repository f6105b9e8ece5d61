//! Containers: their records, their life, their streams.
//!
//! What it is: the owner of every container. It knows what was asked ([`spec`]), what is ([`record`]), whether a verb may
//! happen ([`admission`], pure), and does it (`container/`, a verb a file). It composes what stands below: images,
//! snapshots, volumes, networks, shims, logs and events.
//!
//! What it is not: it speaks no wire format and prints nothing (the server does), makes no namespaces (the shim and the
//! runtime do), and mounts no container's root on the host.
//!
//! Start at [`Engine`], then `container/mod.rs`, then `container/start.rs`: the walk from a record to a process. What
//! happens at an exit is `container/exit.rs`; what happens after a crash is `restore.rs`.

pub mod admission;
pub mod bundle;
pub mod config;
mod container;
mod engine;
mod error;
mod filters;
mod health;
mod host;
mod images;
mod limits;
mod merge;
pub mod network;
mod order;
pub mod record;
pub mod restart;
mod restore;
mod roots;
pub mod selinux;
pub mod signal;
pub mod spec;
mod system;
mod volumes;

pub use config::{EngineConfig, ForeignRuntime, InfoFacts, OWN_RUNTIME, Transfers, find_shim};
pub use container::{
    AttachRequest, Attachment, ChangeKind, CommitRequest, Created, ExecRequest, ExecState, Inspected,
    ListRequest, Listed, LogLine, Logs, LogsRequest, NetworkCounters, Output, PathStat, Sample, StepRequest,
    TarWriter, Top, WaitCondition, Waited,
};
pub use engine::Engine;
pub use error::{Error, Result};
pub use filters::{Filters, until};
pub use images::{ImagesPruned, ImportRequest, Progress, PullRequest, PushRequest};
pub use limits::Limits;
pub use network::Networking;
pub use system::{DiskUsage, Info, Pruned, without_login};
