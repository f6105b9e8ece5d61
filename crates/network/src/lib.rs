//! Sandboxes, networks, endpoints, address pools, ports, names.
