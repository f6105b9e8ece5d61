//! Which files of its context a build can ask for: those that its COPYs, ADDs and mounts name.
//!
//! Whoever keeps the context elsewhere sends no others. Where a path is only known while the build runs (a variable in
//! it, a base image that is not here and may bring triggers), everything is needed.

use std::collections::BTreeSet;

use gantry_dockerfile::instruction::Instruction;
use gantry_dockerfile::mount::{self, MountKind};
use gantry_images::ImageStore;

use crate::file::read;
use crate::plan::Source;
use crate::remote;
use crate::request::BuildRequest;

/// The paths, links in them to be followed; `None`: all files.
pub fn needed(request: &BuildRequest, images: &ImageStore) -> Option<Vec<String>> {
    let (file, _, plan) = read(request).ok()?;
    let mut paths = BTreeSet::new();
    for stage in &plan.stages {
        match &stage.base {
            Source::Image(name) => {
                let image = images.inspect(name, None).ok()?;
                let triggers = image.config.config.as_ref().and_then(|config| config.on_build.as_ref());
                if triggers.is_some_and(|triggers| !triggers.is_empty()) {
                    return None;
                }
            }
            Source::Named(_) => return None,
            Source::Stage(_) | Source::Scratch => {}
        }
        for located in &file.stages[stage.index].instructions {
            for path in taken(&located.instruction)? {
                paths.insert(plain(&path)?);
            }
        }
    }
    // Nothing is needed: that cannot be said, so the least is.
    paths.insert(".dockerignore".into());
    Some(paths.into_iter().collect())
}

/// The paths of the context that an instruction takes; `None` where it may be any.
fn taken(instruction: &Instruction) -> Option<Vec<String>> {
    match instruction {
        Instruction::Copy(copy) if copy.from.is_empty() => Some(copy.sources.paths.clone()),
        Instruction::Add(add) => {
            let local = add.sources.paths.iter().filter(|path| !remote::is_remote(path));
            Some(local.cloned().collect())
        }
        Instruction::Run(run) => {
            let mut paths = Vec::new();
            for text in &run.mounts {
                if text.contains('$') {
                    return None;
                }
                match mount::parse(text).ok()?.kind {
                    MountKind::Bind { from, source, .. } if from.is_empty() => paths.push(source),
                    MountKind::Cache { from, .. } if !from.is_empty() => return None,
                    _ => {}
                }
            }
            Some(paths)
        }
        // A trigger is for whoever stands on the image, and a stage of this file may.
        Instruction::Onbuild(_) => None,
        _ => Some(Vec::new()),
    }
}

/// A path below the context, without detours; `None` for the context itself, and where a variable is in it.
fn plain(path: &str) -> Option<String> {
    if path.contains(['$', '\\']) {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    (!names.is_empty()).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Vec<String>> {
        let file = gantry_dockerfile::parse(&format!("FROM scratch\n{line}")).unwrap();
        let paths = taken(&file.stages[0].instructions[0].instruction)?;
        paths.iter().map(|path| plain(path)).collect()
    }

    #[test]
    fn paths_are_those_that_are_named_and_anything_else_is_all() {
        assert_eq!(of("COPY a /b/./c ../d /to/").unwrap(), ["a", "b/c", "d"]);
        assert_eq!(of("COPY *.go /to/").unwrap(), ["*.go"]);
        assert_eq!(of("ADD https://example.com/x y /to/").unwrap(), ["y"]);
        assert_eq!(of("COPY --from=other a /").unwrap(), [""; 0]);
        assert_eq!(of("RUN --mount=type=bind,source=src,target=/s true").unwrap(), ["src"]);
        for all in ["COPY . /", "COPY $X /", "RUN --mount=type=bind,target=/s true", "ONBUILD COPY a /"] {
            assert_eq!(of(all), None, "{all}");
        }
    }
}
