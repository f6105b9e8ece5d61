//! Projects: observe, plan, act.
//!
//! What it is: a compose project brought to life over the Engine API, ours or Docker's. [`observe`] looks once at what
//! is there; [`plan`] says without any I/O what has to be done, each operation with its cause; [`act`] does it, as much
//! at once as the operations' order allows. [`convert`] makes a container's settings of a service's. Labels, names and
//! texts are Docker Compose's, so that either of us takes a project over from the other.
//!
//! What it is not: a reader of files (`gantry-compose-file`), a puller or builder of images, a command line
//! (`gantry-cli` has both).
//!
//! Start reading at [`Scene`], then `up.rs`.

#![recursion_limit = "256"]

pub mod act;
pub mod containers;
pub mod convert;
pub mod down;
mod failed;
mod grants;
mod hash;
mod hooks;
pub mod images;
pub mod labels;
pub mod logs;
pub mod monitor;
pub mod names;
pub mod observe;
pub mod order;
pub mod plan;
pub mod progress;
mod references;
pub mod revive;
pub mod run;
mod scene;
mod settle;
pub mod start;
pub mod stop;
pub mod up;
pub mod wait;

pub use containers::{Container, State};
pub use failed::Failed;
pub use observe::{Observed, look};
pub use scene::{ImageFacts, Images, Scene};
