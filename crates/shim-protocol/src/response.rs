//! What a shim answers.

use gantry_errdefs::{Class, Classified};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ExitRecord;

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "re", rename_all = "snake_case")]
pub enum Response {
    /// Done.
    Ok,
    /// A program runs.
    Started {
        /// Its process, as the host counts.
        pid: u32,
    },
    /// The container's state.
    State {
        /// What it is doing.
        status: Status,
        /// Its first process, as the host counts; 0 once stopped.
        pid: u32,
        /// How it ended, once stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<ExitRecord>,
    },
    /// Not done.
    Failed(Failure),
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Made, its program does not run yet.
    Created,
    /// Its program runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended.
    Stopped,
}

/// Why a request was not done: a class to decide by and the text that Docker would print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure.
    #[serde(serialize_with = "class_to_word", deserialize_with = "class_from_word")]
    pub class: Class,
    /// What happened.
    pub message: String,
    /// When a program could not be started: the exit code Docker gives such a container, 126 (it cannot be
    /// executed), 127 (it is not there) or 125 (anything else).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl Failure {
    /// A failure that is not about starting a program.
    pub fn new(class: Class, message: impl Into<String>) -> Failure {
        Failure { class, message: message.into(), exit_code: None }
    }
}

impl Classified for Failure {
    fn class(&self) -> Class {
        self.class
    }
}

fn class_to_word<S: Serializer>(class: &Class, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(class.as_str())
}

fn class_from_word<'de, D: Deserializer<'de>>(from: D) -> Result<Class, D::Error> {
    Ok(Class::from_word(&String::deserialize(from)?))
}
