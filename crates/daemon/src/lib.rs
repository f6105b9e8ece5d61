//! The page of wiring: read the configuration, open the engine, bring back what ran, serve, reload, drain.
//!
//! This crate decides nothing about containers and knows nothing of the wire. It is the one place where the parts
//! of the daemon's house meet: flags and `daemon.json` ([`config`]), the log, the pidfile, sockets
//! (`gantry-server`), the engine (`gantry-engine`), signals, systemd.
//!
//! Start reading at [`run`], then `start.rs`: the life of the engine from top to bottom. Every setting is one line
//! of `options/table.rs`.

mod build;
pub mod config;
mod gc;
mod log;
mod notify;
mod options;
mod pidfile;
mod reload;
mod signals;
mod start;
mod steps;

use options::flags;
use std::ffi::OsString;
use std::process::ExitCode;

/// What the program was called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalledAs {
    /// `gantry daemon`: our own places.
    Gantry,
    /// `dockerd`: Docker's flags and Docker's places.
    Dockerd,
}

/// Runs the engine until it is told to stop. `args` are the words behind `gantry daemon` (or `dockerd`).
pub fn run(called_as: CalledAs, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let name = match called_as {
        CalledAs::Gantry => "gantry daemon",
        CalledAs::Dockerd => "dockerd",
    };
    let argv = std::iter::once(OsString::from(name)).chain(args);
    let matches = match flags::command(name).try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(err) => {
            // Help and version are "errors" that succeed.
            let code = if err.use_stderr() { ExitCode::from(125) } else { ExitCode::SUCCESS };
            return if err.print().is_ok() { code } else { ExitCode::FAILURE };
        }
    };
    let flags = match flags::read(&matches) {
        Ok(flags) => flags,
        Err(err) => return failed(&err),
    };
    let drop_in = called_as == CalledAs::Dockerd;
    let loaded = match config::load(&flags, drop_in) {
        Ok(loaded) => loaded,
        Err(err) => return failed(&err),
    };
    if flags.validate {
        eprintln!("configuration OK");
        return ExitCode::SUCCESS;
    }
    match start::start(start::Boot { flags, drop_in, loaded }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("failed to start daemon: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn failed(err: &dyn std::error::Error) -> ExitCode {
    eprintln!("{err}");
    ExitCode::FAILURE
}
