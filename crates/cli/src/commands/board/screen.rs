//! The whole screen: taken, drawn, lent to another program, given back.

use std::io;

use super::Board;
use crate::print;
use crate::terminal::{self, RawMode};

/// The other screen of the terminal, cleared, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The screen, ours until dropped.
pub struct Screen {
    raw: Option<RawMode>,
}

impl Screen {
    /// Takes it.
    pub fn enter() -> io::Result<Screen> {
        let raw = RawMode::enter();
        print::out(ENTER);
        Ok(Screen { raw })
    }

    /// Draws the table.
    pub fn draw(&self, board: &Board) {
        let (rows, columns) = terminal::size().unwrap_or((24, 80));
        let mut text = String::from("\x1b[H");
        let lines = board.picture(usize::from(rows), usize::from(columns));
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text.push_str("\r\n");
            }
            // Cleared before: behind a line as wide as the screen its last letter would be taken, too.
            text.push_str("\x1b[2K");
            text.push_str(line);
            text.push_str("\x1b[0m");
        }
        text.push_str("\x1b[J");
        print::out(&text);
    }

    /// Gives keyboard and screen to a program until it ends; Ctrl-C ends only that.
    pub async fn lend(&mut self, program: &mut tokio::process::Command) -> io::Result<()> {
        self.raw = None;
        print::out(LEAVE);
        print::out("\x1b[2m-- Ctrl-C or the program's end goes back to the table --\x1b[0m\n");
        let mut child = program.spawn()?;
        let ended = loop {
            tokio::select! {
                ended = child.wait() => break ended,
                // It goes to the whole foreground, so the program has it too.
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        self.raw = RawMode::enter();
        print::out(ENTER);
        ended.map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.raw = None;
        print::out(LEAVE);
    }
}
