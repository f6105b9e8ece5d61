//! Rules about what stands in one stage.

use std::collections::BTreeSet;

use super::{Known, PREDEFINED, Rule, Tell, global_names, nearest};
use crate::instruction::{Command, Healthcheck, Instruction, Located};
use crate::source::RawInstruction;
use crate::{Dockerfile, Span, expand};

/// Parts of names that say: a secret.
const SECRETS: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
/// Parts that say: not the secret itself.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

pub(super) fn check(
    file: &Dockerfile,
    index: usize,
    raw: &[&RawInstruction],
    known: Known<'_>,
    tell: &mut Tell<'_>,
) {
    let stage = &file.stages[index];
    let custom_shell = has_shell(file, index);
    let mut working_dir = workdir_is_set(file, index);
    let mut last: Vec<(&'static str, Span)> = Vec::new();
    let mut once = |name: &'static str, span: Span, tell: &mut Tell<'_>| {
        if let Some((_, before)) = last.iter().find(|(known, _)| *known == name) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            tell(Rule::MultipleInstructionsDisallowed, *before, message);
        }
        last.retain(|(known, _)| *known != name);
        last.push((name, span));
    };
    for located in &stage.instructions {
        let span = located.span;
        match &located.instruction {
            Instruction::Maintainer(_) => {
                let message = "Maintainer instruction is deprecated in favor of using label";
                tell(Rule::MaintainerDeprecated, span, message.to_owned());
            }
            Instruction::Cmd(command) => {
                once("CMD", span, tell);
                json("CMD", command, custom_shell, span, tell);
            }
            Instruction::Entrypoint(command) => {
                once("ENTRYPOINT", span, tell);
                json("ENTRYPOINT", command, custom_shell, span, tell);
            }
            Instruction::Healthcheck(Healthcheck::Probe { .. }) => once("HEALTHCHECK", span, tell),
            Instruction::Workdir(path) => {
                let absolute = path.starts_with(['/', '$', '"', '\'']);
                if !absolute && !working_dir {
                    let message = format!(
                        "Relative workdir {path:?} can have unexpected results if the base image changes"
                    );
                    tell(Rule::WorkdirRelativePath, span, message);
                }
                working_dir |= absolute;
            }
            Instruction::Arg(args) => {
                args.iter().for_each(|(name, _)| secret("ARG", name, span, tell));
            }
            Instruction::Env(pairs) => {
                pairs.iter().for_each(|pair| secret("ENV", &pair.name, span, tell));
            }
            Instruction::Expose(ports) => ports.iter().for_each(|port| expose(port, span, tell)),
            Instruction::Copy(copy) if copy.from.is_empty() => {
                ignored("Copy", &copy.sources.paths, span, known, tell);
            }
            Instruction::Add(add) => ignored("Add", &add.sources.paths, span, known, tell),
            _ => {}
        }
    }
    legacy(raw, tell);
    variables(file, index, known, tell);
}

/// Whether a stage this one stands on has set an absolute folder.
fn workdir_is_set(file: &Dockerfile, index: usize) -> bool {
    let Some(base) = base_of(file, index) else { return false };
    let sets =
        |one: &Located| matches!(&one.instruction, Instruction::Workdir(path) if path.starts_with('/'));
    file.stages[base].instructions.iter().any(sets) || workdir_is_set(file, base)
}

/// Whether a stage, or one it stands on, has a shell of its own.
fn has_shell(file: &Dockerfile, index: usize) -> bool {
    let sets = |one: &Located| matches!(one.instruction, Instruction::Shell(_));
    file.stages[index].instructions.iter().any(sets)
        || base_of(file, index).is_some_and(|base| has_shell(file, base))
}

/// The earlier stage that a stage stands on.
fn base_of(file: &Dockerfile, index: usize) -> Option<usize> {
    let base = file.stages[index].from.base.to_lowercase();
    file.stages[..index].iter().rposition(|stage| stage.from.name.as_deref() == Some(base.as_str()))
}

fn json(name: &str, command: &Command, custom_shell: bool, span: Span, tell: &mut Tell<'_>) {
    if matches!(command, Command::Shell { .. }) && !custom_shell {
        let message = format!(
            "JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
        );
        tell(Rule::JsonArgsRecommended, span, message);
    }
}

fn secret(instruction: &str, name: &str, span: Span, tell: &mut Tell<'_>) {
    let lower = name.to_ascii_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
    if has(&SECRETS) && !has(&HARMLESS) {
        let message =
            format!("Do not use ARG or ENV instructions for sensitive data ({instruction} {name:?})");
        tell(Rule::SecretsUsedInArgOrEnv, span, message);
    }
}

fn expose(port: &str, span: Span, tell: &mut Tell<'_>) {
    if port.contains('$') {
        return;
    }
    if port.contains(':') {
        let message = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
        );
        tell(Rule::ExposeInvalidFormat, span, message);
    }
    if port.split_once('/').is_some_and(|(_, protocol)| protocol != protocol.to_lowercase()) {
        let message = format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
        tell(Rule::ExposeProtoCasing, span, message);
    }
}

fn ignored(name: &str, paths: &[String], span: Span, known: Known<'_>, tell: &mut Tell<'_>) {
    let Some(ignore) = known.ignore else { return };
    for path in paths.iter().filter(|path| !path.contains("://") && !path.contains(['*', '?', '[', '$'])) {
        // Where something may be taken back, what is left cannot be told from here.
        if ignore.excludes(path) && !ignore.takes_back() {
            let message = format!("Attempting to {name} file {path:?} that is excluded by .dockerignore");
            tell(Rule::CopyIgnoredFile, span, message);
        }
    }
}

fn legacy(raw: &[&RawInstruction], tell: &mut Tell<'_>) {
    for raw in raw {
        let name = raw.keyword.to_ascii_uppercase();
        if !matches!(name.as_str(), "ENV" | "LABEL") {
            continue;
        }
        let first = raw.rest.split_whitespace().next().unwrap_or_default();
        if !first.contains('=') {
            let message =
                format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format");
            tell(Rule::LegacyKeyValueFormat, raw.span, message);
        }
    }
}

/// Names a stage can use, and whether these are all: a base image may bring more.
fn declared_before(file: &Dockerfile, index: usize, known: Known<'_>) -> (BTreeSet<String>, bool) {
    match base_of(file, index) {
        Some(base) => {
            let (mut names, all) = declared_before(file, base, known);
            for one in &file.stages[base].instructions {
                declare(&one.instruction, &mut names);
            }
            (names, all)
        }
        None => {
            let base = &file.stages[index].from.base;
            let brought = known.bases.and_then(|bases| bases.get(base));
            let names = brought.into_iter().flatten().cloned().chain(["PATH".to_owned()]).collect();
            (names, base == "scratch" || brought.is_some())
        }
    }
}

fn declare(instruction: &Instruction, names: &mut BTreeSet<String>) {
    match instruction {
        Instruction::Arg(args) => names.extend(args.iter().map(|(name, _)| name.clone())),
        Instruction::Env(pairs) => names.extend(pairs.iter().map(|pair| pair.name.clone())),
        _ => {}
    }
}

fn variables(file: &Dockerfile, index: usize, known: Known<'_>, tell: &mut Tell<'_>) {
    let escape = file.directives.escape;
    let (mut names, all) = declared_before(file, index, known);
    for located in &file.stages[index].instructions {
        for text in texts(&located.instruction) {
            let set = |name: &str| names.contains(name).then(|| "x".to_owned());
            let Ok((_, unset)) = expand::word(text, escape, &set) else { continue };
            for name in unset.iter().filter(|name| !known.args.contains(name)) {
                let globals = global_names(file);
                let others = names.iter().map(String::as_str);
                let global = globals.iter().map(|(name, _)| name.as_str()).filter(|global| *global == name);
                let near = nearest(name, others.chain(PREDEFINED).chain(global));
                if near.is_none() && !all {
                    continue;
                }
                let hint = near.filter(|near| near != name);
                let hint = hint.map_or_else(String::new, |near| format!(" (did you mean ${near}?)"));
                let message = format!("Usage of undefined variable '${name}'{hint}");
                tell(Rule::UndefinedVar, located.span, message);
            }
        }
        declare(&located.instruction, &mut names);
    }
}

/// The texts of an instruction in which the builder expands variables.
fn texts(instruction: &Instruction) -> Vec<&str> {
    match instruction {
        Instruction::Add(add) => add.sources.texts(),
        Instruction::Copy(copy) => copy.sources.texts(),
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|pair| [pair.name.as_str(), pair.value.as_str()]).collect()
        }
        Instruction::Arg(args) => args.iter().filter_map(|(_, default)| default.as_deref()).collect(),
        Instruction::Expose(ports) => ports.iter().map(String::as_str).collect(),
        Instruction::Volume(paths) => paths.iter().map(String::as_str).collect(),
        Instruction::User(text) | Instruction::Workdir(text) | Instruction::StopSignal(text) => vec![text],
        _ => Vec::new(),
    }
}
