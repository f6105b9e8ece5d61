//! `stats`: what containers use, live.

use std::time::Duration;

use futures_util::StreamExt;
use gantry_client::{JsonStream, Query};
use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::format::{Fields, Format, Listing, short_id};
use crate::parse::size;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Show stopped ones too (default shows just running)").short('a'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("no-stream", "Only one reading"),
    switch("no-trunc", "Do not cut anything"),
];

pub static STATS: Command = Command {
    usage: "[OPTIONS] [CONTAINER...]",
    short: "Display a live stream of container(s) resource usage statistics",
    examples: &[("--no-stream --format '{{.Name}} {{.MemUsage}}'", "One look, for a script")],
    aliases: &["container stats", "stats"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

const TABLE: &str = "table {{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}";

/// The screen is drawn so often.
const REDRAW: Duration = Duration::from_millis(500);

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let format = Format::choose(m.text("format"), s.config().text("statsFormat"), None, TABLE);
    let trunc = !m.on("no-trunc");
    let every = m.words.is_empty();
    let names: Vec<String> = match every {
        false => m.words.clone(),
        true => {
            let list = client.container_list(Query::new().flag("all", m.on("all"))).await?;
            list.iter().filter_map(|c| c["Id"].as_str().map(str::to_owned)).collect()
        }
    };
    if m.on("no-stream") {
        let readings = futures_util::stream::iter(names.into_iter().map(|name| async move {
            let mut stream = client.container_stats(&name, Query::new().with("stream", "0")).await?;
            Ok::<_, Failure>((name, stream.next().await?.unwrap_or(Value::Null)))
        }))
        .buffered(50)
        .collect::<Vec<_>>()
        .await;
        let mut listing = Listing::new(format, &row("", None, trunc))?;
        let mut failed = Vec::new();
        for reading in readings {
            match reading {
                Ok((name, value)) => listing.add(row(&name, Some(&value), trunc))?,
                Err(failure) => failed.push(failure.to_string()),
            }
        }
        Failure::all(failed)?;
        print::out(&listing.finish());
        return Ok(());
    }
    live(s, names, every, &format, trunc).await
}

/// One container on the screen.
struct Watched {
    name: String,
    last: Option<Value>,
}

enum News {
    Reading(String, Box<Value>),
    Gone(String, Option<String>),
}

async fn live(s: &Session, names: Vec<String>, every: bool, format: &Format, trunc: bool) -> Outcome {
    let client = s.client()?.clone();
    let (sender, mut news) = tokio::sync::mpsc::channel(64);
    let watch = |name: String| {
        let (client, sender) = (client.clone(), sender.clone());
        tokio::spawn(async move {
            let why = match client.container_stats(&name, Query::new().with("stream", "1")).await {
                Ok(stream) => follow(stream, &name, &sender).await,
                Err(err) => Some(err.to_string()),
            };
            // The screen is gone when nobody listens.
            let _ = sender.send(News::Gone(name, why)).await;
        });
    };
    let mut shown: Vec<Watched> = Vec::new();
    for name in names {
        watch(name.clone());
        shown.push(Watched { name, last: None });
    }
    let filters = r#"{"type":{"container":true},"event":{"start":true,"create":true}}"#;
    let mut events = match every {
        true => Some(client.events(Query::new().with("filters", filters)).await?),
        false => None,
    };
    let mut tick = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let mut listing = Listing::new(format.clone(), &row("", None, trunc))?;
                for container in &shown {
                    listing.add(row(&container.name, container.last.as_ref(), trunc))?;
                }
                // Home, each line cleared to its end, and what was below cleared too: no flicker.
                let text = listing.finish().replace('\n', "\x1b[K\n");
                print::out(&format!("\x1b[H{text}\x1b[J"));
                if shown.is_empty() && !every {
                    return Ok(());
                }
            }
            Some(what) = news.recv() => match what {
                News::Reading(name, value) => {
                    if let Some(container) = shown.iter_mut().find(|c| c.name == name) {
                        container.last = Some(*value);
                    }
                }
                News::Gone(name, why) => {
                    shown.retain(|c| c.name != name);
                    if let Some(why) = why.filter(|_| !every) {
                        return Err(why.into());
                    }
                }
            },
            event = next_event(&mut events) => match event? {
                Some(event) => {
                    let id = event["id"].as_str().or(event["Actor"]["ID"].as_str()).unwrap_or_default();
                    if event["status"] == "start" && !shown.iter().any(|c| c.name == id) {
                        watch(id.to_owned());
                        shown.push(Watched { name: id.to_owned(), last: None });
                    }
                }
                None => events = None,
            },
        }
    }
}

async fn next_event(events: &mut Option<JsonStream>) -> Result<Option<Value>, Failure> {
    match events {
        Some(stream) => Ok(stream.next().await?),
        None => std::future::pending().await,
    }
}

async fn follow(
    mut stream: JsonStream,
    name: &str,
    sender: &tokio::sync::mpsc::Sender<News>,
) -> Option<String> {
    loop {
        match stream.next().await {
            Ok(Some(value)) => {
                if sender.send(News::Reading(name.to_owned(), Box::new(value))).await.is_err() {
                    return None;
                }
            }
            Ok(None) => return None,
            Err(err) => return Some(err.to_string()),
        }
    }
}

fn row(asked: &str, stats: Option<&Value>, trunc: bool) -> Fields {
    let null = Value::Null;
    let known = stats.is_some();
    let v = stats.unwrap_or(&null);
    let text = |t: String| if known { t } else { "--".to_owned() };
    let id = v["id"].as_str().unwrap_or(asked);
    let name = v["name"].as_str().map_or("--", |n| n.trim_start_matches('/'));
    let Reading { cpu, memory, limit, net, block, pids } = Reading::of(v);
    let percent = if limit > 0.0 { memory / limit * 100.0 } else { 0.0 };
    Fields::new("*container.statsContext")
        .with("BlockIO", "BLOCK I/O", text(pair(block.0, block.1)))
        .with("CPUPerc", "CPU %", text(format!("{:.2}%", cpu)))
        .with("Container", "CONTAINER", asked)
        .with("ID", "CONTAINER ID", if trunc { short_id(id) } else { id.to_owned() })
        .with("MemPerc", "MEM %", text(format!("{percent:.2}%")))
        .with(
            "MemUsage",
            "MEM USAGE / LIMIT",
            if known {
                format!("{} / {}", size::binary(memory), size::binary(limit))
            } else {
                "-- / --".into()
            },
        )
        .with("Name", "NAME", name)
        .with("NetIO", "NET I/O", text(pair(net.0, net.1)))
        .with("PIDs", "PIDS", text((pids as u64).to_string()))
}

/// What a container uses, in bytes but for the first and last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reading {
    /// In percent of one CPU.
    pub cpu: f64,
    /// Memory, without what the kernel would give back at once.
    pub memory: f64,
    /// Its bound.
    pub limit: f64,
    /// By network: received and sent.
    pub net: (f64, f64),
    /// By disks: read and written.
    pub block: (f64, f64),
    /// Processes.
    pub pids: f64,
}

impl Reading {
    /// The numbers in an answer of the engine.
    pub fn of(v: &Value) -> Reading {
        let number = |v: &Value| v.as_f64().unwrap_or(0.0);
        let net =
            |key: &str| v["networks"].as_object().map_or(0.0, |n| n.values().map(|i| number(&i[key])).sum());
        Reading {
            cpu: cpu_percent(v),
            memory: used_memory(&v["memory_stats"]),
            limit: number(&v["memory_stats"]["limit"]),
            net: (net("rx_bytes"), net("tx_bytes")),
            block: block_io(&v["blkio_stats"]),
            pids: number(&v["pids_stats"]["current"]),
        }
    }
}

pub(crate) fn pair(a: f64, b: f64) -> String {
    format!("{} / {}", size::human_precise(a, 3), size::human_precise(b, 3))
}

/// Memory in use without what the kernel would give back at once.
fn used_memory(memory: &Value) -> f64 {
    let usage = memory["usage"].as_f64().unwrap_or(0.0);
    let cache = memory["stats"]["total_inactive_file"].as_f64().or(memory["stats"]["inactive_file"].as_f64());
    match cache {
        Some(cache) if cache < usage => usage - cache,
        _ => usage,
    }
}

fn cpu_percent(v: &Value) -> f64 {
    let number = |v: &Value| v.as_f64().unwrap_or(0.0);
    let (now, before) = (&v["cpu_stats"], &v["precpu_stats"]);
    let cpu = number(&now["cpu_usage"]["total_usage"]) - number(&before["cpu_usage"]["total_usage"]);
    let system = number(&now["system_cpu_usage"]) - number(&before["system_cpu_usage"]);
    let online = match number(&now["online_cpus"]) {
        0.0 => now["cpu_usage"]["percpu_usage"].as_array().map_or(1, Vec::len) as f64,
        n => n,
    };
    if system > 0.0 && cpu > 0.0 { cpu / system * online * 100.0 } else { 0.0 }
}

fn block_io(stats: &Value) -> (f64, f64) {
    let (mut read, mut write) = (0.0, 0.0);
    for entry in stats["io_service_bytes_recursive"].as_array().into_iter().flatten() {
        let value = entry["value"].as_f64().unwrap_or(0.0);
        match entry["op"].as_str().and_then(|op| op.chars().next()) {
            Some('r' | 'R') => read += value,
            Some('w' | 'W') => write += value,
            _ => {}
        }
    }
    (read, write)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_are_of_one_cpu() {
        let v = json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 100, "stats": {"total_inactive_file": 40}},
        });
        assert_eq!(cpu_percent(&v), 40.0);
        assert_eq!(used_memory(&v["memory_stats"]), 60.0);
    }
}
