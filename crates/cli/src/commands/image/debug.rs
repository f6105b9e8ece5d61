//! `build debug`: into the state that a failed step of a build has left.

use std::collections::BTreeMap;

use gantry_client::Query;
use serde_json::{Value, json};

use crate::command::{Arity, COMMAND, Command, Names};
use crate::commands::container::run;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;

/// The label of such a state; its value is the step.
const LABEL: &str = "gantry.build.failed";

static FLAGS: &[Flag] = &[switch("list", "Only list the states that are kept, the newest first")];

pub static DEBUG: Command = Command {
    usage: "[OPTIONS] [COMMAND] [ARG...]",
    short: "Enter the state that the last failed step has left",
    long: "Enter the state that the last failed step has left: a container of it, with its shell or the command you name. It goes \
           when you leave; the state stays, until three newer ones came or a prune.",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    interspersed: false,
    names: Names::None,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let filters = json!({ "label": [LABEL], "dangling": ["true"] }).to_string();
    let mut kept = s.client()?.image_list(Query::new().with("filters", filters)).await?;
    kept.sort_by_key(|image| std::cmp::Reverse(image["Created"].as_i64()));
    if m.on("list") {
        kept.iter().for_each(|image| print::line(&format!("{}  {}", id(image), step(image))));
        return Ok(());
    }
    let newest = kept.first().ok_or_else(|| {
        let why = "no state of a failed step is kept here: builds keep the newest three, unless --force-rm says not to";
        Failure::text(1, why)
    })?;
    print::err(&format!("The state that this step has left: {}", step(newest)));
    let mut args = vec!["--rm".to_owned(), "--interactive".to_owned()];
    if terminal::stdin_is() && terminal::stdout_is() {
        args.push("--tty".to_owned());
    }
    args.push(id(newest));
    args.extend(m.words.iter().cloned());
    match run::RUN.matches("run", &args)? {
        Some(asked) => run::run(s, &asked).await,
        None => Ok(()),
    }
}

fn id(image: &Value) -> String {
    let id = image["Id"].as_str().unwrap_or_default();
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

/// The step, on one line.
fn step(image: &Value) -> String {
    let labels: BTreeMap<String, String> =
        serde_json::from_value(image["Labels"].clone()).unwrap_or_default();
    labels.get(LABEL).and_then(|text| text.lines().next()).unwrap_or_default().to_owned()
}
