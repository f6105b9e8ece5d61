//! `rmi`.

use gantry_client::Query;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch};
use crate::parse::platform;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("force", "Remove even when used").short('f'),
    switch("no-prune", "Keep untagged parents"),
    flag("platform", Kind::Strings, "Remove only these platforms (os[/arch[/variant]])"),
];

pub static RM: Command = Command {
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    short: "Remove one or more images",
    examples: &[
        ("app:1", "A name goes; the layers go with the last name"),
        ("-f app:1", "Even if a container was made of it"),
    ],
    aliases: &["image rm", "image remove", "rmi"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let force = m.on("force");
    let mut query = Query::new().flag("force", force);
    if m.on("no-prune") {
        query = query.with("noprune", "1");
    }
    for text in m.all("platform") {
        query = query.with("platforms", platform::to_json(&text)?);
    }
    let (mut failed, mut fatal) = (Vec::new(), false);
    for name in &m.words {
        match client.image_remove(name, query.clone()).await {
            Ok(items) => {
                for item in items {
                    match item["Deleted"].as_str().filter(|d| !d.is_empty()) {
                        Some(id) => print::line(&format!("Deleted: {id}")),
                        None => print::line(&format!(
                            "Untagged: {}",
                            item["Untagged"].as_str().unwrap_or_default()
                        )),
                    }
                }
            }
            Err(err) => {
                fatal |= !err.is_not_found();
                failed.push(err.to_string());
            }
        }
    }
    match force && !fatal {
        true => {
            failed.iter().for_each(|why| print::err(why));
            Ok(())
        }
        false => Failure::all(failed),
    }
}
