//! How a network carries packets: one driver a kind, private behind [`Carrier`].

use gantry_netlink::{Namespace, Socket};

use crate::failure::Error;
use crate::record::{Driver, Endpoint, Network};

pub mod bridge;
mod sub_interface;

/// What a driver does. The order of a life is `make`, then `attach` and `detach` of endpoints, then `unmake`.
pub trait Carrier: Send + Sync {
    /// Checks a network before it is made, and names its interface on the host.
    fn check(&self, network: &Network, host: &mut Socket) -> Result<String, Error>;
    /// Makes the network, or repairs what is missing of it.
    fn make(&self, network: &Network, host: &mut Socket) -> Result<(), Error>;
    /// Takes the network away; what is missing already is no failure.
    fn unmake(&self, network: &Network, host: &mut Socket) -> Result<(), Error>;
    /// Makes the endpoint's interface inside the sandbox, without addresses.
    fn attach(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        host: &mut Socket,
        sandbox: &Namespace,
    ) -> Result<(), Error>;
    /// Looks whether an endpoint that stands is still part of the network, which may have been made anew.
    fn rejoin(&self, _: &Network, _: &Endpoint, _: &mut Socket) -> Result<(), Error> {
        Ok(())
    }
}

/// The driver of a kind; `None` for `host` and `null`, which carry nothing.
pub fn carrier(driver: Driver) -> Option<&'static dyn Carrier> {
    match driver {
        Driver::Bridge => Some(&bridge::Bridge),
        Driver::Macvlan | Driver::Ipvlan => Some(&sub_interface::SubInterface),
        Driver::Host | Driver::Null => None,
    }
}

/// A kernel error with what was being done.
pub fn kernel(what: impl Into<String>) -> impl FnOnce(gantry_netlink::Error) -> Error {
    let what = what.into();
    move |cause| Error::Kernel { what, cause }
}

/// The same where a kernel without a module answers so: the module is named.
pub fn lacking(module: &'static str, what: impl Into<String>) -> impl FnOnce(gantry_netlink::Error) -> Error {
    let what = what.into();
    move |cause| match cause.is_unsupported() {
        true => Error::KernelLacks(module),
        false => Error::Kernel { what, cause },
    }
}
