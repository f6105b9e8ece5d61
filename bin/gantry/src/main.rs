//! The client and the engine in one file: which of them runs is decided by the program's name and its first word.

use gantry_daemon::CalledAs;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let name = argv.first().and_then(|program| Path::new(program).file_name()).unwrap_or_default();
    if name == "dockerd" {
        return gantry_daemon::run(CalledAs::Dockerd, argv.into_iter().skip(1));
    }
    if argv.get(1).is_some_and(|word| word == "daemon") {
        return gantry_daemon::run(CalledAs::Gantry, argv.into_iter().skip(2));
    }
    gantry_cli::run(argv)
}
