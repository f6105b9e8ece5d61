//! HEALTHCHECK: how to see whether a container is well.

use crate::flags::{Flags, Kind};
use crate::instruction::Command;
use crate::source::RawInstruction;
use crate::words::{self, Json};

/// HEALTHCHECK; times in nanoseconds, zero: Docker's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: what the base image had does not count.
    None,
    /// `CMD`.
    Probe {
        /// The probe.
        command: Command,
        /// `--interval`.
        interval: i64,
        /// `--timeout`.
        timeout: i64,
        /// `--start-period`.
        start_period: i64,
        /// `--start-interval`.
        start_interval: i64,
        /// `--retries`.
        retries: u32,
    },
}

/// Understands the instruction.
pub(crate) fn read(raw: &RawInstruction) -> Result<Healthcheck, String> {
    let known = [
        ("interval", Kind::Text),
        ("timeout", Kind::Text),
        ("start-period", Kind::Text),
        ("start-interval", Kind::Text),
        ("retries", Kind::Text),
    ];
    let (kind, rest) = match raw.rest.split_once(char::is_whitespace) {
        Some((kind, rest)) => (kind, rest.trim_start()),
        None => (raw.rest.as_str(), ""),
    };
    match kind.to_ascii_uppercase().as_str() {
        "" => Err("HEALTHCHECK requires at least one argument".into()),
        "NONE" if rest.is_empty() => Ok(Healthcheck::None),
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" => {
            let flags = Flags::check(&raw.flags, &known)?;
            let command = match words::json(rest)? {
                Json::List(list) => Command::Exec(list),
                Json::No => Command::Shell { line: rest.to_owned(), heredocs: Vec::new() },
            };
            let missing = match &command {
                Command::Exec(list) => list.is_empty(),
                Command::Shell { line, .. } => line.is_empty(),
            };
            if missing {
                return Err("Missing command after HEALTHCHECK CMD".into());
            }
            let time = |name: &str| interval(name, flags.get(name).unwrap_or_default());
            Ok(Healthcheck::Probe {
                command,
                interval: time("interval")?,
                timeout: time("timeout")?,
                start_period: time("start-period")?,
                start_interval: time("start-interval")?,
                retries: retries(flags.get("retries").unwrap_or_default())?,
            })
        }
        other => Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
}

fn retries(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number: i32 =
        text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))?;
    u32::try_from(number).map_err(|_| format!("--retries cannot be negative ({number})"))
}

fn interval(name: &str, text: &str) -> Result<i64, String> {
    const MILLISECOND: i64 = 1_000_000;
    let nanoseconds = if text.is_empty() { 0 } else { duration(text)? };
    if nanoseconds != 0 && nanoseconds < MILLISECOND {
        return Err(format!("Interval {name:?} cannot be less than 1ms"));
    }
    Ok(nanoseconds)
}

/// Go's durations: `1h30m`, `1.5s`, `100ms`; nanoseconds.
fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        total += number * unit;
        rest = &rest[end..];
    }
    if total == 0.0 && !text.contains('0') || total > i64::MAX as f64 {
        return Err(bad());
    }
    Ok(if negative { -total as i64 } else { total as i64 })
}
