//! The reference: a page for every command, as Markdown or for `man`, from the same tables that help and the parser read.

mod around;
mod man;
mod markdown;

use std::fs;
use std::io;
use std::path::Path;

use crate::command::{Command, Shelf};
use crate::commands::ROOT;
use crate::flags::Flag;
use crate::help::SERVERS;
use around::Table;

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pages of `man`, section 1.
    Man,
    /// Markdown.
    Markdown,
}

/// One command as a page shows it.
struct Page {
    /// The words that call it: `gantry`, `container`, `run`.
    path: Vec<String>,
    command: &'static Command,
}

impl Page {
    fn called(&self) -> String {
        self.path.join(" ")
    }

    fn file(&self) -> String {
        self.path.join("-")
    }

    /// `gantry run [OPTIONS] IMAGE ...`.
    fn synopsis(&self) -> String {
        match self.command.below.is_empty() || self.command.work.is_some() {
            true => self.command.use_line(&self.called()),
            false => format!("{} COMMAND", self.called()),
        }
    }

    fn description(&self) -> &'static str {
        if self.command.long.is_empty() { self.command.short } else { self.command.long }
    }

    /// Its flags by name, without those that only old scripts know.
    fn flags(&self) -> Vec<&'static Flag> {
        let mut flags: Vec<&Flag> =
            self.command.flags.iter().flat_map(|t| t.iter()).filter(|f| !f.hidden).collect();
        flags.sort_by_key(|flag| flag.long);
        flags
    }

    /// What only the program's own page tells.
    fn around(&self) -> Vec<(&'static str, Table)> {
        match self.path.as_slice() {
            [_] => vec![
                ("Also this program", &SERVERS),
                ("Exit codes", around::CODES),
                ("Variables", around::VARIABLES),
                ("Files", around::FILES),
            ],
            _ => Vec::new(),
        }
    }

    /// Its other names.
    fn also(&self) -> Vec<String> {
        let words = self.path[1..].join(" ");
        let others = self.command.aliases.iter().filter(|name| **name != words);
        others.map(|name| format!("gantry {name}")).collect()
    }

    /// Commands below it: name, line.
    fn below(&self) -> Vec<(&'static str, &'static str)> {
        let shown = self.command.below.iter().filter(|entry| entry.shelf != Shelf::Hidden);
        let mut below: Vec<_> = shown.map(|entry| (entry.names[0], entry.command.short)).collect();
        below.sort_unstable();
        below
    }
}

/// `-m, --memory bytes`.
fn flag_text(flag: &Flag) -> String {
    match flag.kind.type_name() {
        "" => flag.title(),
        kind => format!("{} {kind}", flag.title()),
    }
}

/// Writes a page for every command into a folder; gives how many.
pub fn write(kind: Kind, folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let mut pages = Vec::new();
    collect(&ROOT, vec!["gantry".to_owned()], &mut pages);
    for page in &pages {
        let (name, text) = match kind {
            Kind::Man => (format!("{}.1", page.file()), man::page(page)),
            Kind::Markdown => (format!("{}.md", page.file()), markdown::page(page)),
        };
        fs::write(folder.join(name), text)?;
    }
    Ok(pages.len())
}

fn collect(command: &'static Command, path: Vec<String>, pages: &mut Vec<Page>) {
    for entry in command.below.iter().filter(|entry| entry.shelf != Shelf::Hidden) {
        let mut below = path.clone();
        below.push(entry.names[0].to_owned());
        collect(entry.command, below, pages);
    }
    pages.push(Page { path, command });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_of_either_kind() {
        let folder = tempfile::tempdir().unwrap();
        let man = write(Kind::Man, folder.path()).unwrap();
        assert_eq!(man, write(Kind::Markdown, folder.path()).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 * man);
        let run = fs::read_to_string(folder.path().join("gantry-container-run.1")).unwrap();
        assert!(run.contains("\\fB\\-\\-read\\-only\\fR") && run.contains(".SH SYNOPSIS"), "{run}");
        assert!(run.contains(".SH ALSO CALLED"), "{run}");
        let root = fs::read_to_string(folder.path().join("gantry.1")).unwrap();
        assert!(
            root.contains(".SH VARIABLES") && root.contains("DOCKER_HOST") && root.contains("daemon"),
            "{root}"
        );
        let root = fs::read_to_string(folder.path().join("gantry.md")).unwrap();
        assert!(root.contains("## Exit codes"), "{root}");
        assert!(root.contains("[`container`](gantry-container.md)"), "{root}");
    }
}
