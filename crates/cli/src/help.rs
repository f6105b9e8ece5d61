//! Help in the layout that Docker's users know.

use crate::command::{Command, Entry, Shelf};
use crate::commands::ROOT;
use crate::flags::{Flag, Kind};
use crate::plugins;
use crate::session::Session;
use crate::terminal;

/// The widest a line of help gets when there is no terminal to ask.
const DEFAULT_WIDTH: usize = 80;

/// What this program also is; these have their own command lines.
pub static SERVERS: [(&str, &str); 2] =
    [("daemon", "Run the engine"), ("registry", "Serve a registry and look after it")];

/// A row of a list of commands: name, line.
type Row = (String, String);

/// The help of `command`, called as `path`.
pub fn page(command: &Command, path: &str) -> String {
    let mut out = head(command, path, "");
    let options = options(command.flags);
    if !options.is_empty() {
        out.push_str(&format!("\nOptions:\n{options}"));
    }
    out.push_str(&examples(command, path));
    out.push_str(&commands(command, &|_| true, &[]));
    if !command.below.is_empty() {
        out.push_str(&format!("\nRun '{path} COMMAND --help' for more information on a command.\n"));
    }
    out
}

/// The help of everything, with the plugins that are installed.
pub fn root(session: &Session) -> String {
    let (command, program) = (&ROOT, session.program.as_str());
    // Whoever knows the nouns can have the list without the words from before them.
    let without_old = std::env::var("DOCKER_HIDE_LEGACY_COMMANDS").is_ok_and(|text| !text.is_empty());
    let is_shown =
        |entry: &Entry| !(without_old && entry.shelf == Shelf::Other && entry.command.aliases.len() > 1);
    let plugins = plugins::listed(session);
    let (good, bad): (Vec<_>, Vec<_>) = plugins
        .iter()
        .filter(|plugin| command.find(&plugin.name).is_none() || plugins::is_preferred(session, &plugin.name))
        .partition(|plugin| plugin.metadata.is_ok());
    let mut rows: Vec<Row> = good
        .iter()
        .map(|plugin| (format!("{}*", plugin.name), plugin.word("ShortDescription").to_owned()))
        .collect();
    if program == "gantry" {
        rows.extend(SERVERS.map(|(name, line)| (name.to_owned(), line.to_owned())));
    }
    let mut out = head(command, program, " [OPTIONS]");
    out.push_str(&commands(command, &is_shown, &rows));
    if !bad.is_empty() {
        out.push_str("\nInvalid Plugins:\n");
        for plugin in bad {
            out.push_str(&format!(
                "  {:<11} {}\n",
                plugin.name,
                plugin.metadata.as_ref().err().map_or("", |e| e)
            ));
        }
    }
    out.push_str(&format!("\nGlobal Options:\n{}", options(command.flags)));
    out.push_str(&format!("\nRun '{program} COMMAND --help' for more information on a command.\n"));
    out
}

/// How it is called, what it is for, and under which other names.
fn head(command: &Command, path: &str, flags: &str) -> String {
    let program = path.split(' ').next().unwrap_or(path);
    let usage = match command.below.is_empty() || command.work.is_some() {
        true => command.use_line(path),
        false => format!("{path}{flags} COMMAND"),
    };
    let about = if command.long.is_empty() { command.short } else { command.long };
    let width = terminal::width().unwrap_or(DEFAULT_WIDTH).max(40);
    // Lines that begin with a blank are set as they are.
    let set = |line: &str| if line.starts_with(' ') { line.to_owned() } else { wrap(line, width, 0) };
    let about: Vec<String> = about.lines().map(set).collect();
    let mut out = format!("Usage:  {usage}\n\n{}\n", about.join("\n"));
    if command.aliases.len() > 1 {
        let all: Vec<String> = command.aliases.iter().map(|a| format!("{program} {a}")).collect();
        out.push_str(&format!("\nAliases:\n  {}\n", all.join(", ")));
    }
    out
}

/// What may be typed, each line with what it is for below.
fn examples(command: &Command, path: &str) -> String {
    let lines = command.examples.iter().map(|(args, what)| format!("  {path} {args}\n      {what}\n"));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\nExamples:\n{lines}") }
}

/// The commands below, by shelf; `plugins` stand among the nouns, in the place of ours that they hide.
fn commands(command: &Command, is_shown: &dyn Fn(&Entry) -> bool, plugins: &[Row]) -> String {
    let mut out = String::new();
    let ours = command.below.iter().filter(|e| e.shelf != Shelf::Hidden && is_shown(e));
    let wide = ours.map(|e| e.names[0].len()).chain(plugins.iter().map(|p| p.0.len())).max();
    let wide = wide.unwrap_or(0).max(11);
    for (shelf, title) in [
        (Shelf::Common, "Common Commands"),
        (Shelf::Management, "Management Commands"),
        (Shelf::Swarm, "Swarm Commands"),
        (Shelf::Other, "Commands"),
    ] {
        let entries = command.below.iter().filter(|e| e.shelf == shelf && is_shown(e));
        let mut rows: Vec<Row> =
            entries.map(|e| (e.names[0].to_owned(), e.command.short.to_owned())).collect();
        if shelf == Shelf::Management {
            rows.retain(|row| plugins.iter().all(|plugin| plugin.0.trim_end_matches('*') != row.0));
            rows.extend(plugins.iter().cloned());
        }
        if rows.is_empty() {
            continue;
        }
        if shelf != Shelf::Common {
            rows.sort();
        }
        out.push_str(&format!("\n{title}:\n"));
        for (name, line) in rows {
            out.push_str(&format!("  {name:<wide$} {line}\n"));
        }
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
    use super::{Command, ROOT, wrap};

    /// An example that the parser refuses would be a lie.
    #[test]
    fn every_example_is_a_command_line() {
        fn words(text: &str) -> Vec<String> {
            let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
            for letter in text.chars() {
                match letter {
                    '\'' => quoted = !quoted,
                    ' ' if !quoted => words.push(std::mem::take(&mut word)),
                    letter => word.push(letter),
                }
            }
            words.push(word);
            words
        }
        fn walk(command: &Command, path: &str, count: &mut usize) {
            for (args, what) in command.examples {
                let parsed = command.matches(path, &words(args));
                assert!(
                    matches!(parsed, Ok(Some(_))),
                    "{path} {args}: {}",
                    parsed.err().map_or_else(String::new, |e| e.to_string())
                );
                assert!(what.len() > 5 && !what.ends_with('.'), "{path} {args}: {what}");
                *count += 1;
            }
            for entry in command.below {
                walk(entry.command, &format!("{path} {}", entry.names[0]), count);
            }
        }
        let mut count = 0;
        walk(&ROOT, "gantry", &mut count);
        assert!(count > 80, "{count}");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrap("unbreakableword x", 5, 1), "unbreakableword\n x");
    }
}
