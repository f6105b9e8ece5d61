//! Telling what is being done.

mod json;
mod plain;
mod screen;
mod under_way;

pub use json::Json;
pub use plain::Plain;
pub use screen::Screen;
pub use under_way::{Noted, UnderWay};

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Under way.
    Working,
    /// Done.
    Done,
    /// Done, or left, with something to know.
    Warning,
    /// Failed.
    Error,
}

/// One thing's news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The thing: `Container p-web-1`.
    pub what: String,
    /// The thing that this one is a part of, such as a layer's image.
    pub part_of: Option<String>,
    /// How far it is.
    pub stage: Stage,
    /// `Creating`, `Created`, ...
    pub status: String,
    /// More: a bar, a reason.
    pub text: String,
}

impl Event {
    /// News of a thing.
    pub fn new(what: impl Into<String>, stage: Stage, status: impl Into<String>) -> Event {
        Event { what: what.into(), part_of: None, stage, status: status.into(), text: String::new() }
    }

    /// It is under way.
    pub fn working(what: impl Into<String>, status: impl Into<String>) -> Event {
        Event::new(what, Stage::Working, status)
    }

    /// It is done.
    pub fn done(what: impl Into<String>, status: impl Into<String>) -> Event {
        Event::new(what, Stage::Done, status)
    }

    /// It failed.
    pub fn error(what: impl Into<String>, status: impl Into<String>) -> Event {
        Event::new(what, Stage::Error, status)
    }

    /// There is something to know.
    pub fn warning(what: impl Into<String>, status: impl Into<String>) -> Event {
        Event::new(what, Stage::Warning, status)
    }
}

/// Who is told.
pub trait Progress {
    /// News.
    fn tell(&self, event: Event);
    /// A warning that belongs to no thing.
    fn warn(&self, text: &str);
    /// Nothing more comes for now: what follows on the terminal is somebody else's.
    fn finish(&self) {}
    /// What a hook's command says.
    fn hook(&self, container: &str, text: &str) {
        line(&format!("{container} -> {text}"));
    }
}

/// Nobody listens; warnings are still told.
#[derive(Debug, Clone, Copy)]
pub struct Quiet;

impl Progress for Quiet {
    fn tell(&self, _: Event) {}

    fn warn(&self, text: &str) {
        warn(text);
    }
}

/// A warning on standard error.
pub(crate) fn warn(text: &str) {
    line(&format!("time=\"{}\" level=warning msg={text:?}", now()));
}

fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A line on standard error. When even that is closed there is nobody to tell.
fn line(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
