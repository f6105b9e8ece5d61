//! The table: dockerd's flags in dockerd's words, and ours.

use super::Kind::{Flag, List, Map, Maps, Number, Pools, Runtimes, Switches, Text, Ulimits};
use super::Meaning::{Kept, Refused, Told};
use super::{Kind, Meaning, Setting};

const NO_CONTAINERD: Meaning = Told("this engine is one program and needs no containerd");
const NO_SWARM: Meaning = Told("this engine does not form swarms");
const NO_CDI: Meaning = Told("this engine injects no CDI devices");
const NO_FAR_PUSH: Meaning = Told("layers are pushed as they came");

const fn s(
    flag: &'static str,
    key: &'static str,
    kind: Kind,
    meaning: Meaning,
    help: &'static str,
) -> Setting {
    Setting { flag, short: None, key, kind, meaning, help }
}

const fn short(setting: Setting, letter: char) -> Setting {
    Setting { short: Some(letter), ..setting }
}

/// Every setting, by flag.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[Setting] = &[
    // Where it lives and who may ask it.
    short(s("host", "hosts", List, Kept, "Daemon socket(s) to listen on"), 'H'),
    short(s("group", "group", Text, Kept, "Group for the unix socket"), 'G'),
    short(s("pidfile", "pidfile", Text, Kept, "Path to use for daemon PID file"), 'p'),
    s("data-root", "data-root", Text, Kept, "Root directory of persistent state"),
    s("exec-root", "exec-root", Text, Kept, "Root directory for execution state files"),
    s("tls", "tls", Flag, Kept, "Use TLS; implied by --tlsverify"),
    s("tlsverify", "tlsverify", Flag, Kept, "Use TLS and verify the remote"),
    s("tlscacert", "tlscacert", Text, Kept, "Trust certs signed only by this CA"),
    s("tlscert", "tlscert", Text, Kept, "Path to TLS certificate file"),
    s("tlskey", "tlskey", Text, Kept, "Path to TLS key file"),
    s("drop-in", "drop-in", Flag, Kept, "Take Docker's own socket, bridge and paths instead of Gantry's"),
    s("authorization-plugin", "authorization-plugins", List, Refused("authorization plugins are not loaded: requests would go unasked"), "Authorization plugins to load"),
    s("api-cors-header", "api-cors-header", Text, Refused("the \"api-cors-header\" option has been removed; use a reverse proxy if you need CORS headers"), "Set CORS headers in the Engine API (removed)"),

    // What it says.
    short(s("debug", "debug", Flag, Kept, "Enable debug mode"), 'D'),
    short(s("log-level", "log-level", Text, Kept, "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\")"), 'l'),
    s("log-format", "log-format", Text, Kept, "Set the logging format (\"text\"|\"json\")"),
    s("raw-logs", "raw-logs", Flag, Kept, "Full timestamps without ANSI coloring"),
    s("label", "labels", List, Kept, "Set key=value labels to the daemon"),
    s("experimental", "experimental", Flag, Kept, "Enable experimental features"),
    s("feature", "features", Switches, Told("no feature is behind a switch"), "Enable feature in the daemon"),
    s("metrics-addr", "metrics-addr", Text, Told("metrics are not served yet"), "Set default address and port to serve the metrics api on"),

    // How it ends.
    s("live-restore", "live-restore", Flag, Kept, "Keep containers running while the daemon is stopped"),
    s("shutdown-timeout", "shutdown-timeout", Number, Kept, "Set the default shutdown timeout"),
    short(s("restart", "restart", Flag, Told("restart policies are the containers' own"), "Deprecated in favor of --restart policies on run"), 'r'),

    // What containers get when they ask for nothing.
    s("log-driver", "log-driver", Text, Kept, "Default driver for container logs"),
    s("log-opt", "log-opts", Map, Kept, "Default log driver options for containers"),
    s("default-runtime", "default-runtime", Text, Kept, "Default OCI runtime for containers"),
    s("add-runtime", "runtimes", Runtimes, Kept, "Register an additional OCI compatible runtime"),
    s("default-shm-size", "default-shm-size", Text, Kept, "Default shm size for containers"),
    s("default-ulimit", "default-ulimits", Ulimits, Kept, "Default ulimits for containers"),
    s("default-ipc-mode", "default-ipc-mode", Text, Kept, "Default mode for containers ipc (\"shareable\" | \"private\")"),
    s("default-cgroupns-mode", "default-cgroupns-mode", Text, Kept, "Default mode for containers cgroup namespace (\"host\" | \"private\")"),
    s("cgroup-parent", "cgroup-parent", Text, Kept, "Set parent cgroup for all containers"),
    s("init", "init", Flag, Kept, "Run an init in the container to forward signals and reap processes"),
    s("init-path", "init-path", Text, Told("the init is built in"), "Path to the docker-init binary"),
    s("no-new-privileges", "no-new-privileges", Flag, Kept, "Set no-new-privileges by default for new containers"),
    s("seccomp-profile", "seccomp-profile", Text, Kept, "Path to seccomp profile. Set to \"unconfined\" to disable the default seccomp profile"),
    s("selinux-enabled", "selinux-enabled", Flag, Kept, "Enable selinux support"),
    s("userns-remap", "userns-remap", Text, Refused("user namespaces for every container are not there yet: containers would run as the host's root"), "User/Group setting for user namespaces"),
    s("rootless", "rootless", Flag, Refused("rootless mode is not there yet"), "Enable rootless mode; typically used with RootlessKit"),
    s("exec-opt", "exec-opts", List, Told("cgroups are written directly, by the layout this machine has"), "Runtime execution options"),
    s("cpu-rt-period", "cpu-rt-period", Number, Told("the parent cgroup's real-time budget is the host's to set"), "Limit the CPU real-time period in microseconds for the parent cgroup"),
    s("cpu-rt-runtime", "cpu-rt-runtime", Number, Told("the parent cgroup's real-time budget is the host's to set"), "Limit the CPU real-time runtime in microseconds for the parent cgroup"),
    s("cdi-spec-dir", "cdi-spec-dirs", List, NO_CDI, "CDI specification directories to use"),
    s("node-generic-resource", "node-generic-resources", List, NO_SWARM, "Advertise user-defined resource"),

    // Images.
    short(s("storage-driver", "storage-driver", Text, Kept, "Storage driver to use"), 's'),
    s("storage-opt", "storage-opts", List, Kept, "Storage driver options"),
    s("insecure-registry", "insecure-registries", List, Kept, "Enable insecure registry communication"),
    s("registry-mirror", "registry-mirrors", List, Kept, "Preferred registry mirror"),
    s("allow-nondistributable-artifacts", "allow-nondistributable-artifacts", List, NO_FAR_PUSH, "Allow push of nondistributable artifacts to registry"),
    s("max-concurrent-downloads", "max-concurrent-downloads", Number, Kept, "Set the max concurrent downloads"),
    s("max-concurrent-uploads", "max-concurrent-uploads", Number, Kept, "Set the max concurrent uploads"),
    s("max-download-attempts", "max-download-attempts", Number, Kept, "Set the max download attempts for each pull"),
    s("http-proxy", "http-proxy", Text, Kept, "HTTP proxy URL to use for outgoing traffic"),
    s("https-proxy", "https-proxy", Text, Kept, "HTTPS proxy URL to use for outgoing traffic"),
    s("no-proxy", "no-proxy", Text, Kept, "Comma-separated list of hosts or IP addresses for which the proxy is skipped"),

    // Networks.
    short(s("bridge", "bridge", Text, Kept, "Attach containers to a network bridge"), 'b'),
    s("bip", "bip", Text, Kept, "IPv4 address for the default bridge"),
    s("bip6", "bip6", Text, Kept, "IPv6 address for the default bridge"),
    s("fixed-cidr", "fixed-cidr", Text, Kept, "IPv4 subnet for the default bridge network"),
    s("fixed-cidr-v6", "fixed-cidr-v6", Text, Kept, "IPv6 subnet for the default bridge network"),
    s("default-gateway", "default-gateway", Text, Kept, "Default gateway IPv4 address for the default bridge network"),
    s("default-gateway-v6", "default-gateway-v6", Text, Kept, "Default gateway IPv6 address for the default bridge network"),
    s("mtu", "mtu", Number, Kept, "Set the MTU for the default \"bridge\" network"),
    s("ip", "ip", Text, Kept, "Host IP for port publishing from the default bridge network"),
    s("icc", "icc", Flag, Kept, "Enable inter-container communication for the default bridge network"),
    s("ipv6", "ipv6", Flag, Kept, "Enable IPv6 networking for the default bridge network"),
    s("ip-forward", "ip-forward", Flag, Kept, "Enable IP forwarding in system configuration"),
    s("ip-forward-no-drop", "ip-forward-no-drop", Flag, Told("the host's FORWARD policy is never touched"), "Do not set the filter-FORWARD policy to DROP when enabling IP forwarding"),
    s("ip-masq", "ip-masq", Flag, Kept, "Enable IP masquerading for the default bridge network"),
    s("iptables", "iptables", Flag, Kept, "Enable addition of packet rules"),
    s("ip6tables", "ip6tables", Flag, Told("IPv6 rules go with --iptables"), "Enable addition of ip6tables rules"),
    s("firewall-backend", "firewall-backend", Text, Kept, "Firewall backend to use (\"nftables\"|\"iptables\")"),
    s("userland-proxy", "userland-proxy", Flag, Kept, "Copy between IPv6 callers and IPv4 containers, and from ::1, which the kernel cannot translate"),
    s("userland-proxy-path", "userland-proxy-path", Text, Told("the proxy is built in"), "Path to the userland proxy binary"),
    s("allow-direct-routing", "allow-direct-routing", Flag, Told("published ports are reachable through the host only"), "Allow remote access to published ports on container IP addresses"),
    s("default-address-pool", "default-address-pools", Pools, Kept, "Default address pools for node specific local networks"),
    s("default-network-opt", "default-network-opts", Maps, Told("networks take their options at creation"), "Default network options"),
    s("dns", "dns", List, Kept, "DNS server to use"),
    s("dns-opt", "dns-opts", List, Kept, "DNS options to use"),
    s("dns-search", "dns-search", List, Kept, "DNS search domains to use"),
    s("host-dns", "host-dns", Text, Kept, "Answer <container>.<suffix> on the host, at this address (ADDRESS[:PORT], port 53)"),
    s("host-dns-suffix", "host-dns-suffix", Text, Kept, "Suffix of containers' names on the host (default \"gantry\")"),
    s("host-gateway-ip", "host-gateway-ips", List, Kept, "IP addresses that the special 'host-gateway' string in --add-host resolves to. Defaults to the IP addresses of the default bridge"),
    s("network-control-plane-mtu", "network-control-plane-mtu", Number, NO_SWARM, "Network Control plane MTU"),
    s("network-diagnostic-port", "network-diagnostic-port", Number, NO_SWARM, "TCP port number of the network diagnostic server"),
    s("swarm-default-advertise-addr", "swarm-default-advertise-addr", Text, NO_SWARM, "Set default address or interface for swarm advertised address"),

    // What other engines are made of.
    s("containerd", "containerd", Text, NO_CONTAINERD, "containerd grpc address"),
    s("containerd-namespace", "containerd-namespace", Text, NO_CONTAINERD, "Containerd namespace to use"),
    s("containerd-plugins-namespace", "containerd-plugins-namespace", Text, NO_CONTAINERD, "Containerd namespace to use for plugins"),
    s("cri-containerd", "cri-containerd", Flag, NO_CONTAINERD, "start containerd with cri"),
];
