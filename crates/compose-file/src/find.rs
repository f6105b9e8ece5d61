//! Which files make the project, what it is called, and what its environment is.
//!
//! Source: Compose's pre-defined variables: `COMPOSE_FILE`, `COMPOSE_PATH_SEPARATOR`, `COMPOSE_PROJECT_NAME`,
//! `COMPOSE_PROFILES`, `COMPOSE_ENV_FILES`, `COMPOSE_DISABLE_ENV_FILE`; the process's environment goes before `.env`.

use std::collections::BTreeMap;

use crate::dotenv;
use crate::interpolate::{self, Variables};
use crate::load::{Files, Problem, Problems, Request};
use crate::path;
use crate::tree::{self, Value};

/// The usual names, the best first; fig's last.
const NAMES: [&str; 6] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml", "fig.yml", "fig.yaml"];
/// What joins the usual names without being asked for.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What a request comes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Absolute, or `-`.
    pub files: Vec<String>,
    /// Absolute.
    pub working_dir: String,
    /// Absolute.
    pub env_files: Vec<String>,
    /// The process's, then the files'.
    pub environment: BTreeMap<String, String>,
    /// The profiles that are on.
    pub profiles: Vec<String>,
    /// What the user should hear.
    pub warnings: Vec<String>,
    /// The folder that the first file was fetched with, if it was.
    pub root: Option<String>,
}

fn wrong(message: impl Into<String>) -> Problems {
    Problems(vec![Problem::Whole(message.into())])
}

impl Found {
    /// Finds everything that a request leaves unsaid.
    pub(crate) fn of(request: &Request, files: &dyn Files) -> Result<Self, Problems> {
        let here = &request.current_folder;
        let mut found = Self { environment: request.environment.clone(), ..Self::default() };
        found.environment.entry("PWD".to_owned()).or_insert_with(|| here.clone());
        found.files = located(&request.files, here, files, &mut found.root)?;
        found.env_files(request, files)?;
        if found.files.is_empty() {
            found.files_of_variable(here, files)?;
        }
        if found.files.is_empty() {
            let start =
                request.project_directory.as_ref().map_or(here.clone(), |folder| path::join(here, folder));
            found.usual_files(&start, files);
        }
        found.env_files(request, files)?;
        found.working_dir = found.folder(request);
        found.profiles = if request.profiles.is_empty() {
            let named = found.environment.get("COMPOSE_PROFILES").map(String::as_str).unwrap_or_default();
            named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        } else {
            request.profiles.clone()
        };
        match found.files.is_empty() {
            true => Err(wrong("no configuration file provided: not found")),
            false => Ok(found),
        }
    }

    /// The project's folder, as far as it is known.
    fn folder(&self, request: &Request) -> String {
        if let Some(folder) = &request.project_directory {
            return path::join(&request.current_folder, folder);
        }
        let first = self.files.iter().find(|file| *file != "-");
        first.map_or(request.current_folder.clone(), |file| path::folder(file))
    }

    fn env_files(&mut self, request: &Request, files: &dyn Files) -> Result<(), Problems> {
        let here = &request.current_folder;
        let listed = request.environment.get("COMPOSE_ENV_FILES").map(String::as_str).unwrap_or_default();
        let listed = listed.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        let named: Vec<String> =
            if request.env_files.is_empty() { listed.collect() } else { request.env_files.clone() };
        let off = request.environment.get("COMPOSE_DISABLE_ENV_FILE").map(String::as_str);
        let usual = path::join(&self.folder(request), ".env");
        self.env_files = match named.is_empty() {
            false => named.iter().map(|file| path::join(here, file)).collect(),
            true if off.is_some_and(|off| crate::schema::switch(off) == Some(true)) => Vec::new(),
            true if files.is_file(&usual) => vec![usual],
            true => return Ok(()),
        };
        let values = read_env_files(&self.env_files, &self.environment, files)?;
        for (name, value) in values {
            self.environment.entry(name).or_insert(value);
        }
        Ok(())
    }

    fn files_of_variable(&mut self, here: &str, files: &dyn Files) -> Result<(), Problems> {
        let Some(listed) = self.environment.get("COMPOSE_FILE").filter(|listed| !listed.is_empty()) else {
            return Ok(());
        };
        let separator = self.environment.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty());
        let separator = separator.map_or(":", String::as_str);
        let named: Vec<String> = listed.split(separator).map(str::to_owned).collect();
        self.files = located(&named, here, files, &mut self.root)?;
        match self.files.iter().find(|file| *file != "-" && !files.is_file(file)) {
            Some(missing) => Err(wrong(format!("stat {missing}: no such file or directory"))),
            None => Ok(()),
        }
    }

    fn usual_files(&mut self, start: &str, files: &dyn Files) {
        let there = |folder: &str, names: &[&str]| -> Vec<String> {
            names.iter().map(|name| path::join(folder, name)).filter(|file| files.is_file(file)).collect()
        };
        let mut folder = start.to_owned();
        loop {
            let candidates = there(&folder, &NAMES);
            if let Some(winner) = candidates.first() {
                if candidates.len() > 1 {
                    let all = candidates.join(", ");
                    self.warnings.push(format!("Found multiple config files with supported names: {all}"));
                    self.warnings.push(format!("Using {winner}"));
                }
                self.files.push(winner.clone());
                let overrides = there(&folder, &OVERRIDES);
                if let [first, _, ..] = &overrides[..] {
                    let all = overrides.join(", ");
                    self.warnings.push(format!("Found multiple override files with supported names: {all}"));
                    self.warnings.push(format!("Using {first}"));
                }
                self.files.extend(overrides.into_iter().next());
                return;
            }
            let parent = path::folder(&folder);
            if parent == folder {
                return;
            }
            folder = parent;
        }
    }

    /// The project's name: asked for, the environment's, the files' or the folder's.
    pub(crate) fn name(&self, request: &Request, texts: &[(String, String)]) -> Result<String, Problems> {
        let asked = request.project_name.as_ref().filter(|name| !name.is_empty());
        let asked =
            asked.or_else(|| self.environment.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()));
        if let Some(name) = asked {
            return match normal_name(name) == *name {
                true => Ok(name.clone()),
                false => Err(wrong(format!(
                    "invalid project name {name:?}: must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number"
                ))),
            };
        }
        let mut written = String::new();
        for (file, text) in texts {
            // A file that cannot be read is told of later, with its place.
            for document in tree::read(file, text).unwrap_or_default() {
                if let Value::Map(map) = &document.value
                    && let Some(name) = map.get("name").filter(|node| node.as_text().is_some())
                {
                    written = name.printed();
                }
            }
        }
        if !request.skip.interpolation {
            let get = |name: &str| self.environment.get(name).cloned();
            let mut variables = Variables { get: &get, unset: Vec::new() };
            written = interpolate::text(&written, &mut variables).unwrap_or_default();
        }
        let named = match normal_name(&written) {
            empty if empty.is_empty() => normal_name(path::name(&self.working_dir)),
            name => name,
        };
        match named.is_empty() {
            true => Err(wrong("project name must not be empty")),
            false => Ok(named),
        }
    }
}

/// Reads files of variables one after another; each may use what stands before it.
pub(crate) fn read_env_files(
    names: &[String],
    environment: &BTreeMap<String, String>,
    files: &dyn Files,
) -> Result<BTreeMap<String, String>, Problems> {
    let mut values = BTreeMap::new();
    for name in names {
        if files.is_folder(name) {
            return Err(wrong(format!("{name} is a directory")));
        }
        if !files.is_file(name) {
            return Err(wrong(format!("couldn't find env file: {name}")));
        }
        let bytes = files.read(name).map_err(|error| wrong(format!("failed to read {name}: {error}")))?;
        let text =
            String::from_utf8(bytes).map_err(|_| wrong(format!("failed to read {name}: it is not UTF-8")))?;
        let lookup = |key: &str| environment.get(key).cloned();
        dotenv::parse(&text, &mut values, &lookup)
            .map_err(|error| wrong(format!("failed to read {name}: {error}")))?;
    }
    Ok(values)
}

/// A name as a project may have: lower case, without what is neither letter, digit, `-` nor `_`.
pub fn normal_name(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

/// The named files' paths; addresses are fetched. `root` is what the first came with, where that was one.
fn located(
    named: &[String],
    here: &str,
    files: &dyn Files,
    root: &mut Option<String>,
) -> Result<Vec<String>, Problems> {
    let mut paths = Vec::with_capacity(named.len());
    for file in named {
        paths.push(match files.fetch(file) {
            Some(fetched) => {
                let fetched = fetched.map_err(wrong)?;
                if paths.is_empty() {
                    *root = Some(fetched.root);
                }
                fetched.file
            }
            None if file == "-" => file.clone(),
            None => path::join(here, file),
        });
    }
    Ok(paths)
}
