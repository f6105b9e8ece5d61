/// A limit of a container's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ulimit {
    /// Soft and hard alike.
    Single(i64),
    /// Each on its own.
    Both {
        /// What holds.
        soft: i64,
        /// What it may be raised to.
        hard: i64,
    },
}

impl Ulimit {
    /// What holds.
    pub fn soft(self) -> i64 {
        match self {
            Self::Single(limit) | Self::Both { soft: limit, .. } => limit,
        }
    }

    /// What it may be raised to.
    pub fn hard(self) -> i64 {
        match self {
            Self::Single(limit) | Self::Both { hard: limit, .. } => limit,
        }
    }
}
