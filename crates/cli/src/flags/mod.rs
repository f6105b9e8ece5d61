//! Flags as Docker's client understands them: `-it`, `-p80:80`, `--rm=false`, `--name x`, values checked one by one.
//!
//! Tables of constants instead of a library: they cost nothing at start, the error texts are the ones that scripts
//! know, and help, completion and the coverage test read the same tables.

mod kind;
mod matches;
mod parse;

pub use kind::Kind;
pub use matches::Matches;
pub use parse::{Asked, FlagError, parse};

/// Says whether a value is acceptable, and why not.
pub type Check = fn(&str) -> Result<(), String>;

/// One flag of a command.
#[derive(Clone, Copy)]
pub struct Flag {
    /// The name behind `--`.
    pub long: &'static str,
    /// The letter behind `-`, if any.
    pub short: Option<char>,
    /// What its value is.
    pub kind: Kind,
    /// The value when it is not given, as text; empty for the kind's zero.
    pub default: &'static str,
    /// One line for a person.
    pub help: &'static str,
    /// Not shown in help.
    pub hidden: bool,
    /// A further check of the value.
    pub check: Option<Check>,
}

/// A flag of any kind.
pub const fn flag(long: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag { long, short: None, kind, default: "", help, hidden: false, check: None }
}

/// A flag that is on or off.
pub const fn switch(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::Bool, help)
}

/// A flag with one text.
pub const fn text(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::Text, help)
}

/// A flag that may be given many times.
pub const fn list(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::List, help)
}

impl Flag {
    /// Gives it a letter.
    pub const fn short(mut self, letter: char) -> Flag {
        self.short = Some(letter);
        self
    }

    /// Gives it a value for when it is not given.
    pub const fn default(mut self, value: &'static str) -> Flag {
        self.default = value;
        self
    }

    /// Leaves it out of help: old or without meaning here, but accepted.
    pub const fn hidden(mut self) -> Flag {
        self.hidden = true;
        self
    }

    /// Adds a check of the value.
    pub const fn check(mut self, check: Check) -> Flag {
        self.check = Some(check);
        self
    }

    /// `-m, --memory` or `--memory`: how errors name it.
    pub fn title(&self) -> String {
        match self.short {
            Some(letter) => format!("-{letter}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }
}
