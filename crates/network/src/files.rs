//! The three files under /etc that a container gets from its networks: contents as pure functions.
//!
//! They are the container's own to edit. So nothing here rewrites a whole file that exists: [`hosts`] adds and takes away
//! the lines of one endpoint, [`resolv`] is written again only while nobody else changed it.

pub mod hosts;
pub mod links;
pub mod resolv;
