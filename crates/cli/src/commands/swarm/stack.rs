//! `stack`: services that belong together. Deploying one needs a Compose file's reader, which is the compose
//! commands' own; here is what can be said of stacks that stand.

use std::collections::BTreeMap;

use gantry_client::Query;
use serde_json::{Value, json};

use super::{objects, service};
use crate::command::{Arity, COMMAND, Command, entry};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::Fields;
use crate::parse::filters;
use crate::print;
use crate::session::Session;
use crate::work;

/// The label that says which stack a thing belongs to.
const LABEL: &str = "com.docker.stack.namespace";

pub static STACK: Command = Command {
    short: "Manage Swarm stacks",
    below: &[
        entry(&["config"], &CONFIG),
        entry(&["deploy", "up"], &DEPLOY),
        entry(&["ls", "list"], &LS),
        entry(&["ps"], &PS),
        entry(&["rm", "remove", "down"], &RM),
        entry(&["services"], &SERVICES),
    ],
    ..COMMAND
};

static CONFIG_FLAGS: &[Flag] = &[
    flag("compose-file", Kind::Strings, "Compose file, or - for STDIN").short('c'),
    switch("skip-interpolation", "Leave variables as they are"),
];

static CONFIG: Command = Command {
    usage: "[OPTIONS]",
    short: "Outputs the final config file, after doing merges and interpolations",
    flags: &[CONFIG_FLAGS],
    work: work!(refuse),
    ..COMMAND
};

static DEPLOY_FLAGS: &[Flag] = &[
    flag("compose-file", Kind::Strings, "Compose file, or - for STDIN").short('c'),
    switch("detach", "Do not wait until the services stand").short('d').default("true"),
    switch("prune", "Remove services that are no longer named"),
    switch("quiet", "Say nothing meanwhile").short('q'),
    text("resolve-image", "Ask the registry for digests (always, changed, never)").default("always"),
    switch("with-registry-auth", "Give our credentials to the nodes"),
];

static DEPLOY: Command = Command {
    usage: "[OPTIONS] STACK",
    short: "Deploy a new stack or update an existing stack",
    aliases: &["stack deploy", "stack up"],
    flags: &[DEPLOY_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(refuse),
    ..COMMAND
};

static LS_FLAGS: &[Flag] =
    &[text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template")];

static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List stacks",
    aliases: &["stack ls", "stack list"],
    flags: &[LS_FLAGS],
    work: work!(ls),
    ..COMMAND
};

static PS: Command = Command {
    usage: "[OPTIONS] STACK",
    short: "List the tasks in the stack",
    flags: &[objects::TASKS],
    arity: Arity::Exactly(1),
    work: work!(ps),
    ..COMMAND
};

static RM_FLAGS: &[Flag] = &[switch("detach", "Do not wait until all is gone").short('d').default("true")];

static RM: Command = Command {
    usage: "[OPTIONS] STACK [STACK...]",
    short: "Remove one or more stacks",
    aliases: &["stack rm", "stack remove", "stack down"],
    flags: &[RM_FLAGS],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

static SERVICES: Command = Command {
    usage: "[OPTIONS] STACK",
    short: "List the services in the stack",
    flags: &[objects::LS],
    arity: Arity::Exactly(1),
    work: work!(services),
    ..COMMAND
};

async fn refuse(s: &Session, _: &Matches) -> Outcome {
    // Whether the engine could run one at all is the first thing to know.
    s.client()?.swarm().await?;
    Err(Failure::text(1, "stacks cannot be deployed from a Compose file yet; use the compose commands"))
}

fn of_stack(name: &str) -> Query {
    let mut wanted = serde_json::Map::new();
    filters::add(&mut wanted, "label", &format!("{LABEL}={name}"));
    Query::new().with("filters", filters::encode_map(&wanted))
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    let mut wanted = serde_json::Map::new();
    filters::add(&mut wanted, "label", LABEL);
    let found =
        s.client()?.objects("services", Query::new().with("filters", filters::encode_map(&wanted))).await?;
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for service in &found {
        let name = service["Spec"]["Labels"][LABEL].as_str().unwrap_or_default();
        *stacks.entry(name.to_owned()).or_default() += 1;
    }
    let rows: Vec<Value> =
        stacks.iter().map(|(name, count)| json!({"Name": name, "Services": count})).collect();
    objects::show(m, &rows, "table {{.Name}}\\t{{.Services}}", |v| {
        Fields::new("*formatter.stackContext").with("Name", "NAME", v["Name"].clone()).with(
            "Services",
            "SERVICES",
            v["Services"].as_u64().unwrap_or(0).to_string(),
        )
    })
}

async fn ps(s: &Session, m: &Matches) -> Outcome {
    objects::tasks(s, m, "label", &[format!("{LABEL}={}", m.word(0))]).await
}

async fn services(s: &Session, m: &Matches) -> Outcome {
    let found = s.client()?.objects("services", of_stack(m.word(0))).await?;
    if found.is_empty() {
        print::err(&format!("Nothing found in stack: {}", m.word(0)));
        return Ok(());
    }
    objects::show(m, &found, service::TABLE, service::row)
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    for name in &m.words {
        let mut any = false;
        for (noun, word) in
            [("services", "service"), ("secrets", "secret"), ("configs", "config"), ("networks", "network")]
        {
            for thing in client.objects(noun, of_stack(name)).await? {
                any = true;
                let id = thing["ID"].as_str().or(thing["Id"].as_str()).unwrap_or_default();
                let shown = thing["Spec"]["Name"].as_str().or(thing["Name"].as_str()).unwrap_or(id);
                print::line(&format!("Removing {word} {shown}"));
                client.object_remove(noun, id, false).await?;
            }
        }
        if !any {
            print::err(&format!("Nothing found in stack: {name}"));
        }
    }
    Ok(())
}
