//! A Dockerfile's text to a tree with spans. No I/O.
//!
//! [`parse`] reads a whole file into [`Dockerfile`]: the parser directives, the `ARG`s before the first `FROM`,
//! and the stages with their typed instructions. What depends on a build's arguments stays unexpanded text:
//! [`expand`] turns it into values when the builder knows them. [`ignore`] reads `.dockerignore`.
//!
//! It does not build, and it does not decide which instruction means what to an image.
//!
//! Start reading at [`instruction::Instruction`]; [`source`] shows how lines become instructions.
//! Source of the grammar: Docker's Dockerfile reference, and the behaviour of BuildKit's front end, quirks included.

pub mod check;
pub mod expand;
pub mod flags;
mod healthcheck;
pub mod ignore;
pub mod instruction;
pub mod mount;
pub mod source;
pub mod stage;
pub mod suggest;
mod understand;
pub mod words;

pub use instruction::{Instruction, Located};
pub use source::text;
pub use stage::{Dockerfile, Stage, parse};
pub use understand::is_instruction;

/// Lines of the file that something stands on, first and last, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First line.
    pub first: usize,
    /// Last line; equal to the first for most instructions.
    pub last: usize,
}

/// Why a text is not a Dockerfile: where, and in Docker's words what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dockerfile parse error on line {}: {message}", span.first)]
pub struct ParseError {
    /// The lines of the instruction that is wrong.
    pub span: Span,
    /// What is wrong with it.
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}
