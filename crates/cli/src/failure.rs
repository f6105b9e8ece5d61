//! How a command ends when it does not end well, and with which exit code.
//!
//! 1 is a failure of the command, 125 of the client or the engine before a container ran, 126 a program that could
//! not be executed, 127 one that was not found, 128+n a signal; a container's own code passes through.

use std::fmt;
use std::io;

use gantry_client::{ClientError, EndpointError};

/// The end of a command.
pub type Outcome = Result<(), Failure>;

/// A command that failed, or that ends with a code of its own.
#[derive(Debug)]
pub enum Failure {
    /// A text for the person and a code for the shell.
    Text {
        /// The exit code.
        code: u8,
        /// What to print to standard error; nothing when empty.
        text: String,
    },
    /// A call to the engine failed.
    Client(ClientError),
}

impl Failure {
    /// A text with a code.
    pub fn text(code: u8, text: impl Into<String>) -> Failure {
        Failure::Text { code, text: text.into() }
    }

    /// Only a code: everything was told already.
    pub fn silent(code: u8) -> Failure {
        Failure::Text { code, text: String::new() }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Text { code, .. } => *code,
            Failure::Client(_) => 1,
        }
    }

    /// Several failures as one, a line each; nothing when there is none.
    pub fn all(texts: Vec<String>) -> Outcome {
        if texts.is_empty() { Ok(()) } else { Err(Failure::text(1, texts.join("\n"))) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Text { text, .. } => f.write_str(text),
            Failure::Client(err) => f.write_str(&crate::terminal::without_numbers(&err.to_string())),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(err: ClientError) -> Failure {
        Failure::Client(err)
    }
}

impl From<EndpointError> for Failure {
    fn from(err: EndpointError) -> Failure {
        Failure::text(1, err.to_string())
    }
}

impl From<gantry_compose::Failed> for Failure {
    fn from(err: gantry_compose::Failed) -> Failure {
        Failure::text(1, err.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Failure {
        Failure::text(1, crate::terminal::io_text(&err))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::text(1, text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Failure {
        Failure::text(1, text)
    }
}
