//! The states of a project that `up` has applied, newest last: what `rollback` goes back to.
//!
//! They lie on the machine of whoever typed `up`, in `$XDG_STATE_HOME/gantry/compose/<project>/` (`~/.local/state`), a
//! file each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use gantry_compose::{Images, names};
use gantry_compose_file::load::{self, Files, Request};
use gantry_compose_file::project::Project;
use gantry_compose_file::render::{self, Form};
use serde_json::{Value, json};

use super::files::Disk;
use super::ground::Ground;
use crate::failure::Failure;

/// States that are kept.
const KEPT: usize = 10;

/// One state.
pub struct Applied {
    path: PathBuf,
    /// When it was applied, for people.
    pub at: String,
    /// The services and their images.
    pub images: BTreeMap<String, String>,
    written: Value,
}

fn folder(project: &str) -> PathBuf {
    let home = || env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let state = env::var_os("XDG_STATE_HOME").filter(|v| !v.is_empty());
    let state = state.map_or_else(|| home().join(".local/state"), PathBuf::from);
    state.join("gantry/compose").join(project)
}

/// Keeps the project's state, unless it is the newest already.
pub fn keep(ground: &Ground<'_>, images: &Images) -> io::Result<()> {
    let project = &ground.project;
    let ids = project.services.values().filter_map(|service| {
        let image = names::image(&project.name, service, ground.separator());
        Some((service.name.clone(), images.get(&image)?.id.clone()))
    });
    let written = json!({
        "files": project.files,
        "working_dir": project.working_dir,
        "env_files": project.env_files,
        "images": ids.collect::<BTreeMap<_, _>>(),
        "compose": render::project(project, Form::Yaml),
    });
    let all = list(&project.name);
    if all.last().is_some_and(|last| same(&last.written, &written)) {
        return Ok(());
    }
    let folder = folder(&project.name);
    fs::create_dir_all(&folder)?;
    let number = all.last().map_or(0, |last| number_of(&last.path)) + 1;
    let mut whole = written;
    whole["at"] = json!(jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string());
    // Written beside and renamed: a full disk leaves the older ones as they are.
    let beside = folder.join(format!(".{number:06}.json"));
    fs::write(&beside, serde_json::to_vec_pretty(&whole)?)?;
    fs::rename(&beside, folder.join(format!("{number:06}.json")))?;
    for old in all.iter().rev().skip(KEPT - 1) {
        fs::remove_file(&old.path)?;
    }
    Ok(())
}

fn same(one: &Value, other: &Value) -> bool {
    ["images", "compose"].iter().all(|key| one[key] == other[key])
}

fn number_of(path: &Path) -> u32 {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0)
}

/// The project's states, oldest first. What cannot be read is not there.
pub fn list(project: &str) -> Vec<Applied> {
    let entries = fs::read_dir(folder(project)).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).filter(|path| number_of(path) > 0).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let written: Value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let images = written["images"].as_object()?.iter();
        Some(Applied {
            at: written["at"].as_str()?.to_owned(),
            images: images.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect(),
            path,
            written,
        })
    };
    paths.into_iter().filter_map(read).collect()
}

/// A file that is only in memory.
struct Memory<'t>(&'t str);

/// Its name: no path of this machine has it.
const NAME: &str = "/applied/compose.yaml";

impl Files for Memory<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if path == NAME { Ok(self.0.as_bytes().to_vec()) } else { Disk.read(path) }
    }

    fn is_folder(&self, path: &str) -> bool {
        Disk.is_folder(path)
    }

    fn is_file(&self, path: &str) -> bool {
        path == NAME || Disk.is_file(path)
    }
}

impl Applied {
    /// The project as it was.
    pub fn project(&self, name: &str) -> Result<Project, Failure> {
        let text = |key: &str| self.written[key].as_str().unwrap_or_default();
        let texts = |key: &str| -> Vec<String> {
            let all = self.written[key].as_array().into_iter().flatten();
            all.filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let request = Request {
            files: vec![NAME.to_owned()],
            project_name: Some(name.to_owned()),
            project_directory: Some(text("working_dir").to_owned()),
            current_folder: text("working_dir").to_owned(),
            ..Request::default()
        };
        let loaded = load::load(&request, &Memory(text("compose")));
        let mut project = loaded.map_err(|problems| Failure::text(1, problems.to_string()))?;
        project.files = texts("files");
        project.env_files = texts("env_files");
        text("working_dir").clone_into(&mut project.working_dir);
        Ok(project)
    }

    /// Forgets it.
    pub fn forget(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}
