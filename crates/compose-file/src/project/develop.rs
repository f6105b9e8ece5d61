use super::{Extensions, Hook};

/// What is done while the sources are being worked on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Develop {
    /// What to watch.
    pub watch: Vec<Trigger>,
    /// The user's own.
    pub extensions: Extensions,
}

/// A path to watch, and what a change there does.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The file or folder.
    pub path: String,
    /// What a change does.
    pub action: WatchAction,
    /// Where in the container it is copied to.
    pub target: String,
    /// What runs in the container after a copy.
    pub exec: Option<Hook>,
    /// Patterns that alone count.
    pub include: Vec<String>,
    /// Patterns that do not count.
    pub ignore: Vec<String>,
    /// Copies all once at the beginning.
    pub initial_sync: bool,
    /// The user's own.
    pub extensions: Extensions,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchAction {
    /// Copies it into the containers.
    Sync,
    /// Builds the image and makes the containers anew.
    Rebuild,
    /// Restarts the containers.
    Restart,
    /// Copies, then restarts.
    SyncRestart,
    /// Copies, then runs a command.
    SyncExec,
}

impl WatchAction {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Rebuild => "rebuild",
            Self::Restart => "restart",
            Self::SyncRestart => "sync+restart",
            Self::SyncExec => "sync+exec",
        }
    }
}
