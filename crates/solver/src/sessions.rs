//! The sessions that are open, by the id their clients chose.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::session::Caller;
use tokio::sync::Notify;

/// A client dials its session and asks for the build at once: one may come before the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// All open sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Caller>>,
    changed: Notify,
}

/// A session's place; it is given up with this.
pub(crate) struct Entered<'a> {
    sessions: &'a Sessions,
    id: String,
}

impl Sessions {
    /// Makes a session known.
    pub(crate) fn enter(&self, id: &str, caller: Caller) -> Entered<'_> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), caller);
        self.changed.notify_waiters();
        Entered { sessions: self, id: id.to_owned() }
    }

    /// The session of this id, waited for within reason.
    pub(crate) async fn get(&self, id: &str) -> Result<Caller, Status> {
        // Clients put a prefix before ids of sessions that several builds share.
        let id = id.split_once(':').map_or(id, |(_, id)| id);
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
                    return found.clone();
                }
                changed.await;
            }
        };
        let none = || {
            Status::new(Code::Unavailable, format!("no active session for {id}: context deadline exceeded"))
        };
        tokio::time::timeout(PATIENCE, wait).await.map_err(|_| none())
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.sessions.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
