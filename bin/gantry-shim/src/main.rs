//! One per container: stdio, log, exec sessions, exit. And, called as `docker-init`, the tiny init of `--init`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gantry_shim_lib::run(std::env::args_os())
}
