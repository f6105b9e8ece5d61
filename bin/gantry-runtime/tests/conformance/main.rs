//! What an OCI runtime has to do, as a suite that runs on any of them:
//!
//! ```text
//! cargo test -p gantry-runtime --test conformance                                  ours
//! GANTRY_CONFORMANCE_RUNTIME=/usr/sbin/runc cargo test -p gantry-runtime --test conformance
//! ```
//!
//! The list of behaviours is that of youki's contest and runc's integration tests. The checker inside the container
//! is a busybox that was linked statically. The suite was proven on Debian's runc first; what a runtime cannot do by
//! its age is named in `GANTRY_CONFORMANCE_SKIP` (comma separated test names). It needs root.

mod bundle;
mod cgroups;
mod exec;
mod filesystem;
mod hooks;
mod lifecycle;
mod namespaces;
mod process;
mod security;
mod terminal;
