//! The client, the engine and the registry in one file: which of them runs is decided by the program's name and its first word.

use clap::Parser as _;
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
    if name == "registry" {
        return registry(named_registry(argv));
    }
    if argv.get(1).is_some_and(|word| word == "registry") {
        return registry(argv.into_iter().skip(1).collect());
    }
    gantry_cli::run(argv)
}

fn registry(argv: Vec<OsString>) -> ExitCode {
    match gantry_registry::run(gantry_registry::Arguments::parse_from(argv)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry registry: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As the image `registry` is called: a configuration file alone means to serve it.
fn named_registry(mut argv: Vec<OsString>) -> Vec<OsString> {
    let file = |word: &OsString| Path::new(word).extension().is_some_and(|ext| ext == "yml" || ext == "yaml");
    if argv.get(1).is_some_and(file) {
        argv.insert(1, "serve".into());
    }
    argv
}
