//! Contexts that come in the bodies of other requests than the one that asks for their build.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

/// How long a build waits for its context, and a context for its build.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where such contexts seem to be.
pub(crate) const ADDRESS: &str = "http://buildkit-upload/";

struct Offer {
    pieces: mpsc::Receiver<Vec<u8>>,
    taken: oneshot::Sender<()>,
}

/// All contexts that wait for their builds.
#[derive(Default)]
pub(crate) struct Uploads {
    offers: Mutex<HashMap<String, Offer>>,
    changed: Notify,
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Uploads")
    }
}

impl Uploads {
    /// Offers a context to the build of this name. Whether it took it.
    pub(crate) async fn offer(&self, id: &str, pieces: mpsc::Receiver<Vec<u8>>) -> bool {
        let (taken, heard) = oneshot::channel();
        self.offers().insert(id.to_owned(), Offer { pieces, taken });
        self.changed.notify_waiters();
        let was = tokio::time::timeout(PATIENCE, heard).await.is_ok_and(|taken| taken.is_ok());
        if !was {
            self.offers().remove(id);
        }
        was
    }

    /// The context of this name, waited for within reason.
    pub(crate) async fn take(&self, id: &str) -> Option<mpsc::Receiver<Vec<u8>>> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(offer) = self.offers().remove(id) {
                    // The one who offers may have given up at this moment: the pieces end then.
                    let _heard = offer.taken.send(()).is_ok();
                    return offer.pieces;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.ok()
    }

    fn offers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Offer>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
