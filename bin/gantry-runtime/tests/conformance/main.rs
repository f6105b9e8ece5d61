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
//! runc 1.1.5 passes with this list: `a_hook_that_takes_too_long_is_ended` (it waits for the hook's children),
//! `preserved_devices_folder_of_the_host_is_left_as_it_is` (it needs a null device there),
//! `the_roots_propagation_is_as_asked`, `a_time_namespace_has_its_offset`, `the_domain_name_is_set`,
//! `io_priority_is_set`, `the_scheduler_is_set`, `the_terminal_has_the_size_asked_for`,
//! `no_signal_is_blocked_or_ignored`, `nothing_covers_what_is_inside_proc`,
//! `a_link_to_proc_is_inside_proc_too`, `a_null_device_of_the_image_masks_nothing`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
