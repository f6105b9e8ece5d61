//! Links, addresses, routes and nftables by message.
