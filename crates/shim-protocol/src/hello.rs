//! The first frame of each side.

use serde::{Deserialize, Serialize};

/// The version of this protocol. A shim outlives the engine that started it, so an engine must be able to talk to
/// shims of the version before: a number is only raised when a frame's meaning changes, not when an optional
/// field or a request is added.
pub const VERSION: u32 = 1;

/// Who speaks, and in which version. The caller's comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The highest protocol version the speaker knows; the conversation uses the lower of the two.
    pub version: u32,
    /// The process that speaks.
    pub pid: u32,
}

impl Hello {
    /// The hello of this process.
    pub fn mine() -> Hello {
        Hello { version: VERSION, pid: std::process::id() }
    }
}
