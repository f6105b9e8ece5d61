//! A seccomp profile compiled to one BPF program.
pub mod spec;

/// A profile that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(String),
}
