//! The client alone, without the engine: for comparing it with the original on any engine.

fn main() -> std::process::ExitCode {
    gantry_cli::run(std::env::args_os().collect())
}
