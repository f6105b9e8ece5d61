//! The same tree or the same refusal as BuildKit's own parser, for every Dockerfile of a corpus.
//!
//! What BuildKit says of each comes from `tests/conformance/dockerfile.sh`, or from the file that `GANTRY_DOCKERFILE_TREES`
//! names. Where BuildKit's module is not to be had, the test says so and compares nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gantry_dockerfile::instruction::{Command as Line, Healthcheck, Instruction, Sources};
use gantry_dockerfile::source::Heredoc;
use gantry_dockerfile::{Dockerfile, Located, Span, parse};
use serde_json::{Value, json};

/// Fewer than these would be no corpus.
const LEAST: usize = 500;

/// Characters of a text that are shown.
const SHOWN: usize = 400;

fn trees() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("GANTRY_DOCKERFILE_TREES") {
        return Some(path.into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/dockerfile.sh");
    let said = Command::new(script).stderr(Stdio::inherit()).output().expect("the script runs");
    match said.status.code() {
        Some(0) => Some(String::from_utf8_lossy(&said.stdout).trim().into()),
        Some(77) => None,
        other => panic!("the script ended with {other:?}"),
    }
}

#[test]
fn every_dockerfile_of_the_corpus_is_to_us_what_it_is_to_buildkit() {
    let Some(path) = trees() else {
        return eprintln!("skipped: BuildKit's parser cannot be had here");
    };
    let documents = std::fs::read_to_string(path).unwrap();
    let mut differ = Vec::new();
    for line in documents.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let text = document["text"].as_str().unwrap();
        let (ours, theirs) = match parse(text) {
            Ok(file) => (tree(&file), document["tree"].clone()),
            Err(error) => (json!(bare(&error.message)), document["refusal"].as_str().map(bare).into()),
        };
        if ours != theirs {
            let theirs = if theirs.is_null() { first_of(&document) } else { theirs };
            let (ours, theirs) = parting(&ours, &theirs);
            let name = document["name"].as_str().unwrap();
            let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
            let (ours, theirs) = (shown(&ours.to_string()), shown(&theirs.to_string()));
            differ.push(format!("{name}\n{}\n   ours: {ours}\n theirs: {theirs}", shown(text)));
        }
    }
    assert!(documents.lines().count() >= LEAST, "that is no corpus");
    let count = differ.len();
    assert!(differ.is_empty(), "{count} differ:\n{}", differ.join("\n-----\n"));
}

/// Without what BuildKit believes to have been meant: of several near words it takes any.
fn bare(refusal: &str) -> &str {
    refusal.split(" (did you mean ").next().unwrap_or(refusal)
}

/// Where two trees part.
fn parting<'t>(ours: &'t Value, theirs: &'t Value) -> (&'t Value, &'t Value) {
    let pairs: Vec<(&Value, &Value)> = match (ours, theirs) {
        (Value::Object(one), Value::Object(two)) if one.keys().eq(two.keys()) => {
            one.values().zip(two.values()).collect()
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => one.iter().zip(two).collect(),
        _ => return (ours, theirs),
    };
    match pairs.into_iter().find(|(one, two)| one != two) {
        Some((one, two)) if !one.is_string() && !one.is_number() => parting(one, two),
        _ => (ours, theirs),
    }
}

fn first_of(document: &Value) -> Value {
    ["tree", "refusal"]
        .iter()
        .map(|name| document[*name].clone())
        .find(|value| !value.is_null())
        .expect("a tree or a refusal")
}

fn tree(file: &Dockerfile) -> Value {
    let global = file.global_args.iter().flat_map(|located| match &located.instruction {
        Instruction::Arg(args) => args.clone(),
        other => panic!("{other:?} before the first FROM"),
    });
    let stages = file.stages.iter().map(|stage| {
        json!({
            "base": stage.from.base,
            "name": stage.from.name.clone().unwrap_or_default(),
            "platform": stage.from.platform,
            "lines": lines(stage.span),
            "commands": stage.instructions.iter().map(described).collect::<Vec<_>>(),
        })
    });
    json!({ "args": global.collect::<Vec<_>>(), "stages": stages.collect::<Vec<_>>() })
}

fn lines(span: Span) -> Value {
    json!([span.first, span.last])
}

fn described(located: &Located) -> Value {
    let mut told = instruction(&located.instruction);
    told["lines"] = lines(located.span);
    told
}

fn instruction(instruction: &Instruction) -> Value {
    match instruction {
        Instruction::Add(add) => sources(
            &add.sources,
            json!({ "kind": "ADD", "checksum": add.checksum, "keep_git_dir": add.keep_git_dir, "unpack": add.unpack }),
        ),
        Instruction::Copy(copy) => {
            sources(&copy.sources, json!({ "kind": "COPY", "from": copy.from, "parents": copy.parents }))
        }
        Instruction::Run(run) => json!({
            "kind": "RUN",
            "command": words(&run.command),
            "heredocs": heredocs(&run.command),
            "mounts": run.mounts.len(),
            "network": run.network.as_deref().unwrap_or("default"),
            "security": run.security.as_deref().unwrap_or("sandbox"),
        }),
        Instruction::Arg(args) => json!({ "kind": "ARG", "args": args }),
        Instruction::Env(pairs) => json!({ "kind": "ENV", "pairs": named(pairs) }),
        Instruction::Label(pairs) => json!({ "kind": "LABEL", "pairs": named(pairs) }),
        Instruction::Cmd(command) => json!({ "kind": "CMD", "command": words(command) }),
        Instruction::Entrypoint(command) => json!({ "kind": "ENTRYPOINT", "command": words(command) }),
        Instruction::Expose(ports) => json!({ "kind": "EXPOSE", "ports": ports }),
        Instruction::Healthcheck(health) => healthcheck(health),
        Instruction::Maintainer(word) => json!({ "kind": "MAINTAINER", "word": word }),
        Instruction::Onbuild(word) => json!({ "kind": "ONBUILD", "word": word }),
        Instruction::Shell(words) => json!({ "kind": "SHELL", "words": words }),
        Instruction::StopSignal(word) => json!({ "kind": "STOPSIGNAL", "word": word }),
        Instruction::User(word) => json!({ "kind": "USER", "word": word }),
        Instruction::Volume(words) => json!({ "kind": "VOLUME", "words": words }),
        Instruction::Workdir(word) => json!({ "kind": "WORKDIR", "word": word }),
    }
}

fn sources(sources: &Sources, mut told: Value) -> Value {
    let inline = sources.inline.iter().map(|one| json!([one.name, one.text(), one.expand]));
    told["paths"] = json!(sources.paths);
    told["inline"] = inline.collect();
    told["target"] = json!(sources.target);
    told["chown"] = json!(sources.chown);
    told["chmod"] = json!(sources.chmod);
    told["link"] = json!(sources.link);
    told["exclude"] = json!(sources.exclude);
    told
}

fn words(command: &Line) -> Value {
    match command {
        Line::Exec(words) => json!(words),
        Line::Shell { line, .. } => json!(line),
    }
}

fn heredocs(command: &Line) -> Value {
    let told = |one: &Heredoc| json!([one.name, one.content, one.chomp]);
    match command {
        Line::Exec(_) => json!([]),
        Line::Shell { heredocs, .. } => heredocs.iter().map(told).collect(),
    }
}

fn named(pairs: &[gantry_dockerfile::words::Pair]) -> Value {
    pairs.iter().map(|pair| json!([pair.name, pair.value])).collect()
}

fn healthcheck(health: &Healthcheck) -> Value {
    let Healthcheck::Probe { command, interval, timeout, start_period, start_interval, retries } = health
    else {
        return json!({ "kind": "HEALTHCHECK", "test": ["NONE"], "retries": 0, "times": [0, 0, 0, 0] });
    };
    let test: Vec<String> = match command {
        Line::Exec(words) => std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect(),
        Line::Shell { line, .. } => vec!["CMD-SHELL".into(), line.clone()],
    };
    let times = [interval, timeout, start_period, start_interval];
    json!({ "kind": "HEALTHCHECK", "test": test, "retries": retries, "times": times })
}
