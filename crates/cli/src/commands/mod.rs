//! The tree of commands: a noun is a folder, a verb is a file.

mod board;
mod builder;
pub mod compose;
pub mod container;
mod context;
pub mod image;
pub mod inspect;
mod manifest;
mod network;
mod prune;
mod registry;
mod swarm;
mod system;
mod volume;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use futures_util::StreamExt;
use gantry_client::ByteStream;

use crate::command::{COMMAND, Command, Shelf, entry, shelved};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, list, switch, text};
use crate::print;

/// Requests of one command under way at once.
const AT_ONCE: usize = 50;

static GLOBAL: &[Flag] = &[
    text("config", "Folder of the client's configuration (default $DOCKER_CONFIG or ~/.docker)"),
    text("context", "Context to use (overrides DOCKER_HOST and the chosen context)").short('c'),
    switch("debug", "Tell more").short('D'),
    list("host", "Address of the engine").short('H'),
    text("log-level", "How much to tell (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")")
        .short('l')
        .default("info"),
    switch("tls", "Use TLS; implied by --tlsverify"),
    text(
        "tlscacert",
        "Trust only certificates signed by this CA (default ca.pem of $DOCKER_CERT_PATH or of the folder above)",
    ),
    text("tlscert", "Our TLS certificate (default cert.pem, likewise)"),
    text("tlskey", "Its key (default key.pem, likewise)"),
    switch("tlsverify", "Use TLS and check who answers"),
    switch("version", "Show the version and quit").short('v'),
];

/// Everything.
pub static ROOT: Command = Command {
    short: "Containers, images, networks and volumes on one engine",
    flags: &[GLOBAL],
    below: &[
        shelved(&["run"], &container::run::RUN, Shelf::Common),
        shelved(&["exec"], &container::exec::EXEC, Shelf::Common),
        shelved(&["ps"], &container::ls::LS, Shelf::Common),
        shelved(&["build"], &image::build::BUILD, Shelf::Common),
        shelved(&["pull"], &image::pull::PULL, Shelf::Common),
        shelved(&["push"], &image::push::PUSH, Shelf::Common),
        shelved(&["images"], &image::ls::LS, Shelf::Common),
        shelved(&["login"], &registry::login::LOGIN, Shelf::Common),
        shelved(&["logout"], &registry::logout::LOGOUT, Shelf::Common),
        shelved(&["search"], &registry::search::SEARCH, Shelf::Common),
        shelved(&["version"], &system::version::VERSION, Shelf::Common),
        shelved(&["info"], &system::info::INFO, Shelf::Common),
        shelved(&["builder"], &builder::BUILDER, Shelf::Management),
        shelved(&["buildx"], &builder::BUILDX, Shelf::Management),
        shelved(&["checkpoint"], &swarm::checkpoint::CHECKPOINT, Shelf::Management),
        shelved(&["compose"], &compose::COMPOSE, Shelf::Management),
        shelved(&["container"], &container::CONTAINER, Shelf::Management),
        shelved(&["context"], &context::CONTEXT, Shelf::Management),
        shelved(&["image"], &image::IMAGE, Shelf::Management),
        shelved(&["imagetools"], &manifest::imagetools::IMAGETOOLS, Shelf::Management),
        shelved(&["manifest"], &manifest::MANIFEST, Shelf::Management),
        shelved(&["network"], &network::NETWORK, Shelf::Management),
        shelved(&["plugin"], &swarm::plugin::PLUGIN, Shelf::Management),
        shelved(&["system"], &system::SYSTEM, Shelf::Management),
        shelved(&["volume"], &volume::VOLUME, Shelf::Management),
        shelved(&["config"], &swarm::config::CONFIG, Shelf::Swarm),
        shelved(&["node"], &swarm::node::NODE, Shelf::Swarm),
        shelved(&["secret"], &swarm::secret::SECRET, Shelf::Swarm),
        shelved(&["service"], &swarm::service::SERVICE, Shelf::Swarm),
        shelved(&["stack"], &swarm::stack::STACK, Shelf::Swarm),
        shelved(&["swarm"], &swarm::SWARM, Shelf::Swarm),
        entry(&["attach"], &container::attach::ATTACH),
        entry(&["commit"], &container::commit::COMMIT),
        entry(&["completion"], &system::completion::COMPLETION),
        entry(&["cp"], &container::cp::CP),
        entry(&["create"], &container::create::CREATE),
        entry(&["diff"], &container::diff::DIFF),
        entry(&["docs"], &system::docs::DOCS),
        entry(&["events"], &system::events::EVENTS),
        entry(&["export"], &container::export::EXPORT),
        entry(&["history"], &image::history::HISTORY),
        entry(&["import"], &image::import::IMPORT),
        entry(&["inspect"], &inspect::INSPECT),
        entry(&["install-plugin"], &system::install_plugin::INSTALL_PLUGIN),
        entry(&["kill"], &container::kill::KILL),
        entry(&["load"], &image::load::LOAD),
        entry(&["logs"], &container::logs::LOGS),
        entry(&["pause"], &container::pause::PAUSE),
        entry(&["port"], &container::port::PORT),
        entry(&["rename"], &container::rename::RENAME),
        entry(&["restart"], &container::restart::RESTART),
        entry(&["rm"], &container::rm::RM),
        entry(&["rmi"], &image::rm::RM),
        entry(&["save"], &image::save::SAVE),
        entry(&["start"], &container::start::START),
        entry(&["stats"], &container::stats::STATS),
        entry(&["stop"], &container::stop::STOP),
        entry(&["tag"], &image::tag::TAG),
        entry(&["top"], &board::TOP),
        entry(&["unpause"], &container::unpause::UNPAUSE),
        entry(&["update"], &container::update::UPDATE),
        entry(&["wait"], &container::wait::WAIT),
    ],
    ..COMMAND
};

/// The Docker whose client we behave as when we are called so.
const SPOKEN: &str = "28.5.2";

/// What `--version` prints. Scripts look for Docker's number in its third word.
pub fn version_line(program: &str) -> String {
    let own = env!("CARGO_PKG_VERSION");
    match program {
        "docker" => format!("Docker version {SPOKEN} (Gantry {own})"),
        _ => format!("Gantry version {own}"),
    }
}

/// Does `work` for every name, many at once; prints each result in order and tells the failures at the end.
pub async fn each<F, R>(names: &[String], work: F) -> Outcome
where
    F: Fn(String) -> R,
    R: Future<Output = Result<String, Failure>>,
{
    let mut results = futures_util::stream::iter(names.iter().cloned().map(work)).buffered(AT_ONCE);
    let mut failed = Vec::new();
    while let Some(result) = results.next().await {
        match result {
            Ok(text) => print::line(&text),
            // Told already, and no failure.
            Err(Failure::Text { code: 0, .. }) => {}
            Err(failure) => failed.push(failure.to_string()),
        }
    }
    Failure::all(failed)
}

/// Writes a stream to standard output, or to a file that appears only when it is whole.
pub async fn save_to(mut stream: ByteStream, output: &str, what: &str) -> Outcome {
    if output.is_empty() {
        while let Some(bytes) = stream.next().await? {
            print::bytes(&bytes);
        }
        return Ok(());
    }
    let told = |e: std::io::Error| Failure::text(1, format!("{what}: {}", crate::terminal::io_text(&e)));
    let path = std::path::Path::new(output);
    if path.is_dir() {
        return Err(format!("{what}: cannot write to a directory").into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && let Err(e) = folder.metadata()
    {
        let why = crate::terminal::io_text(&e);
        return Err(format!("{what}: invalid output path: stat {}: {why}", folder.display()).into());
    }
    // A device or a pipe is written into, not replaced.
    if path.exists() && !path.is_file() {
        let mut file = fs::OpenOptions::new().write(true).open(path).map_err(told)?;
        while let Some(bytes) = stream.next().await? {
            file.write_all(&bytes).map_err(told)?;
        }
        return Ok(());
    }
    let beside = format!("{output}.{}", std::process::id());
    let written = async {
        // What is in a container or an image is not for everybody.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(told)?;
        while let Some(bytes) = stream.next().await? {
            file.write_all(&bytes).map_err(told)?;
        }
        fs::rename(&beside, path).map_err(told)
    }
    .await;
    if written.is_err() {
        // The first failure is what the person reads.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_finds_dockers_number_in_the_third_word() {
        let line = version_line("docker");
        assert_eq!(line.split(' ').nth(2), Some(SPOKEN));
        assert!(line.starts_with("Docker version ") && line.contains("Gantry"));
    }
}
