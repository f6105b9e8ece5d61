//! `update`: limits of a running container, by flags or as JSON.

use std::io::Read;

use anyhow::{Context, Result, bail};
use gantry_runtime_lib::spec::{BlockIo, Cpu, Memory, Pids, Resources};

use crate::args::{Args, Flag, Global};
use crate::log;
use crate::state::Folder;

const FLAGS: &[Flag] = &[
    ("resources", 'r', true),
    ("blkio-weight", '\0', true),
    ("cpu-period", '\0', true),
    ("cpu-quota", '\0', true),
    ("cpu-burst", '\0', true),
    ("cpu-share", '\0', true),
    ("cpu-shares", '\0', true),
    ("cpu-rt-period", '\0', true),
    ("cpu-rt-runtime", '\0', true),
    ("cpuset-cpus", '\0', true),
    ("cpuset-mems", '\0', true),
    ("kernel-memory", '\0', true),
    ("kernel-memory-tcp", '\0', true),
    ("memory", '\0', true),
    ("memory-reservation", '\0', true),
    ("memory-swap", '\0', true),
    ("pids-limit", '\0', true),
    ("cpu-idle", '\0', true),
    ("l3-cache-schema", '\0', true),
    ("mem-bw-schema", '\0', true),
];

pub fn update(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, FLAGS)?;
    if args.value("l3-cache-schema").or(args.value("mem-bw-schema")).is_some() {
        bail!("intelRdt is not supported by this runtime");
    }
    let resources = match args.value("resources") {
        Some(from) => from_json(from)?,
        None => from_flags(&args)?,
    };
    let (_, container) = Folder::open(global, args.id()?)?.load()?;
    for warning in container.update(&resources)? {
        log::warn(global, &warning);
    }
    Ok(0)
}

fn from_json(from: &str) -> Result<Resources> {
    let mut text = Vec::new();
    match from {
        "-" => std::io::stdin().read_to_end(&mut text).map(drop).context("reading stdin")?,
        file => text = std::fs::read(file).with_context(|| format!("read {file}"))?,
    }
    serde_json::from_slice(&text).context("the resources are not valid")
}

fn from_flags(args: &Args) -> Result<Resources> {
    let size = |name: &str| args.value(name).map(bytes).transpose();
    let text = |name: &str| args.value(name).map(str::to_owned);
    let cpu = Cpu {
        shares: args.number("cpu-share")?.or(args.number("cpu-shares")?),
        quota: args.number("cpu-quota")?,
        burst: args.number("cpu-burst")?,
        period: args.number("cpu-period")?,
        realtime_runtime: args.number("cpu-rt-runtime")?,
        realtime_period: args.number("cpu-rt-period")?,
        cpus: text("cpuset-cpus"),
        mems: text("cpuset-mems"),
        idle: args.number("cpu-idle")?,
    };
    let memory = Memory {
        limit: size("memory")?,
        reservation: size("memory-reservation")?,
        swap: size("memory-swap")?,
        kernel: size("kernel-memory")?,
        kernel_tcp: size("kernel-memory-tcp")?,
        ..Default::default()
    };
    let weight = args.number("blkio-weight")?;
    Ok(Resources {
        cpu: Some(cpu),
        memory: Some(memory),
        pids: args.number("pids-limit")?.map(|limit| Pids { limit: Some(limit) }),
        block_io: weight.map(|w| BlockIo { weight: Some(w), ..Default::default() }),
        ..Default::default()
    })
}

/// A number with an optional unit of 1024; -1 is no limit.
fn bytes(text: &str) -> Result<i64> {
    let lower = text.to_lowercase();
    let number = lower.trim_end_matches(['b', 'i']);
    let (digits, unit) = match number.chars().last() {
        Some('k') => (&number[..number.len() - 1], 1i64 << 10),
        Some('m') => (&number[..number.len() - 1], 1 << 20),
        Some('g') => (&number[..number.len() - 1], 1 << 30),
        Some('t') => (&number[..number.len() - 1], 1 << 40),
        _ => (number, 1),
    };
    let n: i64 = digits.parse().with_context(|| format!("invalid size: {text:?}"))?;
    n.checked_mul(unit).with_context(|| format!("invalid size: {text:?}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_units() {
        for (text, n) in [("1024", 1024), ("64m", 64 << 20), ("1G", 1 << 30), ("-1", -1), ("2KiB", 2048)] {
            assert_eq!(super::bytes(text).unwrap(), n, "{text}");
        }
        assert!(super::bytes("x").is_err());
    }
}
