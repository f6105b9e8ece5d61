//! A service's environment and labels with what their files say.
//!
//! `environment` goes before `env_file`, later files before earlier ones; a file's variables look at the project's
//! environment first.

use std::collections::BTreeMap;

use crate::dotenv;
use crate::load::{Files, Problem, Problems};
use crate::path;
use crate::project::{EnvFile, Project, Service};

/// Reads the `env_file`s of every service that is on.
pub(crate) fn resolve(project: &mut Project, files: &dyn Files) -> Result<(), Problems> {
    let Project { services, environment, working_dir, .. } = project;
    let mut problems = Vec::new();
    for service in services.values_mut() {
        if let Err(message) = of_service(service, environment, &Folder { path: working_dir, files }) {
            problems.push(Problem::Whole(message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

fn of_service(
    service: &mut Service,
    outside: &BTreeMap<String, String>,
    folder: &Folder<'_>,
) -> Result<(), String> {
    for (name, value) in &mut service.environment {
        if value.is_none() {
            *value = outside.get(name).cloned();
        }
    }
    let own = service.environment.clone();
    let mut values: BTreeMap<String, String> =
        own.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    let lookup =
        |name: &str| outside.get(name).cloned().or_else(|| own.get(name).and_then(|value| value.clone()));
    for file in &service.env_file {
        read(file, &mut values, &lookup, folder)?;
    }
    service.environment = values.into_iter().map(|(name, value)| (name, Some(value))).collect();
    service.environment.extend(own);
    service.env_file.clear();
    Ok(())
}

fn read(
    file: &EnvFile,
    values: &mut BTreeMap<String, String>,
    lookup: &dyn Fn(&str) -> Option<String>,
    folder: &Folder<'_>,
) -> Result<(), String> {
    let path = &file.path;
    if !folder.has(path) {
        return match file.required {
            true => Err(format!("env file {path} not found: stat {path}: no such file or directory")),
            false => Ok(()),
        };
    }
    let text = folder.text(path)?;
    let told = match file.format.as_str() {
        "" => dotenv::parse(&text, values, lookup),
        "raw" => dotenv::parse_raw(&text, values, lookup),
        other => return Err(format!("unsupported env_file format {other:?}")),
    };
    told.map_err(|error| format!("failed to read {path}: {error}"))
}

/// The project's folder, which paths may stand on still.
struct Folder<'a> {
    path: &'a str,
    files: &'a dyn Files,
}

impl Folder<'_> {
    fn has(&self, path: &str) -> bool {
        let path = path::join(self.path, path);
        self.files.is_file(&path) || self.files.is_folder(&path)
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let bytes = self.files.read(&path::join(self.path, path));
        let bytes = bytes.map_err(|error| format!("failed to read {path}: {error}"))?;
        String::from_utf8(bytes).map_err(|_| format!("failed to read {path}: it is not UTF-8"))
    }
}

/// Reads the `label_file`s of every service that is on; `labels` goes before them.
pub(crate) fn label_files(project: &mut Project, keep: bool, files: &dyn Files) -> Result<(), Problems> {
    let wrong = |message: String| Problems(vec![Problem::Whole(message)]);
    let folder = Folder { path: &project.working_dir, files };
    for service in project.services.values_mut() {
        let mut labels = BTreeMap::new();
        let named = std::mem::take(&mut service.label_file);
        for path in &named {
            if !folder.has(path) {
                let message = format!("label file {path} not found: stat {path}: no such file or directory");
                return Err(wrong(message));
            }
            let text = folder.text(path).map_err(wrong)?;
            let before = labels.clone();
            let lookup = |name: &str| before.get(name).cloned();
            dotenv::parse(&text, &mut labels, &lookup)
                .map_err(|error| wrong(format!("failed to read {path}: {error}")))?;
        }
        labels.append(&mut service.labels);
        service.labels = labels;
        if keep {
            service.label_file = named;
        }
    }
    Ok(())
}
