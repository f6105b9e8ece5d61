//! `compose`: projects of many containers. A verb is a file.
//!
//! The flags before the verb say which project (`-f`, `-p`, `--profile`, ...); [`ground::Ground`] reads it. What a
//! project is made of and how it comes to life is `gantry-compose`'s; here are the words of the command line.

mod applied;
mod attach;
mod build;
mod commit;
mod config;
mod cp;
mod create;
mod delegate;
mod down;
mod events;
mod exec;
mod export;
mod far;
mod files;
mod ground;
mod images;
mod interrupt;
mod kill;
mod lock;
mod logs;
mod ls;
mod pause;
mod port;
mod prepare;
mod ps;
mod publish;
mod pull;
mod push;
mod restart;
mod rm;
mod rollback;
mod run;
mod scale;
mod standalone;
mod start;
mod stats;
mod stop;
mod top;
mod unsupported;
mod up;
mod version;
mod volumes;
mod wait;
mod watch;

pub use standalone::{Called, called};

use crate::command::{Arity, COMMAND, Command, Shelf, entry, shelved};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::help;
use crate::print;
use crate::session::Session;
use crate::work;

static GLOBAL: &[Flag] = &[
    switch("all-resources", "Include all resources, even those not used by services"),
    text("ansi", "When to print colours and the like (\"never\"|\"always\"|\"auto\")")
        .default("auto")
        .check(check_ansi),
    switch("compatibility", "Names and tables as Compose 1 had them"),
    switch("dry-run", "Only say what would be done"),
    list("env-file", "File with variables, in place of .env"),
    list("file", "Compose file; - is standard input").short('f'),
    flag("parallel", Kind::Int, "Operations at once, -1 for no limit").default("-1"),
    list("profile", "Profile to turn on"),
    text("progress", "How to show progress (auto, tty, plain, json, quiet)").check(check_progress),
    text("project-directory", "Folder that relative paths stand on (default: the first file's)"),
    text("project-name", "Name of the project").short('p'),
    list("insecure-registry", "Registries without TLS that compose files may come from").hidden(),
    // As older versions spell or had them.
    text("workdir", "Older name of --project-directory").hidden(),
    switch("no-ansi", "Older form of --ansi never").hidden(),
    switch("verbose", "Tell more").hidden(),
    switch("version", "Show the version and quit").short('v').hidden(),
];

/// `--dry-run` may also stand behind the verb.
pub(super) static DRY_RUN: &[Flag] = &[switch("dry-run", "Only say what would be done")];

fn check_ansi(value: &str) -> Result<(), String> {
    match value {
        "never" | "always" | "auto" => Ok(()),
        other => Err(format!("unknown value: {other:?}")),
    }
}

fn check_progress(value: &str) -> Result<(), String> {
    match value {
        "auto" | "tty" | "plain" | "json" | "quiet" | "rawjson" => Ok(()),
        other => Err(format!("unsupported --progress value {other:?}")),
    }
}

pub static COMPOSE: Command = Command {
    usage: "[OPTIONS] COMMAND",
    short: "Define and run multi-container applications",
    flags: &[GLOBAL],
    arity: Arity::AtLeast(0),
    interspersed: false,
    below: &[
        entry(&["attach"], &attach::ATTACH),
        entry(&["build"], &build::BUILD),
        entry(&["commit"], &commit::COMMIT),
        entry(&["config"], &config::CONFIG),
        shelved(&["convert"], &config::CONFIG, Shelf::Hidden),
        entry(&["cp"], &cp::CP),
        entry(&["create"], &create::CREATE),
        entry(&["down"], &down::DOWN),
        entry(&["events"], &events::EVENTS),
        entry(&["exec"], &exec::EXEC),
        entry(&["export"], &export::EXPORT),
        entry(&["images"], &images::IMAGES),
        entry(&["kill"], &kill::KILL),
        entry(&["lock"], &lock::LOCK),
        entry(&["logs"], &logs::LOGS),
        entry(&["ls"], &ls::LS),
        entry(&["pause"], &pause::PAUSE),
        entry(&["port"], &port::PORT),
        entry(&["ps"], &ps::PS),
        entry(&["publish"], &publish::PUBLISH),
        entry(&["pull"], &pull::PULL),
        entry(&["push"], &push::PUSH),
        entry(&["restart"], &restart::RESTART),
        entry(&["rm"], &rm::RM),
        entry(&["rollback"], &rollback::ROLLBACK),
        entry(&["run"], &run::RUN),
        entry(&["scale"], &scale::SCALE),
        entry(&["start"], &start::START),
        entry(&["stats"], &stats::STATS),
        entry(&["stop"], &stop::STOP),
        entry(&["top"], &top::TOP),
        entry(&["unpause"], &pause::UNPAUSE),
        entry(&["up"], &up::UP),
        entry(&["version"], &version::VERSION),
        entry(&["volumes"], &volumes::VOLUMES),
        entry(&["wait"], &wait::WAIT),
        entry(&["watch"], &watch::WATCH),
        shelved(&["alpha"], &unsupported::ALPHA, Shelf::Hidden),
        shelved(&["bridge"], &unsupported::BRIDGE, Shelf::Hidden),
    ],
    work: work!(run),
    ..COMMAND
};

/// Takes the flags before the verb, then does the verb's work.
async fn run(s: &Session, m: &Matches) -> Outcome {
    let path = match s.program.as_str() {
        "docker-compose" | "fig" => s.program.clone(),
        program => format!("{program} compose"),
    };
    if m.on("version") {
        print::line(&version::line());
        return Ok(());
    }
    let Some(word) = m.words.first() else {
        print::out(&help::page(&COMPOSE, &path));
        return Ok(());
    };
    if word == "help" {
        let below = m.words.get(1).and_then(|w| COMPOSE.find(w));
        print::out(&match below {
            Some(entry) => help::page(entry.command, &format!("{path} {}", m.words[1])),
            None => help::page(&COMPOSE, &path),
        });
        return Ok(());
    }
    let Some(entry) = COMPOSE.find(word) else {
        let mut told = format!("unknown docker command: \"compose {word}\"");
        if let Some(meant) = crate::suggest::nearest(word, COMPOSE.below.iter().map(|e| e.names[0])) {
            told.push_str(&format!("\n\nDid you mean '{path} {meant}'?"));
        }
        return Err(Failure::text(1, told));
    };
    let (mut command, mut path, mut at) = (entry.command, format!("{path} {word}"), 1);
    while let Some(next) = m.words.get(at).and_then(|w| command.find(w)) {
        path = format!("{path} {}", m.words[at]);
        command = next.command;
        at += 1;
    }
    let (Some(work), Some(matches)) = (command.work, parse(command, &path, &m.words[at..])?) else {
        print::out(&help::page(command, &path));
        return Ok(());
    };
    s.enter_compose(m.clone());
    interrupt::guarded(s, entry.names[0], work(s, &matches)).await
}

/// A verb's own flags and words. A mistake there has Compose's exit code, which is not Docker's.
fn parse(command: &'static Command, path: &str, args: &[String]) -> Result<Option<Matches>, Failure> {
    command.matches(path, args).map_err(|failure| match failure {
        Failure::Text { text, .. } => Failure::text(1, text),
        other => other,
    })
}
