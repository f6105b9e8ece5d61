//! Spawns shims, talks to them, finds them again.
