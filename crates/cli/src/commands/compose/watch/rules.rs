//! What is watched, and what a change there does.

use std::path::{Path, PathBuf};

use gantry_compose_file::project::{Hook, MountKind, Project, Service, WatchAction};
use gantry_dockerfile::ignore::Ignore;

use crate::failure::Failure;

/// One trigger of one service.
pub struct Rule {
    /// The service.
    pub service: String,
    /// The folder or file.
    pub path: PathBuf,
    /// What a change does.
    pub action: WatchAction,
    /// Where in the container it goes.
    pub target: String,
    /// What runs after a copy.
    pub exec: Option<Hook>,
    /// Whether all is copied once at the beginning.
    pub initial_sync: bool,
    include: Option<Ignore>,
    ignore: Ignore,
    /// The build's `.dockerignore`, on its context.
    docker_ignore: Option<(PathBuf, Ignore)>,
}

/// What editors leave for a moment, and what versions are kept in.
const FLEETING: [&str; 8] =
    ["**/.git", "**/*.swp", "**/*.swx", "**/4913", "**/*~", "**/.#*", "**/#*#", "**/.DS_Store"];

/// The rules of a project's services; none is an error.
pub fn of(project: &Project) -> Result<Vec<Rule>, Failure> {
    let mut rules = Vec::new();
    for service in project.services.values() {
        for trigger in service.develop.iter().flat_map(|d| &d.watch) {
            if trigger.action == WatchAction::Rebuild && service.build.is_none() {
                return Err(Failure::text(
                    1,
                    format!(
                        "can't watch service {:?} with action rebuild without a build context",
                        service.name
                    ),
                ));
            }
            let path = PathBuf::from(&trigger.path);
            if trigger.action != WatchAction::Rebuild && is_bound(service, &path) {
                crate::print::err(&format!(
                    "path '{}' also declared by a bind mount volume, this path won't be monitored!",
                    trigger.path
                ));
                continue;
            }
            let wrong = |e: gantry_dockerfile::ignore::PatternError| Failure::text(1, e.to_string());
            let patterns = trigger.ignore.iter().map(String::as_str).chain(FLEETING);
            rules.push(Rule {
                service: service.name.clone(),
                action: trigger.action,
                target: trigger.target.clone(),
                exec: trigger.exec.clone(),
                initial_sync: trigger.initial_sync,
                include: match trigger.include.is_empty() {
                    true => None,
                    false => Some(Ignore::of(trigger.include.iter().map(String::as_str)).map_err(wrong)?),
                },
                ignore: Ignore::of(patterns).map_err(wrong)?,
                docker_ignore: docker_ignore(service).map_err(wrong)?,
                path,
            });
        }
    }
    match rules.is_empty() {
        true => {
            Err("none of the selected services is configured for watch, consider setting a 'develop' section"
                .into())
        }
        false => Ok(rules),
    }
}

/// Whether the container sees the path already.
fn is_bound(service: &Service, path: &Path) -> bool {
    service.volumes.iter().any(|m| m.kind == MountKind::Bind && path.starts_with(&m.source))
}

type Ignored = Result<Option<(PathBuf, Ignore)>, gantry_dockerfile::ignore::PatternError>;

fn docker_ignore(service: &Service) -> Ignored {
    let Some(build) = &service.build else { return Ok(None) };
    let context = PathBuf::from(&build.context);
    match std::fs::read_to_string(context.join(".dockerignore")) {
        Ok(text) => Ok(Some((context, Ignore::parse(&text)?))),
        // Most projects have none.
        Err(_) => Ok(None),
    }
}

impl Rule {
    /// Whether a change of `path` is this rule's.
    pub fn fits(&self, path: &Path) -> bool {
        let Some(inside) = super::below(path, &self.path) else { return false };
        let inside = inside.to_string_lossy();
        if inside.is_empty() {
            return true;
        }
        let excluded = self.docker_ignore.as_ref().is_some_and(|(context, ignore)| {
            super::below(path, context).is_some_and(|inside| ignore.excludes(&inside.to_string_lossy()))
        });
        let included = self.include.as_ref().is_none_or(|include| include.excludes(&inside));
        included && !excluded && !self.ignore.excludes(&inside)
    }

    /// Where files of this machine go in the container.
    pub fn mapped(&self, files: &[PathBuf]) -> Vec<(PathBuf, String)> {
        let target = self.target.trim_end_matches('/');
        let fitting = files.iter().filter(|path| self.fits(path));
        fitting
            .filter_map(|path| {
                let inside = super::below(path, &self.path)?.to_string_lossy();
                let there = if inside.is_empty() { target.to_owned() } else { format!("{target}/{inside}") };
                Some((path.clone(), there))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use gantry_compose_file::project::{Develop, Trigger};

    use super::*;

    #[test]
    fn changes_are_matched_and_mapped() {
        let trigger = Trigger {
            path: "/src".into(),
            action: WatchAction::Sync,
            target: "/app/".into(),
            exec: None,
            include: Vec::new(),
            ignore: vec!["node_modules/".into()],
            initial_sync: false,
            extensions: Default::default(),
        };
        let develop = Develop { watch: vec![trigger], extensions: Default::default() };
        let service = Service { name: "web".into(), develop: Some(develop), ..Service::default() };
        let mut project = Project::default();
        project.services.insert("web".into(), service);
        let rule = of(&project).unwrap().remove(0);
        assert!(rule.fits(Path::new("/src/a/b.py")) && !rule.fits(Path::new("/other")));
        assert!(!rule.fits(Path::new("/src/node_modules/x")) && !rule.fits(Path::new("/src/.git/HEAD")));
        let mapped = rule.mapped(&["/src/a/b.py".into(), "/src/c.swp".into()]);
        assert_eq!(mapped, [(PathBuf::from("/src/a/b.py"), "/app/a/b.py".to_owned())]);
        assert!(of(&Project::default()).is_err());
    }
}
