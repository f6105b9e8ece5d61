//! One container's keeper: it makes the container, holds its stdio, writes its log, runs its exec sessions, reaps it and
//! records its exit. It outlives the engine.
//!
//! One program with several faces ([`run`]):
//!
//! | called as | is |
//! |---|---|
//! | `gantry-shim --bundle DIR` | the keeper of the container in that bundle |
//! | `gantry-shim --bundle DIR --clean` | the undertaker: ends what a killed keeper left |
//! | `gantry-shim --compress LOG` | the keeper's helper that compresses old log files |
//! | `gantry-shim --log DIR` | the keeper's helper that writes the log with `mode=non-blocking` |
//! | `docker-init -- cmd args`, `gantry-init ...` | the tiny init inside a container (`--init`) |
//! | `... --fresh CMD ARGS` | a step between the two last and what they execute: signals as a fresh program expects them |
//!
//! The keeper is one thread around `poll`: no async runtime, nothing allocated that is not needed just now, for
//! there is one of it per container. It has no opinion: what runs is in `config.json`, how it is kept in `shim.json`
//! ([`gantry_shim_protocol::ShimConfig`]), what to do next comes over the socket.
//!
//! What a signal does: SIGTERM, SIGINT and SIGHUP are noted in `shim.log` and otherwise ignored. A keeper that went away
//! would lose the container's exit, and whoever shuts the machine down signals the container's processes, too;
//! their end is the keeper's end. Only SIGKILL takes a keeper away, and then the engine calls the undertaker.
//!
//! Start reading at [`keeper`].

mod clean;
mod fresh;
mod init;
pub mod keeper;
mod log;
mod oom;
mod runtime;
mod settle;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Face {
    Keep(PathBuf),
    Clean(PathBuf),
    Compress(PathBuf),
    Log(PathBuf),
    Init { myself: OsString, args: Vec<OsString> },
    Fresh(Vec<OsString>),
    Unknown,
}

/// The program: `args` with the program's own name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match face(args.into_iter().collect()) {
        Face::Keep(bundle) => keeper::keep(&bundle),
        Face::Clean(bundle) => clean::clean(&bundle),
        Face::Compress(log) => log::compress(&log),
        Face::Log(bundle) => log::write_aside(&bundle),
        Face::Init { myself, args } => return init::run(&myself, &args),
        Face::Fresh(command) => return fresh::execute(&command),
        Face::Unknown => {
            eprintln!("usage: gantry-shim --bundle DIR [--clean]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("{}", gantry_errdefs::chain(&*err));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong in a way that ends the program.
type Fatal = Box<dyn std::error::Error>;

fn face(args: Vec<OsString>) -> Face {
    let mut args = args.into_iter();
    let myself = args.next().unwrap_or_default();
    let name = Path::new(&myself).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_init = matches!(name, "docker-init" | "gantry-init" | "tini");
    let rest: Vec<OsString> = args.collect();
    if rest.first().is_some_and(|word| word == fresh::WORD) {
        return Face::Fresh(rest[1..].to_vec());
    }
    if is_init {
        return Face::Init { myself, args: rest };
    }
    let words: Vec<&str> = rest.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words[..] {
        ["--bundle", _] => Face::Keep(PathBuf::from(&rest[1])),
        ["--bundle", _, "--clean"] => Face::Clean(PathBuf::from(&rest[1])),
        ["--log", _] => Face::Log(PathBuf::from(&rest[1])),
        ["--compress", _] => Face::Compress(PathBuf::from(&rest[1])),
        _ => Face::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Face {
        face(args.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_name_and_the_first_words_choose_the_face() {
        assert_eq!(of(&["gantry-shim", "--bundle", "/b"]), Face::Keep("/b".into()));
        assert_eq!(of(&["gantry-shim", "--bundle", "/b", "--clean"]), Face::Clean("/b".into()));
        let args = vec!["--".into(), "sh".into()];
        assert_eq!(
            of(&["/sbin/docker-init", "--", "sh"]),
            Face::Init { myself: "/sbin/docker-init".into(), args }
        );
        assert_eq!(of(&["docker-init", "--fresh", "sh"]), Face::Fresh(vec!["sh".into()]));
        assert_eq!(of(&["gantry-shim"]), Face::Unknown);
        assert_eq!(of(&[]), Face::Unknown);
    }
}
