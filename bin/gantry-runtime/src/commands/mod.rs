//! One file for each command.

mod birth;
mod events;
mod exec;
mod features;
mod life;
mod list;
mod ps;
mod spec;
mod update;

use anyhow::{Result, bail};

use crate::args::Global;

const HELP: &str = "\
gantry-runtime - an OCI container runtime

usage: gantry-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] [--systemd-cgroup] COMMAND ...

commands:
   create     create a container (--bundle, --console-socket, --pid-file, --no-pivot, --no-new-keyring, --preserve-fds)
   delete     delete the resources of a container (--force)
   events     events and statistics (--interval, --stats)
   exec       execute a process in the container
   features   what this runtime can do, as JSON
   kill       send a signal to the container's first process (--all)
   list       list the containers (--format table|json, --quiet)
   pause      suspend every process of the container
   ps         list the processes of the container (--format table|json)
   resume     resume every process of a paused container
   run        create and start a container, and stay until it ends (--detach, --keep)
   spec       write an example config.json (--bundle, --rootless)
   start      start a created container
   state      the container's state as JSON
   update     change a running container's limits
";

/// Runs a command; the answer is the exit code.
pub fn run(global: &Global, mut words: Vec<String>) -> Result<u8> {
    let command = words.remove(0);
    match command.as_str() {
        "create" => birth::create(global, words),
        "run" => birth::run(global, words),
        "start" => birth::start(global, words),
        "exec" => exec::exec(global, words),
        "state" => list::state(global, words),
        "list" => list::list(global, words),
        "kill" => life::kill(global, words),
        "delete" => life::delete(global, words),
        "pause" => life::pause(global, words),
        "resume" => life::resume(global, words),
        "ps" => ps::ps(global, words),
        "update" => update::update(global, words),
        "events" => events::events(global, words),
        "features" => features::features(),
        "spec" => spec::spec(words),
        "checkpoint" | "restore" => {
            bail!("{command} is not supported: this runtime does not freeze processes to disk (CRIU)")
        }
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(0)
        }
        "--version" | "-v" => {
            println!("gantry-runtime version {}\nspec: 1.2.0", env!("CARGO_PKG_VERSION"));
            Ok(0)
        }
        other => bail!("unknown command \"{other}\""),
    }
}

/// runc's exit codes: 255 for an exec that failed, 1 for the rest.
pub fn failure_code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<exec::Failed>().is_some() { 255 } else { 1 }
}
