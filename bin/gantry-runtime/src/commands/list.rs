//! `state` and `list`.

use anyhow::{Result, bail};
use gantry_runtime_lib::Container;

use crate::args::{Args, Global};
use crate::log;
use crate::state::{self, Shown};

pub fn state(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[])?;
    let folder = state::Folder::open(global, args.id()?)?;
    let (saved, container) = folder.load()?;
    println!("{}", serde_json::to_string_pretty(&state::show(&saved, &container)?)?);
    Ok(0)
}

pub fn list(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[("format", 'f', true), ("quiet", 'q', false)])?;
    let all = all(global)?;
    if args.has("quiet") {
        all.iter().for_each(|c| println!("{}", c.id));
        return Ok(0);
    }
    match args.value("format").unwrap_or("table") {
        "json" => println!("{}", serde_json::to_string(&all)?),
        "table" => table(&all),
        other => bail!("invalid format option \"{other}\""),
    }
    Ok(0)
}

fn all(global: &Global) -> Result<Vec<Shown>> {
    let Ok(entries) = std::fs::read_dir(&global.root) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if !path.join("state.json").exists() {
            continue; // Being made, or left by a create that was killed.
        }
        let shown = state::read(&path).and_then(|saved| {
            let container = Container::attach(saved.record.clone(), Some(&path))?;
            state::show(&saved, &container)
        });
        match shown {
            Ok(shown) => all.push(shown),
            // One damaged record does not hide the others.
            Err(e) => log::warn(global, &format!("{}: {e:#}", path.display())),
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

fn table(all: &[Shown]) {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows: Vec<[String; 6]> = all
        .iter()
        .map(|c| {
            let bundle = c.bundle.display().to_string();
            [
                c.id.clone(),
                c.pid.to_string(),
                c.status.to_owned(),
                bundle,
                c.created.clone(),
                "root".to_owned(),
            ]
        })
        .collect();
    let width = |column: usize| rows.iter().chain([&head]).map(|r| r[column].len()).max().unwrap_or(0) + 3;
    let widths: Vec<usize> = (0..6).map(|c| width(c).max(12)).collect();
    for row in [&head].into_iter().chain(&rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:w$}")).collect();
        println!("{}", cells.concat().trim_end());
    }
}
