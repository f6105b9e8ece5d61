//! What the engine says while it builds, as a person or a program wants it.

mod failure;
mod plain;
mod raw;
mod story;
mod tty;

use gantry_buildkit::proto::control::StatusResponse;

use crate::terminal;

pub use failure::told;
use plain::Plain;
pub use story::Story;
use tty::Tty;

/// A way to show progress, on standard error.
pub enum Show {
    /// Nothing.
    Quiet,
    /// A line for everything that happened.
    Plain(Plain),
    /// A picture that changes.
    Tty(Tty),
    /// JSON, a line each.
    Raw,
}

impl Show {
    /// The way of this name; `auto` is the picture on a terminal.
    pub fn of(name: &str) -> Result<Show, String> {
        match name {
            "auto" | "" if terminal::stderr_is() => Ok(Show::Tty(Tty::new())),
            "auto" | "" | "plain" => Ok(Show::Plain(Plain::default())),
            "tty" if terminal::stderr_is() => Ok(Show::Tty(Tty::new())),
            "tty" => Err("failed to get console: standard error is no terminal".into()),
            "quiet" | "none" => Ok(Show::Quiet),
            "rawjson" => Ok(Show::Raw),
            other => {
                Err(format!("invalid progress {other:?}: auto, plain, tty, quiet and rawjson are known"))
            }
        }
    }

    /// Takes news in, after `story` did.
    pub fn news(&mut self, news: &StatusResponse, story: &Story) {
        match self {
            Show::Quiet | Show::Tty(_) => {}
            Show::Plain(plain) => write(&plain.news(news, story)),
            Show::Raw => write(&raw::line(news)),
        }
    }

    /// Draws again: time has passed.
    pub fn tick(&mut self, story: &Story) {
        if let Show::Tty(tty) = self {
            write(&tty.draw(story, terminal::error_width().unwrap_or(80), false));
        }
    }

    /// The last picture, and warnings.
    pub fn end(&mut self, story: &Story) {
        match self {
            Show::Tty(tty) => write(&tty.draw(story, terminal::error_width().unwrap_or(80), true)),
            Show::Quiet | Show::Plain(_) | Show::Raw => {}
        }
        if !matches!(self, Show::Quiet | Show::Raw) {
            write(&story.warnings());
        }
    }

    /// Whether a failure is still to be shown with what led to it.
    pub fn tells_failures(&self) -> bool {
        !matches!(self, Show::Raw)
    }
}

fn write(text: &str) {
    use std::io::Write;
    // Nobody is left to be told that standard error is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
