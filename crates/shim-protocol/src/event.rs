//! What a subscriber is told.

use gantry_names::ExecId;
use serde::{Deserialize, Serialize};

use crate::ExitRecord;

/// Something that happened in the container.
///
/// `Exited` is told last: when it arrives, the exit is on disk (for the container) and all output of that process
/// has been handed to its attachments and to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A program runs.
    Started {
        /// Which: `None` is the container's first process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<ExecId>,
        /// Its process, as the host counts.
        pid: u32,
    },
    /// The kernel killed something in the container for want of memory.
    Oom,
    /// A program ended.
    Exited {
        /// Which: `None` is the container's first process, and with it the container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<ExecId>,
        /// How.
        #[serde(flatten)]
        record: ExitRecord,
    },
}
