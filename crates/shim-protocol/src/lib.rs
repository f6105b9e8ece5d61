//! What the engine and a shim say to each other.
//!
//! A shim keeps one container. It listens on `shim.sock` in the container's bundle; whoever connects speaks
//! frames ([`frame`]): a length and a JSON text. A connection begins with [`Hello`] from both sides (the caller
//! may send its first request in the same write) and is then one conversation:
//!
//! - any number of [`Request`]s, each answered by one [`Response`], in order; or
//! - `Attach`, after whose `Ok` the connection is raw ([`stream`]); or
//! - `Subscribe`, after whose `Ok` the shim sends [`Event`]s until it exits.
//!
//! What stands on disk beside the socket is drawn in [`bundle`]; how a container ended is [`ExitRecord`].
//!
//! This crate is words only: no sockets, no processes. The shim's side is `gantry-shim-lib`, the engine's side
//! is `gantry-shim-client`. Start reading at [`Request`].

pub mod bundle;
mod config;
mod event;
mod exit;
pub mod frame;
mod hello;
mod request;
mod response;
pub mod stream;

pub use config::{ImageMount, LogSpec, RootMount, RuntimeSpec, ShimConfig};
pub use event::Event;
pub use exit::{ExitError, ExitRecord};
pub use frame::{Decoder, FrameError, MAX_FRAME};
pub use hello::{Hello, VERSION};
pub use request::{ExecSpec, Request};
pub use response::{Failure, Response, Status};
