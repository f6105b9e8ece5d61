//! The engine's side of the shim protocol: spawns shims, talks to them, finds them again.
//!
//! ```no_run
//! # async fn doc(config: gantry_shim_protocol::ShimConfig, spec: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! use gantry_shim_client::{AttachTo, Exit, Shims};
//!
//! let shims = Shims::new("/usr/libexec/gantry-shim".as_ref(), "/run/gantry".as_ref())?;
//! let bundle = shims.bundle(&config.id);
//! let shim = shims.spawn(&bundle, &config, &spec).await?;        // created: pid known, program not running
//! let mut attached = shim.attach(None, AttachTo::output()).await?;
//! let pid = shim.start().await?;
//! while let Some(piece) = attached.output.next().await? {
//!     println!("{pid} {:?}: {} bytes", piece.stream, piece.bytes.len());
//! }
//! let Exit::Recorded(record) = shim.wait().await? else { panic!("the shim was killed") };
//! shim.shutdown().await?;                                         // cgroup and runtime state are gone
//! shims.remove(&bundle).await?;                                   // and now the bundle
//! # drop(record); Ok(()) }
//! ```
//!
//! A [`Shim`] is a handle, cheap to clone; dropping all of them does nothing to the container. What an engine does
//! after its own restart is [`Shims::reconnect`] for each bundle it has a record of.
//!
//! Not here: what a container is (`engine`), how output is written down (`gantry-logs`, by the shim itself).
//! Start reading at [`Shims`], then [`Shim`].

mod attach;
mod binary;
mod connection;
mod control;
mod error;
mod events;
mod reconnect;
mod shim;
mod spawn;

pub use attach::{AttachTo, Attachment, Input, Output, Piece, Stream};
pub use error::{ShimError, SpawnError};
pub use events::{Events, Exit};
pub use reconnect::Found;
pub use shim::{Shim, State};
pub use spawn::Shims;

pub use gantry_shim_protocol::{
    Event, ExecSpec, ExitRecord, Failure, ImageMount, LogSpec, RootMount, RuntimeSpec, ShimConfig, Status,
};
