//! A line each.

use super::{Event, Progress, line, warn};

/// Lines on standard error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain {
    /// Nothing is done: each line says so.
    pub dry_run: bool,
}

impl Progress for Plain {
    fn tell(&self, event: Event) {
        let prefix = if self.dry_run { " DRY-RUN MODE - " } else { "" };
        line(&format!("{prefix} {} {} {}", event.what, event.text, event.status));
    }

    fn warn(&self, text: &str) {
        warn(text);
    }
}
