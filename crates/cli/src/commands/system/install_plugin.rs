//! `install-plugin`: `docker gantry ...` and `docker compose ...` become ours, by links in Docker's folder of plugins.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::command::{COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::terminal::io_text;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("compose", "Also serve docker compose"),
    text("folder", "Folder of plugins (default is cli-plugins in the client's configuration)"),
    switch("remove", "Remove our links again"),
];

pub static INSTALL_PLUGIN: Command = Command {
    usage: "[OPTIONS]",
    short: "Become a plugin of Docker's client: docker gantry, and docker compose if asked",
    examples: &[("--compose", "docker gantry, and docker compose, from now on")],
    long: "Become a plugin of Docker's client, by a link in its folder of plugins: `docker gantry top` then is \
           `gantry top` on Docker's engine, and with --compose `docker compose` is served by us. What another program has \
           put there is never replaced.",
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let folder = match m.text("folder") {
        "" => s.config_dir().join("cli-plugins"),
        folder => folder.into(),
    };
    let told =
        |path: &Path, error: &io::Error| Failure::text(1, format!("{}: {}", path.display(), io_text(error)));
    let program = std::env::current_exe()?;
    if !m.on("remove") {
        fs::create_dir_all(&folder).map_err(|error| told(&folder, &error))?;
    }
    let mut names = vec!["docker-gantry"];
    if m.on("compose") || m.on("remove") {
        names.push("docker-compose");
    }
    for name in names {
        let path = folder.join(name);
        let is_ours = fs::read_link(&path).is_ok_and(|target| target == program);
        match (m.on("remove"), is_ours) {
            (true, true) => {
                fs::remove_file(&path).map_err(|error| told(&path, &error))?;
                print::line(&format!("removed {}", path.display()));
            }
            (true, false) => {}
            (false, true) => print::line(&format!("{} is there", path.display())),
            (false, false) => {
                if path.symlink_metadata().is_ok() {
                    return Err(format!("{} is another program: remove it first", path.display()).into());
                }
                symlink(&program, &path).map_err(|error| told(&path, &error))?;
                print::line(&format!("{} -> {}", path.display(), program.display()));
            }
        }
    }
    Ok(())
}
