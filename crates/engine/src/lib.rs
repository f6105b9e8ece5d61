//! Containers: their records, their life, their streams.

pub mod record;
pub mod spec;
