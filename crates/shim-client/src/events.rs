//! A subscription to a shim's events.

use std::path::{Path, PathBuf};

use gantry_names::ExecId;
use gantry_shim_protocol::{Event, ExitError, ExitRecord, Request};

use crate::ShimError;
use crate::connection::Connection;
use crate::shim::done;

/// How a container or session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It ended, and this is how.
    Recorded(ExitRecord),
    /// The shim is gone and left no record: it was killed. What is left of the container needs
    /// [`crate::Shims::clean`].
    Lost,
}

impl Exit {
    pub(crate) fn on_disk(bundle: &Path, session: Option<&ExecId>) -> Result<Exit, ShimError> {
        if session.is_some() {
            return Ok(Exit::Lost);
        }
        match ExitRecord::read(bundle) {
            Ok(Some(record)) => Ok(Exit::Recorded(record)),
            Ok(None) | Err(ExitError::Damaged(_)) => Ok(Exit::Lost),
            Err(ExitError::Io(err)) => Err(ShimError::Io(err)),
        }
    }
}

/// Events of one shim, in order.
#[derive(Debug)]
pub struct Events {
    connection: Connection,
    bundle: PathBuf,
}

impl Events {
    pub(crate) async fn open(bundle: &Path) -> Result<Events, ShimError> {
        let (connection, response) = Connection::open(bundle, &Request::Subscribe).await?;
        done(response)?;
        Ok(Events { connection, bundle: bundle.to_owned() })
    }

    /// The next event; `None` when the shim has exited (or was killed: then the container's `Exited` never came).
    /// Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Event>, ShimError> {
        self.connection.next().await
    }

    /// Waits for the end of the container (`None`) or of a session. Other events are skipped.
    pub async fn exit_of(&mut self, wanted: Option<&ExecId>) -> Result<Exit, ShimError> {
        while let Some(event) = self.next().await? {
            if let Event::Exited { session, record } = event
                && session.as_ref() == wanted
            {
                return Ok(Exit::Recorded(record));
            }
        }
        Exit::on_disk(&self.bundle, wanted)
    }
}
