//! `context inspect`.

use serde_json::{Value, json};

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::inspect::show;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("format", "Format of the output: 'json' or a Go template").short('f')];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
    short: "Display detailed information on one or more contexts",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    names: Names::Contexts,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let names = if m.words.is_empty() { vec![s.context_name()] } else { m.words.clone() };
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in &names {
        match describe(s, name) {
            Ok(value) => found.push(value),
            Err(why) => failed.push(why),
        }
    }
    show(&found, m.text("format"))?;
    Failure::all(failed)
}

fn describe(s: &Session, name: &str) -> Result<Value, String> {
    let store = s.contexts();
    if name == "default" {
        return Ok(json!({
            "Name": "default",
            "Metadata": {},
            "Endpoints": {"docker": {"Host": s.default_host(), "SkipTLSVerify": false}},
            "TLSMaterial": {},
            "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
        }));
    }
    let mut value = store.get(name)?.to_json();
    let files: Vec<String> = store.tls(name).into_iter().map(|(file, _)| file).collect();
    value["TLSMaterial"] = if files.is_empty() { json!({}) } else { json!({"docker": files}) };
    value["Storage"] = json!({"MetadataPath": store.meta_dir(name), "TLSPath": store.tls_dir(name)});
    Ok(value)
}
