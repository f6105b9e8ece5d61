//! An address with a prefix length: `172.17.0.0/16`, `fd00::/64`, and an interface's `172.17.0.1/16`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address and the length of its network part. The host part is kept, as on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is not a prefix. The text is Go's, which Docker's users see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct PrefixError(String);

impl Prefix {
    /// An address with a network length; `None` when the length is longer than the address.
    pub fn new(address: IpAddr, length: u8) -> Option<Prefix> {
        (length <= width(address)).then_some(Prefix { address, length })
    }

    /// The prefix that holds this address alone.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix { address, length: width(address) }
    }

    /// The address, host part included.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits of the network part.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// True for IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// The same prefix with the host part zero.
    pub fn network(&self) -> Prefix {
        Prefix { address: from_bits(self.bits() & self.mask(), self.is_ipv6()), length: self.length }
    }

    /// The lowest address of the prefix.
    pub fn first(&self) -> IpAddr {
        self.network().address
    }

    /// The highest address of the prefix (IPv4's broadcast address).
    pub fn last(&self) -> IpAddr {
        from_bits(self.bits() & self.mask() | self.host_mask(), self.is_ipv6())
    }

    /// The address `offset` above the lowest; `None` past the end.
    pub fn nth(&self, offset: u128) -> Option<IpAddr> {
        (offset <= self.host_mask()).then(|| from_bits((self.bits() & self.mask()) + offset, self.is_ipv6()))
    }

    /// How far an address lies above the lowest; `None` when it is outside.
    pub fn offset_of(&self, address: IpAddr) -> Option<u128> {
        self.contains(address).then(|| to_bits(address) - (self.bits() & self.mask()))
    }

    /// Offset of the highest address: the number of addresses less one.
    pub fn last_offset(&self) -> u128 {
        self.host_mask()
    }

    /// Whether the address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_ipv6() && to_bits(address) & self.mask() == self.bits() & self.mask()
    }

    /// Whether every address of `other` lies inside.
    pub fn covers(&self, other: &Prefix) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.covers(other) || other.covers(self)
    }

    fn bits(&self) -> u128 {
        to_bits(self.address)
    }

    fn host_mask(&self) -> u128 {
        let host_bits = u32::from(width(self.address) - self.length);
        if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 }
    }

    fn mask(&self) -> u128 {
        !self.host_mask()
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv6() { 128 } else { 32 }
}

fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn from_bits(bits: u128, ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::from_bits(bits).into() } else { Ipv4Addr::from_bits(bits as u32).into() }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let bad = || PrefixError(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let address = address.parse().map_err(|_| bad())?;
        if length.starts_with('+') {
            return Err(bad());
        }
        Prefix::new(address, length.parse().map_err(|_| bad())?).ok_or_else(bad)
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;
    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> String {
        prefix.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn bounds_of_the_classic_bridge() {
        let bridge = p("172.17.0.1/16");
        assert_eq!(bridge.first().to_string(), "172.17.0.0");
        assert_eq!(bridge.last().to_string(), "172.17.255.255");
        assert_eq!(bridge.nth(2).unwrap().to_string(), "172.17.0.2");
        assert_eq!(bridge.nth(65536), None);
        assert_eq!(bridge.network().to_string(), "172.17.0.0/16");
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/+8", "x/8"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_means_a_shared_address(a: u32, la in 0u8..=32, b: u32, lb in 0u8..=32) {
            let a = Prefix::new(Ipv4Addr::from_bits(a).into(), la).unwrap();
            let b = Prefix::new(Ipv4Addr::from_bits(b).into(), lb).unwrap();
            prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
            let shared = a.first() <= b.last() && b.first() <= a.last();
            prop_assert_eq!(a.overlaps(&b), shared);
        }

        #[test]
        fn text_and_value_are_one(bits: u128, length in 0u8..=128) {
            let prefix = Prefix::new(Ipv6Addr::from_bits(bits).into(), length).unwrap();
            prop_assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
            prop_assert_eq!(prefix.offset_of(prefix.last()), Some(prefix.last_offset()));
        }
    }
}
