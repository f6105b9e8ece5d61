//! What stands in a bundle, `<exec-root>/<container id>/`.
//!
//! | name | what | written by |
//! |---|---|---|
//! | `config.json` | the OCI runtime spec | engine |
//! | `shim.json` | [`crate::ShimConfig`] | engine |
//! | `shim.sock` | the socket the shim listens on | shim |
//! | `shim.pid` | the shim's process | shim |
//! | `shim.log` | what went wrong in the shim, for a person | shim |
//! | `exit.json` | [`crate::ExitRecord`], beside + fsync + rename | shim |
//! | `rootfs/` | where a foreign runtime finds the root | shim |

/// The OCI runtime spec.
pub const CONFIG: &str = "config.json";
/// The shim's own configuration.
pub const SHIM_CONFIG: &str = "shim.json";
/// The socket.
pub const SOCKET: &str = "shim.sock";
/// The shim's process.
pub const PID: &str = "shim.pid";
/// What went wrong.
pub const LOG: &str = "shim.log";
/// How the container ended.
pub const EXIT: &str = "exit.json";
/// Where the exit record is written before it gets its name.
pub const EXIT_BESIDE: &str = "exit.json.new";
/// Where a foreign runtime finds the root.
pub const ROOTFS: &str = "rootfs";
