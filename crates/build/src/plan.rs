//! Which stages a build needs, and in what order: decided before anything is done.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use gantry_dockerfile::instruction::Instruction;
use gantry_dockerfile::mount::{self, MountKind};
use gantry_dockerfile::{Dockerfile, ParseError, Span, expand};

use crate::scope::Globals;

/// Where a stage's root, or a COPY's files, come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing.
    Scratch,
    /// An earlier stage, by number.
    Stage(usize),
    /// A context given by name.
    Named(String),
    /// An image.
    Image(String),
}

/// One stage to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagePlan {
    /// Its number in the file.
    pub index: usize,
    /// What it stands on.
    pub base: Source,
    /// `--platform`, expanded.
    pub platform: Option<String>,
    /// Stages that must be whole before this one ends.
    pub needs: BTreeSet<usize>,
}

/// The stages in an order in which each comes after those it needs; the last one is the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Only those that the target needs.
    pub stages: Vec<StagePlan>,
}

/// Decides which stages of `file` the `target` needs (the last stage when none is named).
pub fn plan(
    file: &Dockerfile,
    globals: &Globals,
    contexts: &BTreeSet<String>,
    target: Option<&str>,
) -> Result<Plan, ParseError> {
    let last = file.stages.len() - 1;
    let target = match target.filter(|name| !name.is_empty()) {
        None => last,
        Some(name) => file.stage(name).ok_or_else(|| {
            let span = file.stages[last].span;
            ParseError { span, message: format!("target stage {name:?} could not be found") }
        })?,
    };
    let mut found = BTreeMap::new();
    let mut open = vec![target];
    while let Some(index) = open.pop() {
        if let Entry::Vacant(place) = found.entry(index) {
            let stage = stage(file, index, globals, contexts)?;
            open.extend(&stage.needs);
            place.insert(stage);
        }
    }
    // A stage can only need earlier ones, so the file's order is an order of building.
    Ok(Plan { stages: found.into_values().collect() })
}

fn stage(
    file: &Dockerfile,
    index: usize,
    globals: &Globals,
    contexts: &BTreeSet<String>,
) -> Result<StagePlan, ParseError> {
    let stage = &file.stages[index];
    let wrong = |span: Span, message: String| ParseError { span, message };
    let variables = |name: &str| globals.get(name);
    let word = |text: &str| {
        expand::word(text, file.directives.escape, &variables)
            .map(|(word, _)| word)
            .map_err(|message| wrong(stage.span, message))
    };
    let base = word(&stage.from.base)?;
    if base.is_empty() {
        return Err(wrong(stage.span, format!("base name ({}) should not be blank", stage.from.base)));
    }
    let earlier =
        |name: &str| file.stages[..index].iter().rposition(|s| s.from.name.as_deref() == Some(name));
    let base = match earlier(&base.to_lowercase()) {
        _ if base == "scratch" => Source::Scratch,
        _ if contexts.contains(&base) => Source::Named(base),
        Some(stage) => Source::Stage(stage),
        None => Source::Image(base),
    };
    let mut needs = BTreeSet::new();
    if let Source::Stage(stage) = base {
        needs.insert(stage);
    }
    for located in &stage.instructions {
        for from in references(&located.instruction) {
            if let Source::Stage(other) = resolve(file, index, &from, contexts, located.span)? {
                needs.insert(other);
            }
        }
    }
    let platform = Some(word(&stage.from.platform)?).filter(|platform| !platform.is_empty());
    Ok(StagePlan { index, base, platform, needs })
}

/// What a `--from` (or a mount's `from=`) in stage `index` means.
pub fn resolve(
    file: &Dockerfile,
    index: usize,
    from: &str,
    contexts: &BTreeSet<String>,
    span: Span,
) -> Result<Source, ParseError> {
    if contexts.contains(from) {
        return Ok(Source::Named(from.to_owned()));
    }
    match file.stage(from) {
        Some(stage) if stage < index => Ok(Source::Stage(stage)),
        Some(stage) if stage == index => {
            Err(ParseError { span, message: format!("circular dependency detected in stage: {from}") })
        }
        Some(_) => Err(ParseError {
            span,
            message: format!("cannot copy from stage {from:?}, it needs to be defined before current stage"),
        }),
        None if from.parse::<usize>().is_ok() => Err(ParseError {
            span,
            message: format!("invalid from flag value {from}: stage index out of range"),
        }),
        None => Ok(Source::Image(from.to_owned())),
    }
}

/// The `from`s of one instruction.
pub(crate) fn references(instruction: &Instruction) -> Vec<String> {
    match instruction {
        Instruction::Copy(copy) if !copy.from.is_empty() => vec![copy.from.clone()],
        Instruction::Run(run) => run
            .mounts
            .iter()
            // Values with variables were checked to have none in `from`; they are read again when expanded.
            .filter_map(|text| {
                let plain: Vec<&str> = text.split(',').filter(|field| !field.contains('$')).collect();
                mount::parse(&plain.join(",")).ok()
            })
            .filter_map(|mount| match mount.kind {
                MountKind::Bind { from, .. } | MountKind::Cache { from, .. } if !from.is_empty() => {
                    Some(from)
                }
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_names::Platform;
    use proptest::prelude::*;

    fn planned(text: &str, target: Option<&str>) -> Result<Vec<usize>, String> {
        let file = gantry_dockerfile::parse(text).map_err(|e| e.to_string())?;
        let globals = Globals::new(&BTreeMap::new(), &Platform::host(), &Platform::host(), "default");
        plan(&file, &globals, &BTreeSet::new(), target)
            .map(|plan| plan.stages.iter().map(|stage| stage.index).collect())
            .map_err(|e| e.to_string())
    }

    const FOUR: &str = "FROM a AS base\nFROM base AS one\nFROM x AS unused\nFROM base AS two\nCOPY --from=one / /\n\
        RUN --mount=type=bind,from=base,target=/b true\n";

    #[test]
    fn only_needed_stages_are_built() {
        assert_eq!(planned(FOUR, None).unwrap(), [0, 1, 3]);
        assert_eq!(planned(FOUR, Some("one")).unwrap(), [0, 1]);
        assert_eq!(planned(FOUR, Some("2")).unwrap(), [2]);
    }

    #[test]
    fn wrong_names_are_told_with_their_line() {
        assert!(
            planned(FOUR, Some("nine")).unwrap_err().ends_with("target stage \"nine\" could not be found")
        );
        let later = "FROM a AS one\nCOPY --from=two / /\nFROM b AS two\nCOPY --from=one / /";
        assert!(
            planned(later, None)
                .unwrap_err()
                .starts_with("dockerfile parse error on line 2: cannot copy from stage")
        );
        let own = "FROM a AS one\nCOPY --from=one / /";
        assert!(planned(own, None).unwrap_err().ends_with("circular dependency detected in stage: one"));
        assert!(planned("FROM $NO", None).unwrap_err().contains("should not be blank"));
    }

    proptest! {
        #[test]
        fn every_stage_comes_after_those_it_needs(edges in prop::collection::vec((0usize..8, 0usize..8), 0..16)) {
            let mut text = String::new();
            for stage in 0..8 {
                text.push_str(&format!("FROM image AS s{stage}\n"));
                for (from, to) in &edges {
                    if *to == stage && from < to {
                        text.push_str(&format!("COPY --from=s{from} / /\n"));
                    }
                }
            }
            let file = gantry_dockerfile::parse(&text).unwrap();
            let globals = Globals::new(&BTreeMap::new(), &Platform::host(), &Platform::host(), "default");
            let plan = plan(&file, &globals, &BTreeSet::new(), None).unwrap();
            let mut done = BTreeSet::new();
            for stage in &plan.stages {
                prop_assert!(stage.needs.is_subset(&done));
                done.insert(stage.index);
            }
            prop_assert!(done.contains(&7));
        }
    }
}
