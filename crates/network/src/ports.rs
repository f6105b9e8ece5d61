//! Which host port: the table of published ports and the choices over it.
//!
//! [`Table`] decides without I/O; [`hold`] asks the host whether one of its programs has the port, and keeps it;
//! [`proxy`] serves it where the kernel cannot translate.

use std::net::{IpAddr, SocketAddr};

use gantry_names::EndpointId;

use crate::failure::PortError;
use crate::record::PublishedPort;
use crate::spec::{HostPort, Protocol};

pub mod hold;
pub mod proxy;

/// Where the kernel's ephemeral range begins and ends when nobody says otherwise.
pub const EPHEMERAL: (u16, u16) = (32768, 60999);

/// Every published port of every endpoint.
#[derive(Debug, Default)]
pub struct Table {
    taken: Vec<(EndpointId, PublishedPort)>,
    /// Where the search for an ephemeral port goes on: behind the last one given.
    next: u16,
}

/// A run of ports wanted on every one of the addresses, under the same numbers.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Transport.
    pub protocol: Protocol,
    /// Host addresses, unspecified for all of a family.
    pub addresses: &'a [IpAddr],
    /// First container port.
    pub container_port: u16,
    /// How many.
    pub count: u16,
    /// Which host ports.
    pub host_port: HostPort,
}

impl Table {
    /// Chooses the first host port for what is wanted. `held` is asked about candidates that no endpoint has: it answers
    /// with what keeps the ports from the host's programs, or why they cannot be had.
    pub fn choose<H>(
        &mut self,
        wanted: &Wanted<'_>,
        ephemeral: (u16, u16),
        mut held: impl FnMut(u16) -> Result<H, PortError>,
    ) -> Result<(u16, H), PortError> {
        let span = wanted.count.checked_sub(1).ok_or(PortError::Range(wanted.container_port, 0))?;
        if wanted.container_port.checked_add(span).is_none() || wanted.container_port == 0 {
            return Err(PortError::Range(wanted.container_port, wanted.count));
        }
        match wanted.host_port {
            HostPort::From(first) => {
                if first.checked_add(span).is_none() || first == 0 {
                    return Err(PortError::Range(first, wanted.count));
                }
                self.conflict(wanted, first, span)?;
                held(first).map(|hold| (first, hold))
            }
            HostPort::OneOf(first, last) => self.search(wanted, first, last, first, span, held),
            HostPort::Any => {
                let (first, last) = ephemeral;
                let start = if (first..=last).contains(&self.next) { self.next } else { first };
                let found = self.search(wanted, first, last, start, span, &mut held)?;
                self.next = found.0.saturating_add(wanted.count);
                Ok(found)
            }
        }
    }

    /// Tries `start..=last`, then `first..start`.
    fn search<H>(
        &self,
        wanted: &Wanted<'_>,
        first: u16,
        last: u16,
        start: u16,
        span: u16,
        mut held: impl FnMut(u16) -> Result<H, PortError>,
    ) -> Result<(u16, H), PortError> {
        let mut refused = None;
        for candidate in (start..=last).chain(first..start) {
            if candidate == 0 || candidate.checked_add(span).is_none_or(|end| end > last) {
                continue;
            }
            if let Err(error) = self.conflict(wanted, candidate, span) {
                refused.get_or_insert(error);
                continue;
            }
            match held(candidate) {
                Ok(hold) => return Ok((candidate, hold)),
                Err(error) => drop(refused.get_or_insert(error)),
            }
        }
        let ip = wanted.addresses.first().copied().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        match refused {
            // One candidate: its own reason says more.
            Some(error) if first == last => Err(error),
            _ => Err(PortError::AllAllocated { ip, first, last }),
        }
    }

    fn conflict(&self, wanted: &Wanted<'_>, first: u16, span: u16) -> Result<(), PortError> {
        let end = first + span;
        for address in wanted.addresses {
            let clash = self.taken.iter().find(|(_, port)| {
                port.protocol == wanted.protocol
                    && port.host_port <= end
                    && first <= port.host_port + (port.count - 1)
                    && same_place(port.host_ip, *address)
            });
            if let Some((_, port)) = clash {
                return Err(PortError::Allocated(SocketAddr::new(*address, first.max(port.host_port))));
            }
        }
        Ok(())
    }

    /// Writes a published run down.
    pub fn insert(&mut self, endpoint: EndpointId, port: PublishedPort) {
        self.taken.push((endpoint, port));
    }

    /// Forgets what an endpoint had.
    pub fn release(&mut self, endpoint: &EndpointId) {
        self.taken.retain(|(owner, _)| owner != endpoint);
    }

    /// Forgets these of an endpoint's.
    pub fn give_back(&mut self, endpoint: &EndpointId, ports: &[PublishedPort]) {
        self.taken.retain(|(owner, port)| owner != endpoint || !ports.contains(port));
    }

    /// How many runs are published.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether nothing is published.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

/// Whether one packet could be meant for both host addresses.
pub(crate) fn same_place(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv6() == b.is_ipv6() && (a == b || a.is_unspecified() || b.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn free(_: u16) -> Result<(), PortError> {
        Ok(())
    }

    fn take(table: &mut Table, host: &str, host_port: HostPort, count: u16) -> Result<u16, PortError> {
        let addresses = [ip(host)];
        let wanted =
            Wanted { protocol: Protocol::Tcp, addresses: &addresses, container_port: 80, count, host_port };
        let (first, ()) = table.choose(&wanted, EPHEMERAL, free)?;
        table.insert(
            EndpointId::random(),
            PublishedPort {
                protocol: Protocol::Tcp,
                host_ip: ip(host),
                host_port: first,
                container_port: 80,
                count,
            },
        );
        Ok(first)
    }

    #[test]
    fn a_second_taker_is_told_in_dockers_words() {
        let mut table = Table::default();
        take(&mut table, "0.0.0.0", HostPort::From(80), 1).unwrap();
        let error = take(&mut table, "0.0.0.0", HostPort::From(80), 1).unwrap_err();
        assert_eq!(error.to_string(), "Bind for 0.0.0.0:80 failed: port is already allocated");
        assert!(
            take(&mut table, "127.0.0.1", HostPort::From(80), 1).is_err(),
            "all addresses include this one"
        );
        take(&mut table, "::", HostPort::From(80), 1).expect("another family");
        take(&mut table, "127.0.0.1", HostPort::From(81), 1).unwrap();
        take(&mut table, "127.0.0.2", HostPort::From(81), 1).expect("another address");
        let error = take(&mut table, "0.0.0.0", HostPort::From(70), 100).unwrap_err();
        assert_eq!(error, PortError::Allocated("0.0.0.0:80".parse().unwrap()));
    }

    #[test]
    fn ephemeral_ports_go_up_and_skip_the_hosts_own() {
        let mut table = Table::default();
        assert_eq!(take(&mut table, "0.0.0.0", HostPort::Any, 1).unwrap(), 32768);
        assert_eq!(take(&mut table, "0.0.0.0", HostPort::Any, 3).unwrap(), 32769);
        let addresses = [ip("0.0.0.0")];
        let wanted = Wanted {
            protocol: Protocol::Tcp,
            addresses: &addresses,
            container_port: 80,
            count: 1,
            host_port: HostPort::Any,
        };
        let busy = |port| {
            let host = SocketAddr::new(addresses[0], port);
            let error = PortError::Bind {
                host,
                container: String::new(),
                protocol: "tcp",
                why: "address in use".into(),
            };
            if port < 32775 { Err(error) } else { Ok(()) }
        };
        assert_eq!(table.choose(&wanted, EPHEMERAL, busy).unwrap().0, 32775);
    }

    #[test]
    fn a_range_gives_what_is_left_and_then_says_so() {
        let mut table = Table::default();
        assert_eq!(take(&mut table, "0.0.0.0", HostPort::OneOf(8000, 8001), 1).unwrap(), 8000);
        assert_eq!(take(&mut table, "0.0.0.0", HostPort::OneOf(8000, 8001), 1).unwrap(), 8001);
        let error = take(&mut table, "0.0.0.0", HostPort::OneOf(8000, 8001), 1).unwrap_err();
        assert_eq!(error.to_string(), "Bind for 0.0.0.0:8000-8001 failed: all ports are allocated");
        assert!(matches!(
            take(&mut table, "0.0.0.0", HostPort::From(65000), 1000),
            Err(PortError::Range(..))
        ));
    }

    proptest! {
        #[test]
        fn no_two_runs_ever_share_a_port(
            asks in proptest::collection::vec((0usize..4, 0u8..3, 1u16..200, 1u16..30), 1..60)
        ) {
            let hosts = ["0.0.0.0", "127.0.0.1", "10.0.0.1", "::"];
            let mut table = Table::default();
            for (host, way, port, count) in asks {
                let way = match way {
                    0 => HostPort::From(port),
                    1 => HostPort::OneOf(port, port + 20),
                    _ => HostPort::Any,
                };
                let _ = take(&mut table, hosts[host], way, count);
            }
            for (at, (_, a)) in table.taken.iter().enumerate() {
                for (_, b) in &table.taken[at + 1..] {
                    let apart = a.host_port + a.count <= b.host_port || b.host_port + b.count <= a.host_port;
                    prop_assert!(apart || !same_place(a.host_ip, b.host_ip));
                }
            }
        }
    }
}
