//! `service`: what a cluster keeps running.

use gantry_client::{Frames, Query};
use serde_json::{Value, json};

use super::objects;
use crate::command::{Arity, COMMAND, Command, entry};
use crate::commands::container::logs;
use crate::commands::inspect::{Kind as Thing, inspect};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::format::Fields;
use crate::parse::env;
use crate::print;
use crate::session::Session;
use crate::work;

pub static SERVICE: Command = Command {
    short: "Manage Swarm services",
    below: &[
        entry(&["create"], &CREATE),
        entry(&["inspect"], &INSPECT),
        entry(&["logs"], &LOGS),
        entry(&["ls", "list"], &LS),
        entry(&["ps"], &PS),
        entry(&["rm", "remove"], &RM),
        entry(&["rollback"], &ROLLBACK),
        entry(&["scale"], &SCALE),
        entry(&["update"], &UPDATE),
    ],
    ..COMMAND
};

static CREATE_FLAGS: &[Flag] = &[
    list("constraint", "Where tasks may run"),
    list("container-label", "Label of the containers"),
    switch("detach", "Do not wait until the service stands").short('d'),
    list("env", "Set an environment variable").short('e').check(env::validate_env),
    list("env-file", "File with environment variables"),
    text("hostname", "Host name of the containers"),
    list("label", "Label of the service").short('l').check(env::validate_label),
    text("mode", "replicated or global").default("replicated"),
    text("name", "Name of the service"),
    list("network", "Connect to a network"),
    switch("quiet", "Say nothing meanwhile").short('q'),
    flag("replicas", Kind::Uint, "How many tasks"),
    text("user", "User (and group) to run as: name or number").short('u'),
    text("workdir", "Working folder inside the container").short('w'),
];

static CREATE: Command = Command {
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    short: "Create a new service",
    flags: &[CREATE_FLAGS],
    arity: Arity::AtLeast(1),
    interspersed: false,
    work: work!(create),
    ..COMMAND
};

static INSPECT: Command = Command {
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    short: "Display detailed information on one or more services",
    flags: &[objects::INSPECT],
    arity: Arity::AtLeast(1),
    work: work!(inspect_all),
    ..COMMAND
};

static LOGS_FLAGS: &[Flag] = &[
    switch("no-resolve", "Ids instead of names"),
    switch("no-task-ids", "No ids of tasks"),
    switch("no-trunc", "Do not cut anything"),
    switch("raw", "Lines as they are"),
];

static LOGS: Command = Command {
    usage: "[OPTIONS] SERVICE|TASK",
    short: "Fetch the logs of a service or task",
    flags: &[logs::FLAGS, LOGS_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(show_logs),
    ..COMMAND
};

static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List services",
    aliases: &["service ls", "service list"],
    flags: &[objects::LS],
    work: work!(ls),
    ..COMMAND
};

static PS: Command = Command {
    usage: "[OPTIONS] SERVICE [SERVICE...]",
    short: "List the tasks of one or more services",
    flags: &[objects::TASKS],
    arity: Arity::AtLeast(1),
    work: work!(ps),
    ..COMMAND
};

static RM: Command = Command {
    usage: "SERVICE [SERVICE...]",
    short: "Remove one or more services",
    aliases: &["service rm", "service remove"],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

static DETACH: &[Flag] = &[
    switch("detach", "Do not wait until the service stands").short('d'),
    switch("quiet", "Say nothing meanwhile").short('q'),
];

static ROLLBACK: Command = Command {
    usage: "[OPTIONS] SERVICE",
    short: "Revert changes to a service's configuration",
    flags: &[DETACH],
    arity: Arity::Exactly(1),
    work: work!(rollback),
    ..COMMAND
};

static SCALE: Command = Command {
    usage: "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
    short: "Scale one or multiple replicated services",
    flags: &[DETACH],
    arity: Arity::AtLeast(1),
    work: work!(scale),
    ..COMMAND
};

static UPDATE_FLAGS: &[Flag] = &[
    list("env-add", "Set an environment variable"),
    list("env-rm", "Remove an environment variable"),
    switch("force", "Make new tasks even when nothing changed"),
    text("image", "New image"),
    list("label-add", "Set a label"),
    list("label-rm", "Remove a label"),
    flag("replicas", Kind::Uint, "How many tasks"),
    switch("rollback", "Go back to what was before"),
];

static UPDATE: Command = Command {
    usage: "[OPTIONS] SERVICE",
    short: "Update a service",
    flags: &[DETACH, UPDATE_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(update),
    ..COMMAND
};

async fn create(s: &Session, m: &Matches) -> Outcome {
    let mode = match m.text("mode") {
        "global" => json!({"Global": {}}),
        "replicated" => {
            let replicas = if m.changed("replicas") { m.int("replicas") } else { 1 };
            json!({"Replicated": {"Replicas": replicas}})
        }
        other => return Err(format!("Unknown mode: {other}, only replicated and global supported").into()),
    };
    let networks: Vec<Value> = m.all("network").iter().map(|n| json!({"Target": n})).collect();
    let mut container = json!({
        "Image": m.word(0),
        "Labels": m.map("container-label"),
        "Env": env::env(&m.all("env-file"), &m.all("env"))?,
        "Hostname": m.text("hostname"),
        "Dir": m.text("workdir"),
        "User": m.text("user"),
    });
    if m.words.len() > 1 {
        container["Args"] = json!(m.words[1..]);
    }
    let body = json!({
        "Name": m.text("name"),
        "Labels": m.map("label"),
        "Mode": mode,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Placement": {"Constraints": m.all("constraint")},
            "Networks": networks,
        },
    });
    let made = s.client()?.object_create("services", &body).await?;
    print::line(made["ID"].as_str().unwrap_or_default());
    Ok(())
}

async fn inspect_all(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Thing::Object("services", "service")], &m.words, m.text("format"), false).await
}

async fn show_logs(s: &Session, m: &Matches) -> Outcome {
    let query = Query::new()
        .flag("stdout", true)
        .flag("stderr", true)
        .with_some("since", m.text("since"))
        .flag("timestamps", m.on("timestamps"))
        .flag("follow", m.on("follow"))
        .flag("details", m.on("details"))
        .with("tail", m.text("tail"));
    let stream = s.client()?.get(format!("/services/{}/logs", m.word(0))).query(query).stream().await?;
    let mut frames = Frames::new(stream.into_reader());
    while let Some(frame) = frames.next().await? {
        print::bytes(&frame.bytes);
    }
    Ok(())
}

pub const TABLE: &str = "table {{.ID}}\\t{{.Name}}\\t{{.Mode}}\\t{{.Replicas}}\\t{{.Image}}\\t{{.Ports}}";

async fn ls(s: &Session, m: &Matches) -> Outcome {
    objects::list(s, m, "services", TABLE, row).await
}

pub fn row(v: &Value) -> Fields {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let spec = &v["Spec"];
    let global = !spec["Mode"]["Global"].is_null();
    let status = &v["ServiceStatus"];
    let count = |key: &str| status[key].as_u64().unwrap_or(0);
    let wanted = match status.is_object() {
        true => count("DesiredTasks"),
        false => spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(0),
    };
    let ports: Vec<String> = v["Endpoint"]["Ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| {
            let port = |key: &str| p[key].as_u64().unwrap_or(0);
            format!("*:{}->{}/{}", port("PublishedPort"), port("TargetPort"), word(&p["Protocol"]))
        })
        .collect();
    Fields::new("*service.serviceContext")
        .with("ID", "ID", word(&v["ID"]).chars().take(12).collect::<String>())
        .with("Image", "IMAGE", word(&spec["TaskTemplate"]["ContainerSpec"]["Image"]))
        .with("Mode", "MODE", if global { "global" } else { "replicated" })
        .with("Name", "NAME", word(&spec["Name"]))
        .with("Ports", "PORTS", ports.join(", "))
        .with("Replicas", "REPLICAS", format!("{}/{wanted}", count("RunningTasks")))
}

async fn ps(s: &Session, m: &Matches) -> Outcome {
    objects::tasks(s, m, "service", &m.words).await
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    objects::remove(s, m, "services").await
}

async fn change(s: &Session, name: &str, extra: &str, edit: impl Fn(&mut Value)) -> Outcome {
    let client = s.client()?;
    let service = client.object("services", name, Query::new()).await?;
    let mut spec = service["Spec"].clone();
    edit(&mut spec);
    let version = service["Version"]["Index"].as_u64().unwrap_or(0);
    let id = service["ID"].as_str().unwrap_or_default();
    let query = Query::new().with("version", version.to_string()).with_some("rollback", extra);
    client.post(format!("/services/{id}/update")).query(query).json_body(&spec).value().await?;
    Ok(())
}

async fn rollback(s: &Session, m: &Matches) -> Outcome {
    change(s, m.word(0), "previous", |_| {}).await?;
    print::line(m.word(0));
    Ok(())
}

async fn scale(s: &Session, m: &Matches) -> Outcome {
    for pair in &m.words {
        let (name, count) = pair.split_once('=').ok_or_else(|| {
            format!("invalid scale specifier {pair:?}: expected the form <service>=<replicas>")
        })?;
        let count: u64 = count.parse().map_err(|_| format!("{name}: invalid replicas value {count}"))?;
        change(s, name, "", |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(count)).await?;
        print::line(&format!("{name} scaled to {count}"));
    }
    Ok(())
}

async fn update(s: &Session, m: &Matches) -> Outcome {
    let extra = if m.on("rollback") { "previous" } else { "" };
    change(s, m.word(0), extra, |spec| {
        if m.changed("image") {
            spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(m.text("image"));
        }
        if m.changed("replicas") {
            spec["Mode"]["Replicated"]["Replicas"] = json!(m.int("replicas"));
        }
        if m.on("force") {
            let turn = spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or(0) + 1;
            spec["TaskTemplate"]["ForceUpdate"] = json!(turn);
        }
        if spec["Labels"].is_null() {
            spec["Labels"] = json!({});
        }
        if let Some(labels) = spec["Labels"].as_object_mut() {
            labels.extend(m.map("label-add"));
            for gone in m.all("label-rm") {
                labels.shift_remove(&gone);
            }
        }
        let present = spec["TaskTemplate"]["ContainerSpec"]["Env"].as_array().cloned().unwrap_or_default();
        let mut all: Vec<String> = present.iter().filter_map(|e| e.as_str().map(str::to_owned)).collect();
        let name = |e: &str| e.split('=').next().unwrap_or_default().to_owned();
        let (added, gone) = (m.all("env-add"), m.all("env-rm"));
        all.retain(|e| !gone.contains(&name(e)) && !added.iter().any(|a| name(a) == name(e)));
        all.extend(added);
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = json!(all);
    })
    .await?;
    print::line(m.word(0));
    Ok::<(), Failure>(())
}
