//! Networks, endpoints and sandboxes: what a container's packets see.
//!
//! A **sandbox** is a network namespace that the engine owns (not the first process in it), so it outlives restarts of
//! that process. A **network** is a set of sandboxes that reach each other, carried by a driver. An **endpoint** is one
//! sandbox on one network: an interface, addresses, names. The row of an endpoint *is* its lease and its DNS entry.
//!
//! This crate is not the engine: it knows no images, processes or wire types, and decides nothing about containers.
//! It is synchronous: calls take one to a few milliseconds, so an async caller runs them on a blocking thread. Only the
//! name server uses tokio, on the runtime given in [`Config`].
//!
//! Start reading at [`Networks`], then `docs/networking.md` for the path of a packet. What is asked for is in
//! [`spec`], what stands is in [`record`]; decisions without I/O live in `ipam`, `ports` and `firewall::rules`.
//!
//! # The owner's calls
//!
//! ```text
//! Networks::open(config: Config, records: Arc<dyn Records>) -> Result<Arc<Networks>, Error>
//!     // reads the rows, makes the predefined networks (bridge, host, none), asserts bridges and rules. Also after kill -9.
//! networks.restore(live: &HashSet<ContainerId>) -> Result<Restored, Error>
//!     // once after open: sandboxes of live containers are repaired, all others and every orphan are removed
//! networks.shutdown(remove_all: bool)                      // stops the loops; rules and links stay for running containers
//!
//! networks.create(NetworkSpec) -> Result<Created { network, warnings }, Error>
//! networks.get(name_or_id: &str) -> Result<Network, Error>     // full id, then name, then unique id prefix
//! networks.list() -> Vec<Network>
//! networks.remove(name_or_id: &str) -> Result<Network, Error>
//! networks.prune(wanted: impl Fn(&Network) -> bool) -> Vec<Network>   // unused, not predefined, wanted
//! networks.endpoints(&NetworkId) -> Vec<Endpoint>
//! networks.default_network() -> &'static str               // what `--network default` means: "bridge" ("none" with -b none)
//! networks.check(&EndpointSpec) -> Result<Network, Error>  // what can be told at `create`, without making anything
//!
//! networks.create_sandbox(SandboxSpec) -> Result<Sandbox { container, path }, Error>   // path: namespace file to setns into
//! networks.adopt_sandbox(SandboxSpec, process, resolver) -> Result<Sandbox, Error>      // of a namespace that a process has
//! networks.sandbox(&ContainerId) -> Option<Sandbox>
//! networks.remove_sandbox(&ContainerId) -> Result<Vec<Endpoint>, Error>   // disconnects all, does not wait for the kernel
//! networks.rest_sandbox(&ContainerId) -> Result<Vec<Endpoint>, Error>     // the same before a restart: its heir goes on waiting
//! networks.connect(&ContainerId, &[EndpointSpec]) -> Result<Vec<Endpoint>, Error>   // all or none; publishes the sandbox's ports
//! networks.disconnect(&ContainerId, network: &str) -> Result<Endpoint, Error>
//! networks.endpoints_of(&ContainerId) -> Vec<Endpoint>     // first carries the default route
//! networks.ports_of(&ContainerId) -> Vec<PublishedPort>
//! networks.rename(&ContainerId, new_name: &str) -> Result<(), Error>
//! files::links::environment(own_name, alias, address, exposed, their_env) -> Vec<String>   // --link's variables
//!
//! plumb(&PlumbSpec) -> Result<Plumbed, Error>               // pipework's job, no owner needed
//! reroute(&RouteSpec) -> Result<(), Error>                  // `pipework route`
//! ```

mod claim;
pub mod config;
pub mod dns;
mod driver;
pub mod failure;
pub mod files;
pub mod firewall;
pub mod ipam;
pub mod mac;
mod names;
pub mod networks;
pub mod options;
pub mod plumb;
pub mod ports;
pub mod prefix;
pub mod record;
pub mod spec;
mod state;
mod sysctl;

pub use config::{AddressPool, Config, DefaultBridge, Firewall, HostNames};
pub use failure::{Error, PortError};
pub use mac::Mac;
pub use networks::{Created, Networks, Restored, Sandbox};
pub use plumb::{PlumbSpec, Plumbed, RouteSpec, Target, plumb, reroute};
pub use prefix::Prefix;
pub use record::{
    Change, Driver, Endpoint, Kept, Memory, Network, Pool, PublishedPort, Records, RecordsError,
};
pub use spec::{
    DnsSpec, EndpointSpec, HostPort, IpamSpec, Link, NetworkSpec, PoolSpec, Port, PortBinding, Protocol,
    SandboxFiles, SandboxMode, SandboxSpec,
};
