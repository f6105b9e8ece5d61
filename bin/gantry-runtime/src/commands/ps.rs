//! `ps`: the container's processes.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::{Args, Global};
use crate::state::Folder;

pub fn ps(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[("format", 'f', true)])?;
    let pids = Folder::open(global, args.id()?)?.load()?.1.processes()?;
    match args.value("format").unwrap_or("table") {
        "json" => {
            println!("{}", serde_json::to_string(&pids)?);
            return Ok(0);
        }
        "table" => {}
        other => bail!("invalid format option \"{other}\""),
    }
    let options = if args.rest.len() > 1 { &args.rest[1..] } else { &["-ef".to_owned()][..] };
    let output = Command::new("ps").args(options).output().context("running ps")?;
    if !output.status.success() {
        bail!("ps: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(column) = head.split_whitespace().position(|w| w == "PID") else {
        bail!("couldn't find PID field in ps output");
    };
    println!("{head}");
    for line in lines {
        let pid: Option<i32> = line.split_whitespace().nth(column).and_then(|p| p.parse().ok());
        if pid.is_some_and(|p| pids.contains(&p)) {
            println!("{line}");
        }
    }
    Ok(0)
}
