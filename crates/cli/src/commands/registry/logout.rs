//! `logout`.

use crate::command::{Arity, COMMAND, Command};
use crate::config;
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print;
use crate::session::Session;
use crate::work;

pub static LOGOUT: Command = Command {
    usage: "[SERVER]",
    short: "Log out from a registry",
    long: "Log out from a registry. Without a server, Docker Hub is meant.",
    arity: Arity::AtMost(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let registry = m.words.first().map_or("docker.io", String::as_str);
    let mut file = s.config().clone();
    print::line(&format!("Removing login credentials for {}", config::server_key(registry)));
    match config::erase(&mut file, registry) {
        Ok(_) => Ok(()),
        Err(why) => Err(Failure::text(1, format!("WARNING: could not erase credentials: {why}"))),
    }
}
