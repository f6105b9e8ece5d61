//! The commands a person types.
//!
//! What it is: Docker's command line (flags, tables, prompts, texts, exit codes) over the Engine API, against any
//! engine that speaks it. Called as `docker` it is `docker`.
//! What it is not: an engine. Nothing here knows how a container is made; everything goes through `gantry-client`.
//!
//! Start reading at [`run`], then `commands/mod.rs` (the tree) and any `commands/<noun>/<verb>.rs`. `flags/` takes a
//! command line apart, `parse/` knows the small languages in it, `format/` shows rows, `terminal/` streams bytes,
//! `config/` reads what the person configured.

// One `json!` names all settings of a container.
#![recursion_limit = "256"]

mod command;
mod commands;
mod completion;
mod config;
mod failure;
mod flags;
mod format;
mod help;
mod parse;
mod plugins;
mod print;
mod reference;
mod session;
mod suggest;
mod tarball;
mod terminal;
mod trust;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use command::Command;
use failure::{Failure, Outcome};
use flags::{Asked, FlagError, Matches};
use session::Session;

/// Runs the command line `argv` (with the program's name first). Called `pipework` it is `network plumb`.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    let mut words = argv.into_iter().map(|w| w.to_string_lossy().into_owned());
    let called = words.next().unwrap_or_default();
    let mut program = match Path::new(&called).file_name().and_then(|n| n.to_str()) {
        Some("docker") => "docker",
        Some("docker-compose") => "docker-compose",
        Some("fig") => "fig",
        _ => "gantry",
    };
    let mut args: Vec<String> = words.collect();
    if Path::new(&called).file_name().is_some_and(|name| name == plugins::OWN_NAME) {
        match plugins::called(&mut args) {
            Some(metadata) => {
                print::line(&metadata);
                return ExitCode::SUCCESS;
            }
            // Docker's person means Docker's engine.
            None => program = "docker gantry",
        }
    }
    if Path::new(&called).file_name().is_some_and(|name| name == "pipework") {
        args.splice(0..0, ["network".to_owned(), "plumb".to_owned()]);
    }
    let done = match program {
        "docker-compose" | "fig" => compose(program, &args),
        _ => dispatch(program, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                print::err(&text);
            }
            ExitCode::from(failure.code())
        }
    }
}

/// Every command with its path (without the program's name), for tests of coverage and for references.
pub fn command_paths() -> Vec<String> {
    fn walk(command: &Command, path: &str, out: &mut Vec<String>) {
        for entry in command.below {
            for name in entry.names {
                let path = if path.is_empty() { (*name).to_owned() } else { format!("{path} {name}") };
                out.push(path.clone());
                walk(entry.command, &path, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(&commands::ROOT, "", &mut out);
    out
}

/// The long names of a command's flags (for the same tests); `None` when there is no such command.
pub fn command_flags(path: &str) -> Option<Vec<&'static str>> {
    let mut command: &Command = &commands::ROOT;
    for name in path.split_whitespace() {
        command = command.find(name)?.command;
    }
    Some(command.flags.iter().flat_map(|t| t.iter()).map(|f| f.long).collect())
}

/// A flag of a command (for the same tests): its letter, and whether a value belongs to it.
pub fn command_flag(path: &str, long: &str) -> Option<(Option<char>, bool)> {
    let mut command: &Command = &commands::ROOT;
    for name in path.split_whitespace() {
        command = command.find(name)?.command;
    }
    let flag = command.flags.iter().flat_map(|t| t.iter()).find(|f| f.long == long)?;
    Some((flag.short, flag.kind != flags::Kind::Bool))
}

fn dispatch(program: &str, args: &[String]) -> Outcome {
    let root = &commands::ROOT;
    let parsed = flags::parse(root.flags, false, args)
        .map_err(|FlagError::Text(text)| global_failure(program, &text))?;
    let globals = Matches::new(root.flags.to_vec(), parsed.given, Vec::new());
    if !is_level(globals.text("log-level")) {
        return Err(Failure::text(
            1,
            format!("Unable to parse logging level: {}", globals.text("log-level")),
        ));
    }
    let typed = &args[..args.len() - parsed.words.len().min(args.len())];
    let session = Session::new(program.to_owned(), globals.clone(), typed);
    if parsed.asked == Asked::Help {
        print::out(&help::root(&session));
        return Ok(());
    }
    if globals.on("version") {
        print::line(&commands::version_line(program));
        return Ok(());
    }
    let words = plugins::aliased(&session, parsed.words)?;
    if words.is_empty() {
        print::err(help::root(&session).trim_end());
        return Ok(());
    }
    if words[0] == "help" {
        return help_topic(&session, &words[1..]);
    }
    if words[0] == "__complete" {
        return completed(program, &words[1..]);
    }
    descend(&session, root, program, &words)
}

/// What may stand at the last of `words`, on the engine that the words before it choose.
fn completed(program: &str, words: &[String]) -> Outcome {
    let flags = commands::ROOT.flags;
    let typed = &words[..words.len().saturating_sub(1)];
    let given = flags::parse(flags, false, typed).map(|parsed| parsed.given).unwrap_or_default();
    let session = Session::new(program.to_owned(), Matches::new(flags.to_vec(), given, Vec::new()), &[]);
    block_on(completion::complete(&session, words))
}

/// `docker-compose`, `fig`, and Docker's plugin: compose is the whole program.
fn compose(program: &str, args: &[String]) -> Outcome {
    let (connection, words) = match commands::compose::called(args) {
        commands::compose::Called::Metadata(text) => {
            print::line(&text);
            return Ok(());
        }
        commands::compose::Called::Program { connection, words } => (connection, words),
    };
    let root = &commands::ROOT;
    let parsed = flags::parse(root.flags, false, &connection)
        .map_err(|FlagError::Text(text)| global_failure(program, &text))?;
    let globals = Matches::new(root.flags.to_vec(), parsed.given, Vec::new());
    let session = Session::new(program.to_owned(), globals, &connection);
    perform(&session, &commands::compose::COMPOSE, program, &words)
}

/// Finds the command that `words` begin with, and does it.
fn descend(session: &Session, root: &'static Command, program: &str, words: &[String]) -> Outcome {
    let (mut command, mut path, mut at) = (root, program.to_owned(), 0);
    while let Some(word) = words.get(at) {
        if at == 0 && plugins::is_preferred(session, word) {
            return plugins::run(session, word, words);
        }
        match command.find(word) {
            Some(entry) => {
                command = entry.command;
                path = format!("{path} {word}");
                at += 1;
                // Compose has flags of its own before its verbs: it finds them itself.
                if command.below.is_empty() || std::ptr::eq(command, &commands::compose::COMPOSE) {
                    break;
                }
            }
            None => break,
        }
    }
    let rest = &words[at..];
    if command.below.is_empty() || command.work.is_some() {
        return perform(session, command, &path, rest);
    }
    match rest.first().map(String::as_str) {
        None => {
            // Not asked for: it is a mistake's answer.
            print::err(help::page(command, &path).trim_end());
            Ok(())
        }
        Some("--help" | "-h") => {
            print::out(&help::page(command, &path));
            Ok(())
        }
        Some(word) if at == 0 && plugins::find(session, word).is_some() => plugins::run(session, word, rest),
        Some(word) if word.starts_with('-') => {
            // A noun has no flags of its own: let the parser find the words for it.
            command.matches(&path, rest).map(drop)
        }
        Some(word) => Err(unknown(command, &path, word, at == 0)),
    }
}

fn perform(session: &Session, command: &'static Command, path: &str, args: &[String]) -> Outcome {
    let Some(matches) = command.matches(path, args)? else {
        print::out(&help::page(command, path));
        return Ok(());
    };
    if matches.has(trust::FLAG) {
        trust::check(&matches)?;
    }
    match command.work {
        Some(work) => block_on(work(session, &matches)),
        None => Ok(()),
    }
}

/// The words that Docker's client takes for how much to tell.
fn is_level(word: &str) -> bool {
    let levels = ["panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"];
    levels.iter().any(|level| word.eq_ignore_ascii_case(level))
}

/// One thread is enough for a client, and it starts at once.
fn block_on(future: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(future);
    // A thread that still reads the terminal must not keep us.
    runtime.shutdown_background();
    done
}

fn unknown(command: &Command, path: &str, word: &str, root: bool) -> Failure {
    let program = path.split(' ').next().unwrap_or(path);
    let mut text = format!("{program}: unknown command: {path} {word}\n");
    if let Some(meant) = suggest::nearest(word, command.below.iter().flat_map(|e| e.names.iter().copied())) {
        text.push_str(&format!("\nDid you mean '{path} {meant}'?\n"));
    }
    if !root {
        text.push_str(&format!("\nUsage:  {path}\n"));
    }
    text.push_str(&format!("\nRun '{path} --help' for more information"));
    Failure::text(1, text)
}

fn global_failure(program: &str, text: &str) -> Failure {
    Failure::text(
        125,
        format!(
            "{text}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information"
        ),
    )
}

fn help_topic(session: &Session, words: &[String]) -> Outcome {
    let (mut command, mut path): (&Command, String) = (&commands::ROOT, session.program.clone());
    if let Some(word) = words.first()
        && (plugins::is_preferred(session, word) || command.find(word).is_none())
        && plugins::find(session, word).is_some()
    {
        let asked: Vec<String> = words.iter().cloned().chain(["--help".to_owned()]).collect();
        return plugins::run(session, word, &asked);
    }
    for word in words {
        match command.find(word) {
            Some(entry) => {
                command = entry.command;
                path = format!("{path} {word}");
            }
            None => return Err(Failure::text(1, format!("unknown help topic: {}", words.join(" ")))),
        }
    }
    match words.is_empty() {
        true => print::out(&help::root(session)),
        false => print::out(&help::page(command, &path)),
    }
    Ok(())
}
