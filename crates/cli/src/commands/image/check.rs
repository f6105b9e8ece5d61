//! `build check` and `build --check`: the lint, without a build.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gantry_dockerfile::check::{Finding, Known, check};
use gantry_dockerfile::ignore::Ignore;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, text};
use crate::parse::env;
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    text("file", "Name of the Dockerfile (default is PATH/Dockerfile)").short('f'),
    list("build-arg", "Value of a build argument").check(env::validate_env),
];

pub static CHECK: Command = Command {
    usage: "[OPTIONS] [PATH]",
    short: "Check a Dockerfile without building it",
    examples: &[("-f deploy/Dockerfile", "Mistakes of a Dockerfile, without an engine")],
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    names: Names::Files,
    work: work!(run),
    ..COMMAND
};

async fn run(_: &Session, m: &Matches) -> Outcome {
    self::checked(m)
}

/// Checks what these flags and words name; findings are a failure.
pub(super) fn checked(m: &Matches) -> Outcome {
    let folder = match m.word(0) {
        "" => ".",
        word => word,
    };
    let (name, text) = dockerfile(folder, m.text("file"))?;
    let own = Path::new(folder).join(format!("{name}.dockerignore"));
    let ignore = [own, Path::new(folder).join(".dockerignore")]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .and_then(|text| Ignore::parse(&text).ok());
    let args: Vec<String> =
        m.all("build-arg").iter().map(|arg| arg.split('=').next().unwrap_or(arg).to_owned()).collect();
    let report = check(&text, Known { ignore: ignore.as_ref(), args: &args, bases: None })
        .map_err(|error| Failure::text(1, format!("{name}:{}: {error}", error.span.first)))?;
    match report.findings.len() {
        0 => {
            print::line("Check complete, no warnings found.");
            return Ok(());
        }
        1 => print::line("Check complete, 1 warning has been found!"),
        many => print::line(&format!("Check complete, {many} warnings have been found!")),
    }
    for finding in &report.findings {
        print::line(&shown(&name, &text, finding));
    }
    Err(Failure::silent(1))
}

fn dockerfile(folder: &str, file: &str) -> Result<(String, String), Failure> {
    let mut text = String::new();
    if file == "-" {
        io::stdin().read_to_string(&mut text)?;
        return Ok(("Dockerfile".to_owned(), text));
    }
    let path = if file.is_empty() { Path::new(folder).join("Dockerfile") } else { PathBuf::from(file) };
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::text(
            1,
            format!("failed to read dockerfile: open {}: {}", path.display(), terminal::io_text(&error)),
        )
    })?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok((name, text))
}

/// As BuildKit's client shows a warning.
fn shown(name: &str, text: &str, finding: &Finding) -> String {
    let rule = "-".repeat(20);
    let span = finding.span;
    let mut lines = String::new();
    let from = span.first.saturating_sub(2).max(1);
    for (index, line) in text.lines().enumerate().take(span.last + 2).skip(from - 1) {
        let number = index + 1;
        let mark = if (span.first..=span.last).contains(&number) { ">>>" } else { "   " };
        lines.push_str(&format!("{number:4} | {mark} {line}\n"));
    }
    format!(
        "\nWARNING: {} - {}\n{}\n\n{name}:{}\n{rule}\n{lines}{rule}",
        finding.rule.name(),
        finding.rule.url(),
        finding.message,
        span.first
    )
}
