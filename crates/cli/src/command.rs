//! A command: its name, flags, arity and work; and the tree they form.

use std::future::Future;
use std::pin::Pin;

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Asked, Flag, FlagError, Matches};
use crate::session::Session;
use crate::suggest;

/// A command's work.
pub type Work = for<'a> fn(&'a Session, &'a Matches) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Makes a [`Work`] of an `async fn(&Session, &Matches) -> Outcome`.
#[macro_export]
macro_rules! work {
    ($run:path) => {
        Some(|session, matches| Box::pin($run(session, matches)))
    };
}

/// How many words a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// No words.
    None,
    /// Exactly so many.
    Exactly(usize),
    /// At least so many.
    AtLeast(usize),
    /// At most so many.
    AtMost(usize),
    /// Between two numbers.
    Between(usize, usize),
}

/// What a command's words name, for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Nothing that an engine knows.
    None,
    /// Containers, running or not.
    Containers,
    /// Running containers.
    Running,
    /// Images.
    Images,
    /// Volumes.
    Volumes,
    /// Networks.
    Networks,
    /// A network, then containers.
    NetworkThenContainer,
    /// Contexts.
    Contexts,
    /// Files.
    Files,
}

/// Where a top-level command stands in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// The first ones a person needs.
    Common,
    /// Nouns.
    Management,
    /// Nouns of a cluster.
    Swarm,
    /// All others.
    Other,
    /// Not shown.
    Hidden,
}

/// A command or a noun with commands below it.
pub struct Command {
    /// What comes behind the command's name in its usage line: `[OPTIONS] CONTAINER`.
    pub usage: &'static str,
    /// One line.
    pub short: &'static str,
    /// More lines, when one is not enough.
    pub long: &'static str,
    /// What a person may type behind its name, and what that is for. A test parses each.
    pub examples: &'static [(&'static str, &'static str)],
    /// Every way to call it (without the program's name), when there is more than one.
    pub aliases: &'static [&'static str],
    /// Its flags, in tables that commands may share.
    pub flags: &'static [&'static [Flag]],
    /// How many words it takes.
    pub arity: Arity,
    /// Whether flags may stand behind words.
    pub interspersed: bool,
    /// What its words name.
    pub names: Names,
    /// Commands below it.
    pub below: &'static [Entry],
    /// Its work; a noun has none.
    pub work: Option<Work>,
}

/// A command under a name.
pub struct Entry {
    /// The name, and other names behind it.
    pub names: &'static [&'static str],
    /// The command.
    pub command: &'static Command,
    /// Where help shows it.
    pub shelf: Shelf,
}

/// The start of every command's table: override what differs.
pub const COMMAND: Command = Command {
    usage: "",
    short: "",
    long: "",
    examples: &[],
    aliases: &[],
    flags: &[],
    arity: Arity::None,
    interspersed: true,
    names: Names::None,
    below: &[],
    work: None,
};

/// An ordinary entry.
pub const fn entry(names: &'static [&'static str], command: &'static Command) -> Entry {
    Entry { names, command, shelf: Shelf::Other }
}

/// An entry on a shelf of its own.
pub const fn shelved(names: &'static [&'static str], command: &'static Command, shelf: Shelf) -> Entry {
    Entry { names, command, shelf }
}

impl Command {
    /// The entry called `name`.
    pub fn find(&self, name: &str) -> Option<&'static Entry> {
        self.below.iter().find(|e| e.names.contains(&name))
    }

    /// `Usage:  docker run [OPTIONS] IMAGE`, without the word Usage.
    pub fn use_line(&self, path: &str) -> String {
        if !self.below.is_empty() && self.work.is_none() {
            return path.to_owned();
        }
        match self.usage.is_empty() {
            true => path.to_owned(),
            false => format!("{path} {}", self.usage),
        }
    }

    /// Parses the command's own flags and words. `None` means that help was asked for.
    pub fn matches(&self, path: &str, args: &[String]) -> Result<Option<Matches>, Failure> {
        let parsed = flags::parse(self.flags, self.interspersed, args)
            .map_err(|FlagError::Text(text)| self.flag_failure(path, &text))?;
        if parsed.asked == Asked::Help {
            return Ok(None);
        }
        self.check_arity(path, parsed.words.len())?;
        Ok(Some(Matches::new(self.flags.to_vec(), parsed.given, parsed.words)))
    }

    /// A mistake in the flags: exit code 125.
    pub fn flag_failure(&self, path: &str, text: &str) -> Failure {
        let line = self.use_line(path);
        let typed = text.strip_prefix("unknown flag: --");
        let names = self.flags.iter().flat_map(|table| table.iter()).filter(|f| !f.hidden).map(|f| f.long);
        let meant = typed.and_then(|typed| suggest::nearest(typed, names));
        let meant = meant.map_or_else(String::new, |meant| format!("\n\nDid you mean --{meant}?"));
        Failure::text(
            125,
            format!("{text}{meant}\n\nUsage:  {line}\n\nRun '{path} --help' for more information"),
        )
    }

    fn check_arity(&self, path: &str, got: usize) -> Result<(), Failure> {
        let program = path.split(' ').next().unwrap_or(path);
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        let told = match self.arity {
            Arity::None if got > 0 => "accepts no arguments".to_owned(),
            Arity::Exactly(n) if got != n => format!("requires {n} {}", plural(n)),
            Arity::AtLeast(n) if got < n => format!("requires at least {n} {}", plural(n)),
            Arity::AtMost(n) if got > n => format!("requires at most {n} {}", plural(n)),
            Arity::Between(low, high) if got < low || got > high => {
                format!("requires at least {low} and at most {high} {}", plural(high))
            }
            _ => return Ok(()),
        };
        let line = self.use_line(path);
        // Docker's own words differ for this one kind.
        let see = if matches!(self.arity, Arity::AtLeast(_)) { "See" } else { "Run" };
        Err(Failure::text(
            1,
            format!(
                "{program}: '{path}' {told}\n\nUsage:  {line}\n\n{see} '{path} --help' for more information"
            ),
        ))
    }
}
