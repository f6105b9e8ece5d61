//! From a reference to the addresses where its registry may answer.

use std::net::{IpAddr, Ipv4Addr};

/// Whether an address lies in `network/bits` (or is that address).
pub(crate) fn in_network(network: &str, address: IpAddr) -> bool {
    let (base, bits) = network.split_once('/').unwrap_or((network, ""));
    let bits = if bits.is_empty() { Some(128) } else { bits.parse::<u32>().ok() };
    let (Ok(base), Some(bits)) = (base.parse::<IpAddr>(), bits) else { return false };
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => (widen(base), widen(address), 32),
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let free = width - bits.min(width);
    // Shifting by the whole width would leave everything as it is.
    free >= 128 || base >> free == address >> free
}

fn widen(address: Ipv4Addr) -> u128 {
    u128::from(address.to_bits())
}
