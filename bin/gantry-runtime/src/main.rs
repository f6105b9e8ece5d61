//! `gantry-runtime`: the OCI runtime command line, with runc's commands and flags, so that podman, containerd and
//! people can use it. One file for each command under `commands/`; what a container is on disk is in `state.rs`.

mod args;
mod clock;
mod commands;
mod console;
mod foreground;
mod log;
mod state;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (global, rest) = match args::global(std::env::args().skip(1).collect()) {
        Ok(parsed) => parsed,
        Err(e) => {
            eprintln!("gantry-runtime: {e:#}");
            return ExitCode::from(1);
        }
    };
    match commands::run(&global, rest) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            log::error(&global, &format!("{e:#}"));
            ExitCode::from(commands::failure_code(&e))
        }
    }
}
