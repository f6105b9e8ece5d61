//! `update`: limits of running containers.

use serde_json::{Value, json};

use super::spec::restart_policy;
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::parse::numbers;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("blkio-weight", Kind::Uint16, "Share of block I/O, 10 to 1000, 0 for none").default("0"),
    flag("cpu-period", Kind::Int, "Length of the scheduler's CFS period in microseconds"),
    flag("cpu-quota", Kind::Int, "CPU time in one CFS period in microseconds"),
    flag("cpu-rt-period", Kind::Int, "Length of the real-time period in microseconds"),
    flag("cpu-rt-runtime", Kind::Int, "Real-time CPU time in one period in microseconds"),
    flag("cpu-shares", Kind::Int, "Share of CPU time, relative to others").short('c'),
    flag("cpus", Kind::Decimal, "How many CPUs' worth of time"),
    text("cpuset-cpus", "CPUs to run on (0-3, 0,1)"),
    text("cpuset-mems", "Memory nodes to use (0-3, 0,1)"),
    flag("kernel-memory", Kind::Bytes, "Limit of kernel memory").hidden(),
    flag("memory", Kind::Bytes, "Limit of memory").short('m'),
    flag("memory-reservation", Kind::Bytes, "Soft limit of memory"),
    flag("memory-swap", Kind::Swap, "Limit of memory and swap together, -1 for unlimited swap"),
    flag("pids-limit", Kind::Int, "Limit of processes, -1 for none"),
    text("restart", "What to do when the container exits"),
];

pub static UPDATE: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    short: "Update configuration of one or more containers",
    examples: &[("-m 512m --memory-swap 1g --restart always web", "Other limits for what runs")],
    aliases: &["container update", "update"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Containers,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    if !FLAGS.iter().any(|f| m.changed(f.long)) {
        return Err("you must provide one or more flags when using this command".into());
    }
    let mut body = json!({
        "BlkioWeight": m.int("blkio-weight"),
        "CpusetCpus": m.text("cpuset-cpus"),
        "CpusetMems": m.text("cpuset-mems"),
        "CpuShares": m.int("cpu-shares"),
        "Memory": m.bytes("memory"),
        "MemoryReservation": m.bytes("memory-reservation"),
        "MemorySwap": m.bytes("memory-swap"),
        "CpuPeriod": m.int("cpu-period"),
        "CpuQuota": m.int("cpu-quota"),
        "CpuRealtimePeriod": m.int("cpu-rt-period"),
        "CpuRealtimeRuntime": m.int("cpu-rt-runtime"),
        "NanoCpus": numbers::nano_cpus(m.text("cpus")).unwrap_or(0),
    });
    if m.changed("pids-limit") {
        body["PidsLimit"] = json!(m.int("pids-limit"));
    }
    if m.changed("restart") {
        body["RestartPolicy"] = restart_policy(m.text("restart"))?;
    }
    let client = s.client()?;
    let (mut failed, mut warnings) = (Vec::new(), Vec::new());
    for name in &m.words {
        match client.container_update(name, &body).await {
            Ok(answer) => {
                print::line(name);
                let told = answer["Warnings"].as_array().cloned().unwrap_or_default();
                warnings.extend(told.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            Err(err) => failed.push(err.to_string()),
        }
    }
    if !warnings.is_empty() {
        print::line(&warnings.join("\n"));
    }
    Failure::all(failed)
}
