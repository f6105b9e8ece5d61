//! Raw mode: keys go to the container as they are typed, and the terminal is as before when it ends.

use std::io;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal on standard input in raw mode, until dropped.
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Switches to raw mode; `None` when standard input is no terminal.
    pub fn enter() -> Option<RawMode> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nobody is left to tell when even this fails.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
