//! `buildx du`, `ls`, `inspect` and `history`: what the engine's builder tells of itself, by BuildKit's protocol.

use gantry_buildkit::grpc::Status;
use gantry_buildkit::grpc::client::Channel;
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{
    BuildHistoryEvent, BuildHistoryRecord, BuildHistoryRequest, DiskUsageRequest, DiskUsageResponse,
    ListWorkersResponse, StatusRequest, StatusResponse, UpdateBuildHistoryRequest, WorkerRecord,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::instances::{DEFAULT, known};

use crate::command::{Arity, COMMAND, Command, entry};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch, text};
use crate::format::{Fields, Format, Listing};
use crate::parse::size;
use crate::print;
use crate::session::Session;
use crate::work;

const CONTROL: &str = "/moby.buildkit.v1.Control";

static DU_FLAGS: &[Flag] = &[list("filter", "Only what fits (\"type=regular\")")];

pub static DU: Command = Command {
    usage: "[OPTIONS]",
    short: "Disk usage of builds",
    flags: &[DU_FLAGS],
    work: work!(du),
    ..COMMAND
};

static LS_FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'table', 'json' or a Go template"),
    switch("no-trunc", "Do not cut anything"),
];

pub static LS: Command =
    Command { usage: "[OPTIONS]", short: "List builders", flags: &[LS_FLAGS], work: work!(ls), ..COMMAND };

static INSPECT_FLAGS: &[Flag] = &[switch("bootstrap", "Accepted: the engine runs")];

pub static INSPECT: Command = Command {
    usage: "[OPTIONS] [NAME]",
    short: "Inspect the builder",
    flags: &[INSPECT_FLAGS],
    arity: Arity::AtMost(1),
    work: work!(inspect),
    ..COMMAND
};

static RM_FLAGS: &[Flag] = &[switch("all", "Remove all of them")];

static HISTORY_LS: Command = Command { short: "List builds", work: work!(history_ls), ..COMMAND };

static HISTORY_LOGS: Command = Command {
    usage: "[REFERENCE]",
    short: "What a build has said; without a name, the last one",
    arity: Arity::AtMost(1),
    work: work!(history_logs),
    ..COMMAND
};

static HISTORY_RM: Command = Command {
    usage: "[OPTIONS] [REFERENCE...]",
    short: "Forget builds",
    flags: &[RM_FLAGS],
    arity: Arity::AtLeast(0),
    work: work!(history_rm),
    ..COMMAND
};

pub static HISTORY: Command = Command {
    short: "Builds of the past",
    below: &[entry(&["ls"], &HISTORY_LS), entry(&["logs"], &HISTORY_LOGS), entry(&["rm"], &HISTORY_RM)],
    ..COMMAND
};

fn told(status: Status) -> Failure {
    Failure::text(1, format!("ERROR: {}", status.message))
}

async fn channel(s: &Session) -> Result<Channel, Failure> {
    Channel::over(s.client()?.buildkit().await?.joined()).await.map_err(told)
}

async fn ask<Q: prost::Message, A: prost::Message + Default>(
    s: &Session,
    method: &str,
    request: &Q,
) -> Result<A, Failure> {
    let channel = channel(s).await?;
    channel.unary(&format!("{CONTROL}/{method}"), HeaderMap::new(), request).await.map_err(told)
}

fn bytes(number: i64) -> String {
    size::human(number.max(0) as f64)
}

async fn du(s: &Session, m: &Matches) -> Outcome {
    let request = DiskUsageRequest { filter: m.all("filter"), ..DiskUsageRequest::default() };
    let DiskUsageResponse { record } = ask(s, "DiskUsage", &request).await?;
    print::line(&format!("{:<28}{:<14}{:<12}{}", "ID", "RECLAIMABLE", "SIZE", "DESCRIPTION"));
    let (mut total, mut free) = (0, 0);
    for one in &record {
        total += one.size;
        free += if one.in_use { 0 } else { one.size };
        let id = format!("{}{}", one.id, if one.mutable { "*" } else { "" });
        print::line(&format!("{id:<28}{:<14}{:<12}{}", !one.in_use, bytes(one.size), one.description));
    }
    print::line(&format!("Reclaimable:\t{}", bytes(free)));
    print::line(&format!("Total:\t\t{}", bytes(total)));
    Ok(())
}

async fn workers(s: &Session) -> Result<Vec<WorkerRecord>, Failure> {
    let told: ListWorkersResponse = ask(s, "ListWorkers", &()).await?;
    Ok(told.record)
}

fn platforms(worker: &WorkerRecord) -> String {
    let named = worker.platforms.iter().map(|platform| {
        let mut text = format!("{}/{}", platform.os, platform.architecture);
        if !platform.variant.is_empty() {
            text.push('/');
            text.push_str(&platform.variant);
        }
        text
    });
    named.collect::<Vec<_>>().join(",")
}

fn version(worker: &WorkerRecord) -> &str {
    worker.buildkit_version.as_ref().map_or("", |version| version.version.as_str())
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    let workers = workers(s).await?;
    if m.text("format") == "json" {
        let nodes: Vec<Value> = workers
            .iter()
            .map(|worker| {
                json!({
                    "Name": DEFAULT, "Endpoint": DEFAULT, "Status": "running", "Version": version(worker),
                    "IDs": [worker.id], "Labels": worker.labels, "Platforms": platforms(worker).split(',').collect::<Vec<_>>(),
                })
            })
            .collect();
        let builder =
            json!({"Name": DEFAULT, "Driver": "docker", "Current": true, "Dynamic": false, "Nodes": nodes});
        print::line(&builder.to_string());
        return Ok(());
    }
    let format = Format::choose(
        m.text("format"),
        "",
        None,
        "table {{if .Node}} \\_ {{end}}{{.Name}}{{if .Current}}*{{end}}\\t{{if .Node}} \\_ {{end}}{{.DriverEndpoint}}\\t{{.Status}}\\t{{.Buildkit}}\\t{{.Platforms}}",
    );
    let row = |node: bool, place: &str, status: &str, version: &str, platforms: &str| {
        Fields::new("*formatter.lsContext")
            .with("Name", "NAME/NODE", DEFAULT)
            .with("Current", "", !node)
            .with("Node", "", node)
            .with("DriverEndpoint", "DRIVER/ENDPOINT", place)
            .with("Status", "STATUS", status)
            .with("Buildkit", "BUILDKIT", version)
            .with("Platforms", "PLATFORMS", platforms)
    };
    let mut listing = Listing::new(format, &row(false, "", "", "", ""))?;
    listing.add(row(false, "docker", "", "", ""))?;
    for worker in &workers {
        listing.add(row(true, DEFAULT, "running", version(worker), &platforms(worker)))?;
    }
    print::out(&listing.finish());
    Ok(())
}

async fn inspect(s: &Session, m: &Matches) -> Outcome {
    known(m.word(0))?;
    print::line("Name:   default\nDriver: docker\n\nNodes:");
    for worker in workers(s).await? {
        print::line("Name:             default\nEndpoint:         default\nStatus:           running");
        print::line(&format!(
            "BuildKit version: {}\nPlatforms:        {}",
            version(&worker),
            platforms(&worker)
        ));
        print::line("Labels:");
        for (name, value) in &worker.labels {
            print::line(&format!(" {name}: {value}"));
        }
        for (number, rule) in worker.gc_policy.iter().enumerate() {
            print::line(&format!("GC Policy rule#{number}:\n All:            {}", rule.all));
            if rule.max_used_space > 0 {
                print::line(&format!(" Max Used Space: {}", bytes(rule.max_used_space)));
            }
        }
    }
    Ok(())
}

async fn records(s: &Session) -> Result<Vec<BuildHistoryRecord>, Failure> {
    let channel = channel(s).await?;
    let request = BuildHistoryRequest { early_exit: true, ..BuildHistoryRequest::default() };
    let opened = channel.open(&format!("{CONTROL}/ListenBuildHistory"), HeaderMap::new()).await;
    let (mut outbound, mut answer) = opened.map_err(told)?;
    outbound.send(&request).await.and_then(|()| outbound.close()).map_err(told)?;
    let mut records = Vec::new();
    while let Some(event) = answer.next::<BuildHistoryEvent>().await.map_err(told)? {
        records.extend(event.record);
    }
    Ok(records)
}

async fn history_ls(s: &Session, _: &Matches) -> Outcome {
    print::line(&format!("{:<28}{:<12}{:<10}{}", "BUILD ID", "STATUS", "STEPS", "DURATION"));
    for record in records(s).await? {
        let status = match (&record.completed_at, &record.error) {
            (None, _) => "Running",
            (Some(_), Some(_)) => "Error",
            (Some(_), None) => "Completed",
        };
        let ns = |time: &Option<Timestamp>| time.as_ref().map(Timestamp::ns);
        let took = ns(&record.completed_at).zip(ns(&record.created_at)).map_or(0, |(end, begin)| end - begin);
        let steps = format!("{}/{}", record.num_completed_steps, record.num_total_steps);
        let seconds = took as f64 / 1e9;
        print::line(&format!("{:<28}{status:<12}{steps:<10}{seconds:.1}s", record.reference));
    }
    Ok(())
}

async fn history_logs(s: &Session, m: &Matches) -> Outcome {
    let reference = match m.word(0) {
        "" => records(s).await?.into_iter().next().map(|record| record.reference),
        name => Some(name.to_owned()),
    };
    let reference = reference.ok_or("ERROR: no build is remembered")?;
    let channel = channel(s).await?;
    let opened = channel.open(&format!("{CONTROL}/Status"), HeaderMap::new()).await;
    let (mut outbound, mut answer) = opened.map_err(told)?;
    outbound.send(&StatusRequest { reference }).await.and_then(|()| outbound.close()).map_err(told)?;
    while let Some(news) = answer.next::<StatusResponse>().await.map_err(told)? {
        for vertex in news.vertexes.iter().filter(|vertex| vertex.completed.is_some()) {
            let how = if vertex.cached { "CACHED" } else { "DONE" };
            print::line(&format!("{how} {}", vertex.name));
        }
        for log in &news.logs {
            print::out(&String::from_utf8_lossy(&log.msg));
        }
    }
    Ok(())
}

async fn history_rm(s: &Session, m: &Matches) -> Outcome {
    let mut wanted = m.words.clone();
    if m.on("all") {
        wanted = records(s).await?.into_iter().map(|record| record.reference).collect();
    }
    if wanted.is_empty() {
        return Err("ERROR: name a build, or say --all".into());
    }
    for reference in wanted {
        let request =
            UpdateBuildHistoryRequest { reference, delete: true, ..UpdateBuildHistoryRequest::default() };
        let done: Result<(), Failure> = ask(s, "UpdateBuildHistory", &request).await;
        done?;
    }
    Ok(())
}
