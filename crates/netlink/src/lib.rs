//! Links, addresses, routes and nftables, spoken to the kernel by message.
//!
//! Our own encoder and decoder for the few dozen messages that a container network needs, over plain netlink sockets:
//! no programs, no C libraries, no async runtime. Every call is one or two system calls and waits for the kernel.
//! This crate knows nothing of containers: names, policies and records are `gantry-network`'s.
//!
//! Start reading at [`wire`] (bytes), then [`socket`] (exchanges), then a family: [`link`], [`nft`].

pub mod address;
pub mod conntrack;
pub mod error;
pub mod link;
pub mod namespace;
pub mod nft;
pub mod route;
pub mod socket;
pub mod wire;

pub use address::Address;
pub use error::{Error, Result};
pub use link::{BridgePort, Kind, Link, LinkChange, NewLink, Place};
pub use namespace::Namespace;
pub use route::Route;
pub use socket::{Service, Socket};
