//! Rules about the file as a whole: casing, names of stages, what FROM lines say.

use std::collections::{BTreeMap, BTreeSet};

use super::{Known, PREDEFINED, Rule, Tell, global_names, nearest};
use crate::source::RawInstruction;
use crate::{Dockerfile, Span, expand};

pub(super) fn check(
    text: &str,
    file: &Dockerfile,
    raw: &[RawInstruction],
    known: Known<'_>,
    tell: &mut Tell<'_>,
) {
    casing(file, raw, tell);
    continuations(text, file.directives.escape, raw, tell);
    names(file, raw, tell);
    bases(file, known, tell);
    descriptions(raw, tell);
}

fn casing(file: &Dockerfile, raw: &[RawInstruction], tell: &mut Tell<'_>) {
    let lower = |word: &str| word.chars().all(|c| !c.is_ascii_uppercase());
    let upper = |word: &str| word.chars().all(|c| !c.is_ascii_lowercase());
    let counted = || raw.iter().skip(file.global_args.len());
    let lowers = counted().filter(|raw| lower(&raw.keyword)).count();
    let uppers = counted().filter(|raw| upper(&raw.keyword)).count();
    let (fits, case): (&dyn Fn(&str) -> bool, _) =
        if lowers > uppers { (&lower, "lowercase") } else { (&upper, "uppercase") };
    for raw in counted().filter(|raw| !fits(&raw.keyword)) {
        let message =
            format!("Command '{}' should match the case of the command majority ({case})", raw.keyword);
        tell(Rule::ConsistentInstructionCasing, raw.span, message);
    }
    for raw in raw.iter().filter(|raw| raw.keyword.eq_ignore_ascii_case("FROM")) {
        let words: Vec<&str> = raw.rest.split_whitespace().collect();
        let [_, as_word, name] = words[..] else { continue };
        let mixed = !lower(&raw.keyword) && !upper(&raw.keyword);
        if !mixed && lower(&raw.keyword) != lower(as_word) {
            let message = format!("'{as_word}' and '{}' keywords' casing do not match", raw.keyword);
            tell(Rule::FromAsCasing, raw.span, message);
        }
        if name != name.to_lowercase() {
            tell(Rule::StageNameCasing, raw.span, format!("Stage name '{name}' should be lowercase"));
        }
    }
}

/// Empty lines between the lines of one instruction; those of a heredoc's body are its own.
fn continuations(text: &str, escape: char, raw: &[RawInstruction], tell: &mut Tell<'_>) {
    let lines: Vec<&str> = text.lines().collect();
    for raw in raw {
        let (mut goes_on, mut empty, mut end) = (false, false, raw.span.first);
        let own = lines.get(raw.span.first - 1..raw.span.last.min(lines.len())).unwrap_or_default();
        for (number, line) in (raw.span.first..).zip(own) {
            let bare = line.trim();
            end = number;
            let passed_by = goes_on && (bare.is_empty() || bare.starts_with('#'));
            empty |= passed_by && bare.is_empty();
            if !passed_by {
                goes_on = bare.ends_with(escape);
            }
            if !goes_on {
                break;
            }
        }
        if empty {
            // Where the instruction goes on after all.
            let span = Span { first: end, last: end };
            tell(Rule::NoEmptyContinuation, span, "Empty continuation line".to_owned());
        }
    }
}

fn names(file: &Dockerfile, raw: &[RawInstruction], tell: &mut Tell<'_>) {
    let mut seen = BTreeSet::new();
    let froms = raw.iter().filter(|raw| raw.keyword.eq_ignore_ascii_case("FROM"));
    for (stage, raw) in file.stages.iter().zip(froms) {
        let Some(name) = &stage.from.name else { continue };
        if matches!(name.as_str(), "scratch" | "context") {
            let message = format!("Stage name should not use the same name as reserved stage {name:?}");
            tell(Rule::ReservedStageName, raw.span, message);
        }
        if !seen.insert(name) {
            let message = format!("Duplicate stage name {name:?}, stage names should be unique");
            tell(Rule::DuplicateStageName, raw.span, message);
        }
    }
}

fn bases(file: &Dockerfile, known: Known<'_>, tell: &mut Tell<'_>) {
    let escape = file.directives.escape;
    let declared = global_names(file);
    let mut defaults: BTreeMap<String, String> = BTreeMap::new();
    for (name, default) in &declared {
        let value = default.as_deref().map(|text| {
            let variables = |name: &str| defaults.get(name).cloned();
            expand::word(text, escape, &variables).map_or_else(|_| String::new(), |(value, _)| value)
        });
        defaults.insert(name.clone(), value.unwrap_or_default());
    }
    for stage in &file.stages {
        let from = &stage.from;
        let exists = |name: &str| {
            let predefined = PREDEFINED.contains(&name);
            (predefined || declared.iter().any(|(known, _)| known == name)).then(|| "x".to_owned())
        };
        for text in [&from.base, &from.platform] {
            let Ok((_, unset)) = expand::word(text, escape, &exists) else { continue };
            for name in unset {
                let near = nearest(&name, declared.iter().map(|(known, _)| known.as_str()).chain(PREDEFINED));
                let hint = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
                let message = format!("FROM argument '{name}' is not declared{hint}");
                tell(Rule::UndefinedArgInFrom, stage.span, message);
            }
        }
        platform(stage.span, &from.platform, from.name.as_deref().unwrap_or_default(), tell);
        let given = |name: &str| {
            let set = defaults.get(name).filter(|value| !value.is_empty()).cloned();
            set.or_else(|| PREDEFINED.contains(&name).then(|| "x".to_owned()))
        };
        let all_declared = expand::word(&from.base, escape, &exists).is_ok_and(|(_, unset)| unset.is_empty());
        if let (Ok((base, _)), true) = (expand::word(&from.base, escape, &given), all_declared)
            && !is_image(&base)
            && !known.args.iter().any(|arg| from.base.contains(arg.as_str()))
        {
            let message =
                format!("Default value for ARG {} results in empty or invalid base image name", from.base);
            tell(Rule::InvalidDefaultArgInFrom, stage.span, message);
        }
    }
}

/// Whether this could name an image: what an empty argument spoils is its beginning, its end or the place of a colon.
fn is_image(base: &str) -> bool {
    let spoiled = base.is_empty() || base.starts_with(['/', ':', '@']) || base.ends_with(['/', ':', '@']);
    !spoiled && !base.contains("//") && !base.contains("/:") && !base.contains(":@")
}

fn platform(span: Span, platform: &str, stage: &str, tell: &mut Tell<'_>) {
    if matches!(platform, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default \
                       behavior";
        tell(Rule::RedundantTargetPlatform, span, message.to_owned());
    }
    if platform.is_empty() || platform.contains('$') {
        return;
    }
    // A stage that is named after a platform says that it is meant.
    let mut parts = platform.split('/');
    if parts.by_ref().take(2).any(|part| !part.is_empty() && stage.contains(part)) {
        return;
    }
    let message = format!("FROM --platform flag should not use constant value {platform:?}");
    tell(Rule::FromPlatformFlagConstDisallowed, span, message);
}

fn descriptions(raw: &[RawInstruction], tell: &mut Tell<'_>) {
    for raw in raw {
        let words: Vec<&str> = raw.rest.split_whitespace().collect();
        let (what, names): (_, Vec<&str>) = match (raw.keyword.to_ascii_uppercase().as_str(), &words[..]) {
            ("FROM", [_, _, name]) => ("build stage", vec![name]),
            ("ARG", args) => ("ARG", args.iter().filter_map(|arg| arg.split('=').next()).collect()),
            _ => continue,
        };
        let (Some(comment), Some(name)) = (raw.comments.last(), names.first()) else { continue };
        if !names.iter().any(|name| comment.starts_with(&format!("{name} "))) {
            let message = format!("Comment for {what} should follow the format: `# {name} <description>`");
            tell(Rule::InvalidDefinitionDescription, raw.span, message);
        }
    }
}
