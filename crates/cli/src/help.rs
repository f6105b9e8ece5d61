//! Help in the layout that Docker's users know.

use crate::command::{Command, Shelf};
use crate::flags::{Flag, Kind};
use crate::terminal;

/// The widest a line of help gets when there is no terminal to ask.
const DEFAULT_WIDTH: usize = 80;

/// The help of `command`, called as `path`.
pub fn page(command: &Command, path: &str, root: bool) -> String {
    let program = path.split(' ').next().unwrap_or(path);
    let mut out = String::from("Usage:  ");
    if command.below.is_empty() {
        out.push_str(&command.use_line(path));
    } else {
        out.push_str(path);
        if root {
            out.push_str(" [OPTIONS]");
        }
        out.push_str(" COMMAND");
    }
    out.push_str("\n\n");
    out.push_str(if command.long.is_empty() { command.short } else { command.long });
    out.push('\n');
    if command.aliases.len() > 1 {
        let all: Vec<String> = command.aliases.iter().map(|a| format!("{program} {a}")).collect();
        out.push_str(&format!("\nAliases:\n  {}\n", all.join(", ")));
    }
    if !root && !command.flags.is_empty() {
        out.push_str(&format!("\nOptions:\n{}", options(command.flags)));
    }
    for (shelf, title) in [
        (Shelf::Common, "Common Commands"),
        (Shelf::Management, "Management Commands"),
        (Shelf::Swarm, "Swarm Commands"),
        (Shelf::Other, "Commands"),
    ] {
        let mut entries: Vec<_> = command.below.iter().filter(|e| e.shelf == shelf).collect();
        if entries.is_empty() {
            continue;
        }
        if shelf != Shelf::Common {
            entries.sort_by_key(|e| e.names[0]);
        }
        let wide = command.below.iter().map(|e| e.names[0].len()).max().unwrap_or(0).max(11);
        out.push_str(&format!("\n{title}:\n"));
        for entry in entries {
            out.push_str(&format!("  {:<wide$} {}\n", entry.names[0], entry.command.short));
        }
    }
    if root {
        out.push_str(&format!("\nGlobal Options:\n{}", options(command.flags)));
    }
    if !command.below.is_empty() {
        out.push_str(&format!("\nRun '{path} COMMAND --help' for more information on a command.\n"));
    }
    out
}

fn options(tables: &[&[Flag]]) -> String {
    let mut flags: Vec<&Flag> = tables.iter().flat_map(|t| t.iter()).filter(|f| !f.hidden).collect();
    flags.sort_by_key(|f| f.long);
    let left: Vec<String> = flags
        .iter()
        .map(|f| {
            let mut text = match f.short {
                Some(letter) => format!("  -{letter}, --{}", f.long),
                None => format!("      --{}", f.long),
            };
            if !f.kind.type_name().is_empty() {
                text.push(' ');
                text.push_str(f.kind.type_name());
            }
            text
        })
        .collect();
    let column = left.iter().map(String::len).max().unwrap_or(0) + 3;
    let width = terminal::width().unwrap_or(DEFAULT_WIDTH).max(column + 20);
    let mut out = String::new();
    for (flag, left) in flags.iter().zip(left) {
        let mut text = flag.help.to_owned();
        if shows_default(flag) {
            match flag.kind {
                Kind::Text => text.push_str(&format!(" (default \"{}\")", flag.default)),
                _ => text.push_str(&format!(" (default {})", flag.default)),
            }
        }
        out.push_str(&format!("{left:<column$}"));
        out.push_str(&wrap(&text, width - column, column));
        out.push('\n');
    }
    out
}

fn shows_default(flag: &Flag) -> bool {
    !flag.default.is_empty() && flag.default != "false" && flag.default != "0"
}

/// Breaks `text` into lines of `width`, all but the first indented by `indent`.
fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut at = 0;
    for word in text.split(' ') {
        let len = word.chars().count();
        if at > 0 && at + 1 + len > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = 0;
        } else if at > 0 {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += len;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrap("unbreakableword x", 5, 1), "unbreakableword\n x");
    }
}
