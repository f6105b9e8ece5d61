//! A label, taken apart.

use std::fmt;

/// `user:role:type:level`; the level may have colons of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    pub user: String,
    pub role: String,
    pub kind: String,
    pub level: String,
}

impl Context {
    /// `None` when a part is missing.
    pub(crate) fn parse(text: &str) -> Option<Context> {
        let mut parts = text.splitn(4, ':').map(str::to_owned);
        Some(Context { user: parts.next()?, role: parts.next()?, kind: parts.next()?, level: parts.next()? })
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.user, self.role, self.kind, self.level)
    }
}
