//! Questions about a Dockerfile instead of a build: `docker build --call`. Source: BuildKit's `frontend/subrequests`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::grpc::{Code, Status};
use gantry_dockerfile::instruction::Instruction;
use gantry_dockerfile::mount::{self, MountKind};
use gantry_dockerfile::{Dockerfile, Span};
use serde_json::{Value, json};

use super::options::{Options, invalid};
use crate::story::with_source;

type Documents = BTreeMap<String, Vec<u8>>;

/// Answers a question by its name.
pub(super) fn answer(question: &str, text: &str, options: &Options) -> Result<Documents, Status> {
    let file = || {
        gantry_dockerfile::parse(text)
            .map_err(|error| with_source(invalid(error.to_string()), &options.filename, text, error.span))
    };
    match question {
        "frontend.subrequests.describe" => Ok(describe()),
        "frontend.targets" => Ok(targets(&file()?, text)),
        "frontend.outline" => outline(&file()?, text, options),
        other => Err(Status::new(Code::Unimplemented, format!("unsupported request {other}"))),
    }
}

fn documents(json: &Value, text: String) -> Documents {
    let pretty = serde_json::to_vec_pretty(json).unwrap_or_default();
    [("result.json", pretty), ("result.txt", text.into_bytes()), ("version", b"1.0.0".to_vec())]
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .into()
}

fn location(span: Span) -> Value {
    json!({ "ranges": [{ "start": { "line": span.first }, "end": { "line": span.last } }] })
}

/// Go's tabwriter with one blank at least between columns.
fn table(rows: &[Vec<String>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let pad = if column + 1 < columns { width(column) + gap } else { 0 };
            // Writing to a string cannot fail.
            let _infallible = write!(out, "{cell:pad$}");
        }
        out.push('\n');
    }
    out
}

fn describe() -> Documents {
    let request = |name: &str, text: &str, metadata: &[&str]| {
        json!({
            "name": name, "version": "1.0.0", "type": "rpc", "description": text, "opts": [], "inputs": null,
            "metadata": metadata.iter().map(|name| json!({ "name": name, "description": "" })).collect::<Vec<_>>(),
            "refs": null,
        })
    };
    let results = ["result.json", "result.txt"];
    let all = [
        request("frontend.lint", "Lint a Dockerfile", &["result.json", "result.txt", "result.statuscode"]),
        request("frontend.outline", "List all parameters current build target supports", &results),
        request("frontend.targets", "List all targets current build supports", &results),
        request("frontend.subrequests.describe", "List available subrequest types", &results),
    ];
    let rows: Vec<_> = [vec!["NAME".into(), "VERSION".into(), "DESCRIPTION".into()]]
        .into_iter()
        .chain(all.iter().map(|one| {
            ["name", "version", "description"]
                .map(|key| one[key].as_str().unwrap_or_default().to_owned())
                .into()
        }))
        .collect();
    let text = table(&rows, 1);
    documents(&Value::Array(all.into()), text)
}

/// Lines of comment right above an instruction that begin with the thing's name describe it.
fn comment(text: &str, first: usize, name: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let above = lines.get(..first.saturating_sub(1)).unwrap_or_default();
    let block: Vec<&str> =
        above.iter().rev().map_while(|line| line.trim().strip_prefix('#')).map(str::trim).collect();
    let words = block.into_iter().rev().collect::<Vec<_>>().join(" ");
    words.strip_prefix(&format!("{name} ")).map(str::to_owned).unwrap_or_default()
}

fn targets(file: &Dockerfile, text: &str) -> Documents {
    let last = file.stages.len() - 1;
    let mut list = Vec::new();
    let mut rows = vec![vec!["TARGET".to_owned(), "DESCRIPTION".to_owned()]];
    for (index, stage) in file.stages.iter().enumerate() {
        let name = stage.from.name.clone().unwrap_or_default();
        if name.is_empty() && index != last {
            continue;
        }
        let description = comment(text, stage.span.first, &name);
        let mut target = json!({});
        let mut put = |key: &str, value: &str| {
            if !value.is_empty() {
                target[key] = value.into();
            }
        };
        put("name", &name);
        put("description", &description);
        put("base", &stage.from.base);
        put("platform", &stage.from.platform);
        if index == last {
            target["default"] = true.into();
        }
        target["location"] = location(stage.span);
        list.push(target);
        let shown = match (name.is_empty(), index == last) {
            (true, _) => "(default)".to_owned(),
            (false, true) => format!("{name} (default)"),
            (false, false) => name,
        };
        rows.push(vec![shown, description]);
    }
    documents(&json!({ "targets": list, "sources": [STANDARD.encode(text)] }), table(&rows, 1))
}

fn outline(file: &Dockerfile, text: &str, options: &Options) -> Result<Documents, Status> {
    let target = match options.target.as_deref() {
        None => file.stages.len() - 1,
        Some(name) => {
            file.stage(name).ok_or_else(|| invalid(format!("target stage {name:?} could not be found")))?
        }
    };
    let stages = needed(file, target);
    let mut args = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut secrets, mut agents, mut caches) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let of_stages = stages.iter().flat_map(|index| &file.stages[*index].instructions);
    for located in file.global_args.iter().chain(of_stages) {
        match &located.instruction {
            Instruction::Arg(list) => {
                for (name, default) in list {
                    if seen.insert(name.clone()) {
                        let given = options.args.get(name).cloned().flatten();
                        let value = given.or_else(|| default.clone()).unwrap_or_default();
                        args.push((
                            name.clone(),
                            value,
                            comment(text, located.span.first, name),
                            located.span,
                        ));
                    }
                }
            }
            Instruction::Run(run) => {
                for mount in run.mounts.iter().filter_map(|text| mount::parse(text).ok()) {
                    match mount.kind {
                        MountKind::Secret { id, required, .. } => {
                            secrets.entry(id).or_insert((required, located.span));
                        }
                        MountKind::Ssh { id, required, .. } => {
                            let id = if id.is_empty() { "default".to_owned() } else { id };
                            agents.entry(id).or_insert((required, located.span));
                        }
                        MountKind::Cache { id, .. } => {
                            let id = if id.is_empty() { mount.target.clone() } else { id };
                            caches.entry(id).or_insert(located.span);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let name = file.stages[target].from.name.clone().unwrap_or_default();
    let description = comment(text, file.stages[target].span.first, &name);
    let shown = if name.is_empty() { "(default)" } else { name.as_str() };
    let mut out = format!("TARGET: {shown}\n");
    if !description.is_empty() {
        out.push_str(&format!("DESCRIPTION: {description}\n"));
    }
    out.push('\n');
    let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let mut section = |head: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            out.push_str(&table(&[vec![row(head)], rows].concat(), 3));
            out.push('\n');
        }
    };
    section(
        &["BUILD ARG", "VALUE", "DESCRIPTION"],
        args.iter().map(|(name, value, text, _)| row(&[name, value, text])).collect(),
    );
    let required = |required: bool| if required { "true" } else { "" };
    section(
        &["SECRET", "REQUIRED"],
        secrets.iter().map(|(id, (need, _))| row(&[id, required(*need)])).collect(),
    );
    section(&["SSH", "REQUIRED"], agents.iter().map(|(id, (need, _))| row(&[id, required(*need)])).collect());
    let needs = |(id, (need, span)): (&String, &(bool, Span))| json!({ "name": id, "required": need, "location": location(*span) });
    let json = json!({
        "name": name,
        "description": description,
        "args": args.iter().map(|(name, value, text, span)| {
            json!({ "name": name, "description": text, "value": value, "location": location(*span) })
        }).collect::<Vec<_>>(),
        "secrets": secrets.iter().map(needs).collect::<Vec<_>>(),
        "ssh": agents.iter().map(needs).collect::<Vec<_>>(),
        "cache": caches.iter().map(|(id, span)| json!({ "ID": id, "location": location(*span) })).collect::<Vec<_>>(),
        "sources": [STANDARD.encode(text)],
    });
    Ok(documents(&json, out))
}

/// The stages that a target stands on, by FROM.
fn needed(file: &Dockerfile, target: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![target];
    while let Some(index) = open.pop() {
        if found.insert(index) {
            let base = file.stage(&file.stages[index].from.base).filter(|base| *base < index);
            open.extend(base);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "ARG V=1\n# base is the ground\nFROM busybox AS base\nARG W\nRUN --mount=type=secret,id=s,required=true true\n\
        # out is what you want\nFROM base AS out\nRUN --mount=type=cache,target=/c true\nFROM scratch AS other\nARG X";

    fn text(question: &str, target: &str) -> String {
        let attrs = [("target".to_owned(), target.to_owned())].into();
        let answer = answer(question, FILE, &Options::read(&attrs).unwrap()).unwrap();
        String::from_utf8(answer["result.txt"].clone()).unwrap()
    }

    #[test]
    fn targets_are_listed_with_what_stands_above_them() {
        let wanted = "TARGET          DESCRIPTION\nbase            is the ground\nout             is what you want\nother (default) \n";
        assert_eq!(text("frontend.targets", ""), wanted);
    }

    #[test]
    fn an_outline_names_what_its_stages_take() {
        let shown = text("frontend.outline", "out");
        for wanted in ["TARGET: out", "DESCRIPTION: is what you want", "V           1", "W ", "s        true"]
        {
            assert!(shown.contains(wanted), "{wanted:?} is missing:\n{shown}");
        }
        assert!(!shown.contains("X "), "{shown}");
    }
}
