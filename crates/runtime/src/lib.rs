//! An OCI bundle to a process, and its life.
