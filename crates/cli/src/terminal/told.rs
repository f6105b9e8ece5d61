//! Told to end in the middle: what the work holds of the terminal (raw keys, no echo) is put back first.

use std::pin::pin;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Does `work` until it is done or a signal tells the program to end; then the exit code is the signal's.
pub async fn until_told<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let arrival = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut arrivals) => drop(arrivals.recv().await),
            // Nobody can tell us then; the work goes on.
            Err(_) => std::future::pending().await,
        }
        // Exit codes of signals are 128 and their number, which is small.
        Failure::silent(128 + kind.as_raw_value() as u8)
    };
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        told = arrival(SignalKind::interrupt()) => Err(told),
        told = arrival(SignalKind::terminate()) => Err(told),
        told = arrival(SignalKind::hangup()) => Err(told),
        told = arrival(SignalKind::quit()) => Err(told),
    }
}
