//! Which subnet, which address: pure choices over what is taken.
//!
//! There is no allocator with a memory of its own. What is taken is read from the rows (endpoints, networks), so an
//! address can neither leak nor be given twice as long as rows and choices are made under one lock.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::AddressPool;
use crate::failure::Error;
use crate::prefix::Prefix;
use crate::record::Pool;
use crate::spec::PoolSpec;

/// Docker's default address pools for IPv4, in its order.
const DEFAULTS: [(&str, u8); 7] = [
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
];

/// The pools to cut networks from: the configured ones, or Docker's. `site` is this host's own IPv6 prefix (/48), used when
/// no IPv6 pool is configured.
pub fn pools(configured: &[AddressPool], site: Prefix) -> Vec<AddressPool> {
    let mut pools = configured.to_vec();
    if !pools.iter().any(|pool| !pool.base.is_ipv6()) {
        pools.extend(DEFAULTS.iter().map(|(base, size)| AddressPool {
            base: base.parse().expect("the table above holds prefixes"),
            size: *size,
        }));
    }
    if !pools.iter().any(|pool| pool.base.is_ipv6()) {
        pools.push(AddressPool { base: site, size: 64 });
    }
    pools
}

/// The first piece of the pools that touches nothing in `taken`.
pub fn choose_subnet(pools: &[AddressPool], ipv6: bool, taken: &[Prefix]) -> Result<Prefix, Error> {
    for pool in pools.iter().filter(|pool| pool.base.is_ipv6() == ipv6 && pool.size >= pool.base.length()) {
        let mut candidate = Prefix::new(pool.base.first(), pool.size);
        while let Some(subnet) = candidate {
            match taken.iter().filter(|other| other.overlaps(&subnet)).max_by_key(|other| other.last()) {
                None => return Ok(subnet),
                // Jump behind whatever is in the way, in whole pieces.
                Some(other) => candidate = behind(pool, subnet.last().max(other.last())),
            }
        }
    }
    Err(Error::NoFreePool)
}

/// The first piece of the pool that lies wholly above `address`.
fn behind(pool: &AddressPool, address: IpAddr) -> Option<Prefix> {
    let piece = Prefix::new(address, pool.size)?;
    let step = piece.last_offset().checked_add(1)?;
    let offset = pool.base.offset_of(piece.first())?.checked_add(step)?;
    Prefix::new(pool.base.nth(offset)?, pool.size)
}

/// Checks what was asked for against itself; the words are Docker's.
pub fn validate(spec: &PoolSpec) -> Result<(), String> {
    let Some(subnet) = spec.subnet else {
        return match (spec.ip_range, spec.gateway) {
            (Some(range), _) => Err(format!("ip-range {range} needs a subnet")),
            _ => Ok(()),
        };
    };
    if subnet != subnet.network() {
        return Err(format!("invalid subnet {subnet}: it should be {}", subnet.network()));
    }
    if let Some(range) = spec.ip_range {
        if range != range.network() {
            return Err(format!("invalid ip-range {range}: it should be {}", range.network()));
        }
        if !subnet.covers(&range) {
            return Err(format!("invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"));
        }
    }
    if let Some(gateway) = spec.gateway
        && !subnet.contains(gateway)
    {
        return Err(format!(
            "invalid gateway {gateway}: parent subnet {subnet} doesn't contain this address"
        ));
    }
    for (name, address) in &spec.aux_addresses {
        if !subnet.contains(*address) {
            return Err(format!(
                "invalid auxiliary address {name}: parent subnet {subnet} doesn't contain this address {address}"
            ));
        }
    }
    Ok(())
}

/// The gateway of a pool when none was asked for: the first address of the range, else of the subnet.
pub fn default_gateway(subnet: Prefix, range: Option<Prefix>, aux: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let pool = Pool {
        subnet,
        ip_range: range,
        gateway: None,
        gateway_ours: true,
        aux_addresses: Default::default(),
        configured: false,
    };
    choose_address(&pool, aux)
}

/// The lowest free address of a pool. `taken` holds the leases; gateway and auxiliary addresses are known here.
pub fn choose_address(pool: &Pool, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let within = pool.ip_range.unwrap_or(pool.subnet);
    let mut offset = 0;
    loop {
        let address = within.nth(offset)?;
        if is_usable(pool, address) && !taken.contains(&address) {
            return Some(address);
        }
        offset = offset.checked_add(1)?;
    }
}

/// Whether containers may have this address at all.
fn is_usable(pool: &Pool, address: IpAddr) -> bool {
    let subnet = pool.subnet;
    let tiny = subnet.last_offset() <= 1;
    let edge = address == subnet.first() || !subnet.is_ipv6() && address == subnet.last();
    (tiny || !edge)
        && Some(address) != pool.gateway
        && !pool.aux_addresses.values().any(|aux| *aux == address)
}

/// Takes an address asked for by name.
pub fn claim_address(pool: &Pool, address: IpAddr, taken: &BTreeSet<IpAddr>) -> Result<(), Error> {
    // An auxiliary address is somebody's; the gateway is the bridge's.
    if taken.contains(&address) || !is_usable(pool, address) {
        return Err(Error::AddressInUse(address));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn site() -> Prefix {
        p("fd12:3456:789a::/48")
    }

    fn pool(subnet: &str, range: Option<&str>, gateway: &str) -> Pool {
        Pool {
            subnet: p(subnet),
            ip_range: range.map(p),
            gateway: Some(gateway.parse().unwrap()),
            gateway_ours: false,
            aux_addresses: Default::default(),
            configured: true,
        }
    }

    #[test]
    fn networks_come_in_dockers_order() {
        let pools = pools(&[], site());
        let mut taken = Vec::new();
        let mut seen = Vec::new();
        for _ in 0..31 {
            let subnet = choose_subnet(&pools, false, &taken).unwrap();
            taken.push(subnet);
            seen.push(subnet.to_string());
        }
        assert_eq!(seen[0], "172.17.0.0/16");
        assert_eq!(seen[3], "172.20.0.0/16");
        assert_eq!(seen[14], "172.31.0.0/16");
        assert_eq!(seen[15], "192.168.0.0/20");
        assert_eq!(seen[30], "192.168.240.0/20");
        assert!(matches!(choose_subnet(&pools, false, &taken), Err(Error::NoFreePool)));
        assert_eq!(choose_subnet(&pools, true, &[]).unwrap().to_string(), "fd12:3456:789a::/64");
    }

    #[test]
    fn the_hosts_routes_are_stepped_over() {
        let pools = pools(&[], site());
        let taken = [p("172.16.0.0/12"), p("192.168.1.0/24")];
        assert_eq!(choose_subnet(&pools, false, &taken).unwrap().to_string(), "192.168.16.0/20");
    }

    #[test]
    fn a_range_bounds_the_leases_and_the_gateway_keeps_its_own() {
        let pool = pool("10.0.0.0/24", Some("10.0.0.8/30"), "10.0.0.9");
        let mut taken = BTreeSet::new();
        let mut got = Vec::new();
        while let Some(address) = choose_address(&pool, &taken) {
            taken.insert(address);
            got.push(address.to_string());
        }
        assert_eq!(got, ["10.0.0.8", "10.0.0.10", "10.0.0.11"]);
    }

    #[test]
    fn claims_are_refused_where_somebody_is() {
        let pool = pool("10.0.0.0/24", None, "10.0.0.1");
        let taken = BTreeSet::from(["10.0.0.5".parse().unwrap()]);
        for address in ["10.0.0.0", "10.0.0.1", "10.0.0.5", "10.0.0.255"] {
            let error = claim_address(&pool, address.parse().unwrap(), &taken).unwrap_err();
            assert_eq!(error.to_string(), "Address already in use");
        }
        claim_address(&pool, "10.0.0.6".parse().unwrap(), &taken).unwrap();
    }

    #[test]
    fn what_contradicts_itself_is_told() {
        let spec = |subnet: &str, range: Option<&str>, gateway: Option<&str>| PoolSpec {
            subnet: Some(p(subnet)),
            ip_range: range.map(p),
            gateway: gateway.map(|g| g.parse().unwrap()),
            ..PoolSpec::default()
        };
        assert_eq!(
            validate(&spec("10.0.0.1/24", None, None)).unwrap_err(),
            "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"
        );
        assert!(validate(&spec("10.0.0.0/24", Some("10.0.1.0/28"), None)).is_err());
        assert!(validate(&spec("10.0.0.0/24", None, Some("10.0.1.1"))).is_err());
        validate(&spec("10.0.0.0/24", Some("10.0.0.0/28"), Some("10.0.0.254"))).unwrap();
    }

    proptest! {
        #[test]
        fn a_chosen_subnet_touches_nothing_taken(taken in proptest::collection::vec((any::<u32>(), 8u8..=28), 0..40)) {
            let pools = pools(&[], site());
            let taken: Vec<Prefix> = taken
                .into_iter()
                // Most of the space is far from the pools; fold it onto 172.16/12 and 192.168/16.
                .map(|(bits, length)| {
                    let base = if bits & 1 == 0 { 0xac10_0000 | bits >> 12 } else { 0xc0a8_0000 | bits >> 16 };
                    Prefix::new(std::net::Ipv4Addr::from_bits(base).into(), length).unwrap().network()
                })
                .collect();
            if let Ok(subnet) = choose_subnet(&pools, false, &taken) {
                prop_assert!(taken.iter().all(|other| !other.overlaps(&subnet)));
                prop_assert!(pools.iter().any(|pool| pool.base.covers(&subnet) && pool.size == subnet.length()));
            }
        }

        #[test]
        fn leases_are_distinct_and_inside(length in 24u8..=30, count in 0usize..80) {
            let pool = Pool {
                subnet: Prefix::new("10.1.2.0".parse().unwrap(), length).unwrap(),
                ip_range: None,
                gateway: Some("10.1.2.1".parse().unwrap()),
                gateway_ours: false,
                aux_addresses: Default::default(),
                configured: true,
            };
            let mut taken = BTreeSet::new();
            for _ in 0..count {
                match choose_address(&pool, &taken) {
                    Some(address) => {
                        prop_assert!(pool.subnet.contains(address) && Some(address) != pool.gateway);
                        prop_assert!(taken.insert(address));
                    }
                    None => prop_assert_eq!(taken.len() as u128, pool.subnet.last_offset() + 1 - 3),
                }
            }
        }
    }
}
