//! Our client beside the original: one configuration, each other's contexts, plugins; and what only ours has.

mod board;
mod completion;
mod contexts;
mod file;
mod help;
mod plugins;
mod seat;
mod secured;
mod slips;
mod ssh;
mod strange;
mod variables;

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Engine, Said};

fn said(mut command: Command) -> Said {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Ours or the original with the configuration of `engine`, and no address.
fn command(program: &Path, engine: &Engine, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env("DOCKER_CONFIG", engine.path("client")).env("DOCKER_CLI_HINTS", "false");
    command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").current_dir(engine.path(""));
    command
}

/// What it says.
fn client(program: &Path, engine: &Engine, args: &[&str]) -> Said {
    said(command(program, engine, args))
}

/// Makes a program of a text.
fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// The client's settings.
fn configure(engine: &Engine, text: &str) {
    std::fs::create_dir_all(engine.path("client")).unwrap();
    std::fs::write(engine.path("client/config.json"), text).unwrap();
}
