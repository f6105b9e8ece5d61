//! Images travel: our client and other people's against our server, our client against Docker's registry.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails says where by panicking, in its own functions too"
)]

mod access;
mod ahead;
mod cuts;
mod hostile;
mod keeper;
mod operate;
mod others;
mod places;
mod providers;
mod proxying;
mod stores;
mod survive;
mod trips;
