//! Ctrl-C in the middle of a verb that changes something.
//!
//! No further step is taken then. What the engine is doing for us already comes to its end, or else the next command
//! would meet names that are taken by nobody and networks that go as it looks at them. The second Ctrl-C leaves at
//! once; what is left under way by that, the next `up` sees and waits for (`gantry_compose::up::bring`).

use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Outcome};
use crate::print;
use crate::session::Session;

/// The longest that is waited for the engine. A stop takes as long as the container's patience, usually ten seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// As a shell has it: 128 and SIGINT's number.
const INTERRUPTED: u8 = 130;

/// The verbs that change something; Ctrl-C ends all others at once.
const VERBS: [&str; 14] = [
    "create", "down", "kill", "pause", "restart", "rm", "rollback", "run", "scale", "start", "stop",
    "unpause", "up", "watch",
];

/// Does a verb's work until it is done or ended by Ctrl-C.
pub async fn guarded(s: &Session, verb: &str, work: impl Future<Output = Outcome>) -> Outcome {
    if !VERBS.contains(&verb) {
        return work.await;
    }
    let mut work = pin!(work);
    // The work goes first: until it asks the engine for something (it may read a file from the keyboard) Ctrl-C ends it.
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = async {} => {}
    }
    let mut signals = Signals::new()?;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = signals.next() => if !s.forwards_signals() { break },
        }
    }
    let client = s.client()?;
    client.hold();
    if client.is_at_rest() {
        return Err(Failure::silent(INTERRUPTED));
    }
    let names = s.under_way().names();
    let what = if names.is_empty() { "the engine's answer".to_owned() } else { names.join(", ") };
    print::err(&format!("Interrupted: waiting for {what}; Ctrl-C again leaves at once"));
    tokio::select! {
        // It has to go on for its requests to come to their end.
        _ = &mut work => {}
        () = client.at_rest() => {}
        () = signals.next() => {}
        () = tokio::time::sleep(PATIENCE) => {
            print::err(&format!("the engine is not done with {what} after {} seconds", PATIENCE.as_secs()));
        }
    }
    Err(Failure::silent(INTERRUPTED))
}

struct Signals {
    interrupts: Signal,
    terminations: Signal,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        Ok(Signals {
            interrupts: signal(SignalKind::interrupt())?,
            terminations: signal(SignalKind::terminate())?,
        })
    }

    /// The next of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupts.recv() => {}
            _ = self.terminations.recv() => {}
        }
    }
}
