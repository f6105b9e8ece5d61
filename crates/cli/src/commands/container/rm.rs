//! `rm`.

use gantry_client::Query;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::each;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("force", "Remove a running container too (it is killed)").short('f'),
    switch("link", "Remove this link, not the container").short('l'),
    switch("volumes", "Remove anonymous volumes with the container").short('v'),
];

pub static RM: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    short: "Remove one or more containers",
    examples: &[("-fv web", "Kill it first; its anonymous volumes go too")],
    aliases: &["container rm", "container remove", "rm"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let force = m.on("force");
    let query = Query::new().flag("v", m.on("volumes")).flag("link", m.on("link")).flag("force", force);
    each(&m.words, |name| {
        let query = query.clone();
        async move {
            let path = name.trim_matches('/');
            if path.is_empty() {
                return Err("container name cannot be empty".into());
            }
            match client.container_remove(path, query).await {
                Ok(()) => Ok(name),
                // With --force a missing container is told, but it is no failure.
                Err(err) if force && err.is_not_found() => {
                    print::err(&err.to_string());
                    Err(Failure::silent(0))
                }
                Err(err) => Err(err.into()),
            }
        }
    })
    .await
}
