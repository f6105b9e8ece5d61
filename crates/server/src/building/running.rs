//! Builds under way that a client has given an id, so that it can end them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// By the id a client chose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<String, CancellationToken>>>);

/// A build under way; forgotten when dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    running: Running,
    id: String,
    cancelled: CancellationToken,
}

impl Running {
    /// Notes a build. Without an id nobody can name it.
    pub(crate) fn enter(&self, id: &str) -> Entry {
        let cancelled = CancellationToken::new();
        if !id.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), cancelled.clone());
        }
        Entry { running: self.clone(), id: id.to_owned(), cancelled }
    }

    /// Ends a build. One that is over, or was never there, is ended already.
    pub(crate) fn cancel(&self, id: &str) {
        if let Some(cancelled) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            cancelled.cancel();
        }
    }
}

impl Entry {
    /// Resolves when somebody has asked for the build's end.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.id.is_empty() {
            self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        }
    }
}
