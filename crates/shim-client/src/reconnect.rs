//! Finding a shim again, after the engine's own restart.

use std::path::Path;
use std::time::Duration;

use gantry_shim_protocol::{ExitError, ExitRecord, Request};

use crate::connection::Connection;
use crate::shim::{Shim, state};
use crate::{ShimError, Shims, State};

/// What was found in a bundle.
#[derive(Debug)]
pub enum Found {
    /// A live shim, and what its container is doing. A container that ended while we were away may be here too,
    /// as stopped.
    Alive(Shim, State),
    /// No shim, but a record of how the container ended.
    Exited(ExitRecord),
    /// Neither: the shim was killed, or the machine went down, or nothing was ever spawned here. If the container
    /// should have been running, [`Shims::clean`] ends what is left of it.
    Nothing,
}

impl Shims {
    /// Looks for a bundle's shim. [`ShimError::Silent`] when something holds the socket and does not answer within
    /// `budget`: the container may be running, so it must not be cleaned away.
    pub async fn reconnect(&self, bundle: &Path, budget: Duration) -> Result<Found, ShimError> {
        let open = Connection::open(bundle, &Request::State);
        match tokio::time::timeout(budget, open).await {
            Ok(Ok((connection, response))) => {
                let state = state(response)?;
                Ok(Found::Alive(Shim::new(bundle, connection, state.pid), state))
            }
            Ok(Err(ShimError::Gone)) => match ExitRecord::read(bundle) {
                Ok(Some(record)) => Ok(Found::Exited(record)),
                Ok(None) | Err(ExitError::Damaged(_)) => Ok(Found::Nothing),
                Err(ExitError::Io(err)) => Err(ShimError::Io(err)),
            },
            Ok(Err(err)) => Err(err),
            Err(_) => Err(ShimError::Silent),
        }
    }
}
