//! The engine-wide network settings: `gantry daemon`'s network flags, parsed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::prefix::Prefix;
use crate::spec::DnsSpec;

/// Everything `Networks::open` needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Namespaces are mounted under `<exec-root>/netns/<container id's first 12 digits>`.
    pub exec_root: PathBuf,
    /// Runs the name servers of the sandboxes.
    pub runtime: tokio::runtime::Handle,
    /// The network that containers join when none is named.
    pub default_bridge: DefaultBridge,
    /// `--default-address-pool`; empty means Docker's.
    pub default_address_pools: Vec<AddressPool>,
    /// `--iptables` and `--firewall-backend`.
    pub firewall: Firewall,
    /// `--ip-forward`: turn the kernel's forwarding on when a bridge network needs it.
    pub ip_forward: bool,
    /// `--userland-proxy`: copy where the kernel cannot translate (IPv6 callers of IPv4 containers, `::1`, no rules).
    pub userland_proxy: bool,
    /// `--dns`, `--dns-search`, `--dns-opt` of the engine.
    pub dns: DnsSpec,
    /// The host's resolver file, `/etc/resolv.conf`; followed while running.
    pub resolv_conf: PathBuf,
    /// `--host-gateway-ip`: what `host-gateway` means in `--add-host`; empty is the default bridge's address.
    pub host_gateway: Vec<IpAddr>,
    /// Answer `<container>.<suffix>` on the host as well.
    pub host_names: Option<HostNames>,
}

/// A name server on the host for the containers' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames {
    /// Where to listen, UDP and TCP.
    pub listen: SocketAddr,
    /// `gantry`, or `docker` for Muguet's users; without dots at the ends.
    pub suffix: String,
}

/// Who writes packet rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firewall {
    /// Our private nftables table, by netlink.
    #[default]
    Nftables,
    /// `--firewall-backend=iptables`: the book's chains, by the `iptables` program.
    Iptables,
    /// `--iptables=false`: nobody. Published ports then need the host's own rules.
    None,
}

/// A pool from which networks get subnets: cut `base` into pieces of `size` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole.
    pub base: Prefix,
    /// Prefix length of a piece.
    pub size: u8,
}

/// The default bridge and its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultBridge {
    /// False with `-b none`: there is no default bridge network.
    pub enabled: bool,
    /// Interface name: `gantry0`, `docker0` as a drop-in, or the argument of `-b`.
    pub name: String,
    /// `-b BRIDGE`: the host's own bridge; its addresses are taken as they are and it is never deleted.
    pub external: bool,
    /// `--bip`: the bridge's address and subnet.
    pub bip: Option<Prefix>,
    /// `--bip6`.
    pub bip6: Option<Prefix>,
    /// `--fixed-cidr`: containers get addresses from here.
    pub fixed_cidr: Option<Prefix>,
    /// `--fixed-cidr-v6`.
    pub fixed_cidr_v6: Option<Prefix>,
    /// `--default-gateway`: another gateway than the bridge's address.
    pub default_gateway: Option<IpAddr>,
    /// `--default-gateway-v6`.
    pub default_gateway_v6: Option<IpAddr>,
    /// `--mtu`; 0 means the link's default, 1500.
    pub mtu: u32,
    /// `--ip`: host address of published ports that name none.
    pub host_ip: Option<IpAddr>,
    /// `--ip-masq`.
    pub masquerade: bool,
    /// `--icc`: containers of the default bridge may talk to each other.
    pub icc: bool,
    /// `--ipv6`.
    pub ipv6: bool,
}

impl Default for DefaultBridge {
    fn default() -> Self {
        DefaultBridge {
            enabled: true,
            name: "gantry0".to_owned(),
            external: false,
            bip: None,
            bip6: None,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            default_gateway: None,
            default_gateway_v6: None,
            mtu: 0,
            host_ip: None,
            masquerade: true,
            icc: true,
            ipv6: false,
        }
    }
}

impl Config {
    /// Docker's defaults under the given directory, served by the given runtime.
    pub fn new(exec_root: PathBuf, runtime: tokio::runtime::Handle) -> Config {
        Config {
            exec_root,
            runtime,
            default_bridge: DefaultBridge::default(),
            default_address_pools: Vec::new(),
            firewall: Firewall::Nftables,
            ip_forward: true,
            userland_proxy: true,
            dns: DnsSpec::default(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            host_gateway: Vec::new(),
            host_names: None,
        }
    }
}
