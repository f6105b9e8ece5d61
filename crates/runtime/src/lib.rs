//! An OCI bundle to a process, and its life.
//!
//! What this is: the synchronous core that makes a container's first process ([`create`]), lets it go
//! ([`Container::start`]), puts further processes beside it ([`Container::exec`]), and takes it away
//! ([`Container::delete`]). It is linked by the shim and by the OCI command line.
//!
//! What it is not: it keeps no state directory, writes no log, waits for no exit and knows no image. Whoever
//! calls it has ONE thread (a process that clones into namespaces must), is the parent of everything it
//! makes, and reaps it.
//!
//! Start reading at [`create`](fn@create), then `init/` for what the new process does to itself.

mod caps;
mod container;
mod create;
mod error;
mod exec;
mod gate;
mod hooks;
mod init;
mod inside;
mod lookup;
mod mount_api;
mod mounts;
mod namespaces;
mod notify;
mod options;
mod process;
pub mod protect;
mod reap;
mod record;
mod root;
pub mod spec;
mod stdio;
mod time;
mod user_namespace;
mod wire;

pub use caps::NAMES as CAPABILITIES;
pub use container::{Container, Status};
pub use create::{Create, Gate, cgroup_of, create, forget};
pub use error::{Error, Result};
pub use exec::{Exec, Session};
pub use gantry_cgroups::Saved as SavedCgroup;
pub use record::Record;
pub use root::RootMount;
pub use stdio::Stdio;

/// Every capability this build knows by name, in the kernel's order.
pub fn capability_names() -> &'static [&'static str] {
    &caps::NAMES
}
