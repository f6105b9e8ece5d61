//! A seccomp profile compiled to one BPF program.
//!
//! What this is: the OCI form ([`spec::Seccomp`]) to a program for this host's architectures ([`compile`]), and
//! Docker's form, with its default profile, to the OCI one ([`docker`]).
//! What it is not: an installer (that is `gantry-sys`), and not libseccomp: one pass, no library, microseconds.
//! Start reading at [`compile`], then `rules.rs` (a profile as a decision for each number) and `assemble.rs`
//! (decisions as a search tree).

mod assemble;
pub mod docker;
mod program;
mod rules;
pub mod spec;
mod syscalls;

pub use program::Program;
pub use rules::{ACTIONS, ARCHITECTURES, FLAGS, OPERATORS};

use rules::Family;

/// A profile that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word of the profile that nobody knows.
    #[error("{what} {word:?} is not known")]
    Unknown {
        /// `action`, `operator`, `architecture`, `flag`.
        what: &'static str,
        /// As it was written.
        word: String,
    },
    /// A profile that contradicts itself or the kernel.
    #[error("{0}")]
    Invalid(String),
    /// More rules than the kernel takes in one program.
    #[error("the profile needs {0} instructions, and the kernel takes at most 4096")]
    TooLong(usize),
    /// Bytes that are not a [`Program`].
    #[error("not a compiled seccomp program: {0}")]
    Damaged(&'static str),
    /// A profile in Docker's form that is not JSON of that form.
    #[error("Decoding seccomp profile failed: {0}")]
    Json(#[from] serde_json::Error),
}

/// Compiles a profile for the machine this runs on.
pub fn compile(profile: &spec::Seccomp) -> Result<Program, Error> {
    compile_for(profile, Family::host()?)
}

fn compile_for(profile: &spec::Seccomp, family: Family) -> Result<Program, Error> {
    let flags = rules::flags(profile)?;
    let areas = rules::areas(profile, family)?;
    let instructions = assemble::program(&areas);
    if instructions.len() > 4096 {
        return Err(Error::TooLong(instructions.len()));
    }
    Ok(Program { instructions, flags })
}

#[cfg(test)]
mod tests;
