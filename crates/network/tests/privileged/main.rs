//! Packets on real machines made of namespaces. Needs root.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod bridge;
mod by_hand;
mod forwarding;
mod killed;
mod life;
mod machines;
mod names;
mod ports;
mod rules;
mod succeed;
mod words;
