//! Stopping in the middle of a piece of work without leaving a request behind that nobody waits for.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::client::Client;

/// Lets requests through until it is closed, and knows how many of those that change something are under way.
pub(crate) struct Gate {
    closed: AtomicBool,
    under_way: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate { closed: AtomicBool::new(false), under_way: watch::Sender::new(0) }
    }
}

/// A request that is under way, until dropped.
pub(crate) struct UnderWay<'g>(&'g Gate);

impl Gate {
    /// Goes on at once, or never when the gate is closed.
    pub(crate) async fn pass(&self) {
        if self.closed.load(Ordering::Acquire) {
            std::future::pending().await
        }
    }

    /// Passes with a request that is waited for.
    pub(crate) async fn enter(&self) -> UnderWay<'_> {
        self.pass().await;
        self.under_way.send_modify(|n| *n += 1);
        UnderWay(self)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|n| *n -= 1);
    }
}

impl Client {
    /// The same engine over the same connections, with a gate of its own: closing it holds up nobody else.
    #[must_use]
    pub fn apart(&self) -> Client {
        let mut apart = self.clone();
        apart.gate = std::sync::Arc::default();
        apart
    }

    /// From now on no request is sent: whoever wants to send one waits for ever. Those under way come to their end.
    pub fn hold(&self) {
        self.gate.closed.store(true, Ordering::Release);
    }

    /// Whether a request that changes something is under way. One whose answer is a stream (a pull, a build) is not
    /// counted: leaving ends it.
    pub fn is_at_rest(&self) -> bool {
        *self.gate.under_way.borrow() == 0
    }

    /// Waits until none is.
    pub async fn at_rest(&self) {
        // The sender is ours: it is there as long as we are.
        let _ = self.gate.under_way.subscribe().wait_for(|n| *n == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_in_and_waits_for_those_inside() {
        let gate = Gate::default();
        let inside = gate.enter().await;
        gate.closed.store(true, Ordering::Release);
        assert!(tokio::time::timeout(Duration::from_millis(20), gate.enter()).await.is_err());
        assert_eq!(*gate.under_way.borrow(), 1);
        drop(inside);
        assert_eq!(*gate.under_way.borrow(), 0);
    }
}
