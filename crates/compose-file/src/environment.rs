//! A service's environment and labels with what their files say.
//!
//! `environment` goes before `env_file`, later files before earlier ones; a file's variables look at the project's
//! environment first.

use std::collections::BTreeMap;

use crate::dotenv;
use crate::load::{Files, Problem, Problems};
use crate::project::{EnvFile, Project, Service};

/// Reads the `env_file`s of every service that is on.
pub(crate) fn resolve(project: &mut Project, files: &dyn Files) -> Result<(), Problems> {
    let Project { services, environment, .. } = project;
    let mut problems = Vec::new();
    for service in services.values_mut() {
        if let Err(message) = of_service(service, environment, files) {
            problems.push(Problem::Whole(message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

fn of_service(
    service: &mut Service,
    outside: &BTreeMap<String, String>,
    files: &dyn Files,
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
        read(file, &mut values, &lookup, files)?;
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
    files: &dyn Files,
) -> Result<(), String> {
    let path = &file.path;
    if !files.is_file(path) && !files.is_folder(path) {
        return match file.required {
            true => Err(format!("env file {path} not found: stat {path}: no such file or directory")),
            false => Ok(()),
        };
    }
    let text = text_of(path, files)?;
    let told = match file.format.as_str() {
        "" => dotenv::parse(&text, values, lookup),
        "raw" => dotenv::parse_raw(&text, values, lookup),
        other => return Err(format!("unsupported env_file format {other:?}")),
    };
    told.map_err(|error| format!("failed to read {path}: {error}"))
}

fn text_of(path: &str, files: &dyn Files) -> Result<String, String> {
    let bytes = files.read(path).map_err(|error| format!("failed to read {path}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("failed to read {path}: it is not UTF-8"))
}

/// Reads the `label_file`s of every service that is on; `labels` goes before them.
pub(crate) fn label_files(project: &mut Project, files: &dyn Files) -> Result<(), Problems> {
    let wrong = |message: String| Problems(vec![Problem::Whole(message)]);
    for service in project.services.values_mut() {
        let mut labels = BTreeMap::new();
        for path in std::mem::take(&mut service.label_file) {
            if !files.is_file(&path) {
                let message = format!("label file {path} not found: stat {path}: no such file or directory");
                return Err(wrong(message));
            }
            let text = text_of(&path, files).map_err(wrong)?;
            let before = labels.clone();
            let lookup = |name: &str| before.get(name).cloned();
            dotenv::parse(&text, &mut labels, &lookup)
                .map_err(|error| wrong(format!("failed to read {path}: {error}")))?;
        }
        labels.append(&mut service.labels);
        service.labels = labels;
    }
    Ok(())
}
