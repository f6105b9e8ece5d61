//! Containers: their records, their life, their streams.
