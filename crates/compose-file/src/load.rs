//! Several files to one project.

use std::collections::BTreeMap;

use crate::canonical::{self, Strictness};
use crate::find::Found;
use crate::interpolate::{self, Variables};
use crate::merge;
use crate::project::Project;
use crate::relative::Ground;
use crate::tree::{self, FileError, Node, Value};
use crate::{confined, era, normalize, schema, unique};

/// What the loader asks of its caller. It opens nothing itself.
pub trait Files {
    /// A file's bytes. The path is absolute, or `-` for what the user pipes in.
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>>;
    /// Whether there is something, and a folder.
    fn is_folder(&self, path: &str) -> bool;
    /// Whether there is a file.
    fn is_file(&self, path: &str) -> bool;
    /// What an address names (a repository, an artifact of a registry), brought to this machine, or why it does not
    /// come. `None` for what is a path, and where nothing is fetched.
    fn fetch(&self, _address: &str) -> Option<Result<Fetched, String>> {
        None
    }
}

/// A compose file of another machine, on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its absolute path.
    pub file: String,
    /// The absolute folder of all that came with it.
    pub root: String,
}

/// What is to be loaded, as the command line has it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `--file`, in order; none: `COMPOSE_FILE`, or the usual names from the current folder upward.
    pub files: Vec<String>,
    /// `--project-directory`.
    pub project_directory: Option<String>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--profile`; none: `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// `--env-file`; none: `COMPOSE_ENV_FILES`, or `.env`.
    pub env_files: Vec<String>,
    /// Services named on the command line: their profiles are on, and they with what they depend on are what is left.
    pub services: Vec<String>,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// The absolute folder the user stands in.
    pub current_folder: String,
    /// `--all-resources`: networks, volumes, secrets and configs that no service uses stay.
    pub all_resources: bool,
    /// The names of `label_file`s stay beside the labels that were read: a container's hash has them, what is printed has not.
    pub keep_label_files: bool,
    /// What is left out.
    pub skip: Skip,
}

/// Steps of loading to leave out, as `config` lets the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skip {
    /// `--no-interpolate`.
    pub interpolation: bool,
    /// `--no-normalize`.
    pub normalization: bool,
    /// `--no-path-resolution`.
    pub path_resolution: bool,
    /// `--no-consistency`.
    pub consistency: bool,
    /// `--no-env-resolution`: `env_file`s stay files. What `config --hash` hashes is this.
    pub env_resolution: bool,
}

/// Everything that is wrong with a project's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// At a place in a file.
    #[error(transparent)]
    At(#[from] FileError),
    /// Of the project as a whole: no file, no name.
    #[error("{0}")]
    Whole(String),
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<FileError> for Problems {
    fn from(error: FileError) -> Self {
        Self(vec![error.into()])
    }
}

impl From<Vec<FileError>> for Problems {
    fn from(errors: Vec<FileError>) -> Self {
        Self(errors.into_iter().map(Problem::At).collect())
    }
}

/// A project's files joined to one, before attributes get their types: all that `config --no-interpolate` prints.
#[derive(Debug, Clone)]
pub struct Model {
    /// The joined file.
    pub tree: Node,
    /// The project's name.
    pub name: String,
    pub(crate) found: Found,
    pub(crate) first_era: bool,
    /// The services of the named files as they are written, which docker-compose 1.29 hashes.
    pub(crate) written: Node,
}

/// Reads and joins a project's files.
pub fn load_model(request: &Request, files: &dyn Files) -> Result<Model, Problems> {
    let mut found = Found::of(request, files)?;
    let home = found.environment.get("HOME").cloned();
    let mut loader = Loader {
        files,
        home,
        skip: request.skip,
        warnings: std::mem::take(&mut found.warnings),
        first_era: false,
        written: Node::of_map([], &Default::default()),
    };
    let mut texts = Vec::with_capacity(found.files.len());
    for file in &found.files {
        let text = loader.text_of(file).map_err(|message| Problems(vec![Problem::Whole(message)]))?;
        texts.push((file.clone(), text));
    }
    let name = found.name(request, &texts)?;
    found.environment.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let scope = Scope {
        folder: found.working_dir.clone(),
        ground: found.working_dir.clone(),
        environment: found.environment.clone(),
        resolve: !request.skip.path_resolution,
        root: found.root.clone(),
    };
    let mut tree = loader.model(&texts, &[], &scope)?;
    if tree.as_map().is_none_or(tree::Map::is_empty) {
        return Err(Problems(vec![Problem::Whole("empty compose file".to_owned())]));
    }
    if !request.skip.normalization {
        normalize::normalize(&mut tree, &name, &found.environment);
    }
    found.warnings = loader.warnings;
    Ok(Model { tree, name, found, first_era: loader.first_era, written: loader.written })
}

/// Reads, joins, checks and normalises a project's files.
pub fn load(request: &Request, files: &dyn Files) -> Result<Project, Problems> {
    let model = load_model(request, files)?;
    crate::decode::project(model, request, files)
}

/// Where a file's texts get their values from, and what its paths stand on.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The absolute folder.
    pub folder: String,
    /// The folder as it is written: relative within an including project, which resolves it then.
    pub ground: String,
    /// What variables are looked up in.
    pub environment: BTreeMap<String, String>,
    /// Whether paths are resolved.
    pub resolve: bool,
    /// The folder of what was fetched, where this is a part of it: relative paths stay within.
    pub root: Option<String>,
}

/// The state of one loading.
pub(crate) struct Loader<'a> {
    pub files: &'a dyn Files,
    home: Option<String>,
    skip: Skip,
    warnings: Vec<String>,
    first_era: bool,
    written: Node,
}

impl Loader<'_> {
    pub(crate) fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// A file's text, or why there is none.
    pub(crate) fn text_of(&self, file: &str) -> Result<String, String> {
        let bytes = self.files.read(file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => match crate::path::remote(file) {
                Some(far) => format!(
                    "{far} is not on this machine, and neither a repository (https://host/name.git#ref:folder) nor an artifact (oci://host/name:tag)"
                ),
                None => format!("open {file}: no such file or directory"),
            },
            _ => format!("read {file}: {error}"),
        })?;
        String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            format!("{file}:{line}:{column}: yaml: invalid UTF-8 here")
        })
    }

    /// Where a file is that is named in this scope, and what was fetched with it.
    pub(crate) fn located(&self, file: &str, scope: &Scope) -> Result<(String, Option<String>), String> {
        if let Some(fetched) = self.files.fetch(file) {
            return fetched.map(|fetched| (fetched.file, Some(fetched.root)));
        }
        let path = Ground { folder: &scope.folder, home: self.home() }.path(file);
        match &scope.root {
            Some(root) if confined::leaves(file, &path, root) => Err(confined::told(file)),
            root => Ok((path, root.clone())),
        }
    }

    /// A file's documents in today's form, variables put in, unchecked.
    pub(crate) fn documents(&mut self, file: &str, text: &str, scope: &Scope) -> Result<Vec<Node>, Problems> {
        let mut documents = Vec::new();
        for document in tree::read(file, text)? {
            let mut document = era::today(document)?;
            if let Some(map) = document.as_map_mut() {
                self.first_era |= map.remove("x-gantry-era").is_some();
                if map.remove("version").is_some() {
                    self.warn(format!(
                        "{file}: the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion"
                    ));
                }
            }
            if !self.skip.interpolation {
                let get = |name: &str| scope.environment.get(name).cloned();
                let mut variables = Variables { get: &get, unset: Vec::new() };
                interpolate::tree(&mut document, "", &mut variables)?;
                for name in variables.unset {
                    self.warn(format!("The {name:?} variable is not set. Defaulting to a blank string."));
                }
            }
            documents.push(document);
        }
        Ok(documents)
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn strictness(&self) -> Strictness {
        if self.skip.interpolation { Strictness::Lenient } else { Strictness::Strict }
    }

    /// Refuses a service of another file that is not what it should be.
    pub(crate) fn check_service(&self, service: &Node, name: &str) -> Result<(), Problems> {
        match schema::problems_of_service(service, name, self.strictness()) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(problems.into()),
        }
    }

    /// Joins a document with what earlier ones said.
    pub(crate) fn joined(&self, base: Node, document: Node) -> Result<Node, Problems> {
        let mut whole = merge::merge(base, document, &[])?;
        unique::enforce(&mut whole, &[])?;
        if self.strictness() == Strictness::Strict {
            let missing = schema::missing(&whole);
            if !missing.is_empty() {
                return Err(missing.into());
            }
        }
        canonical::canonical(&mut whole, &[], self.strictness())?;
        omit_empty(&mut whole);
        // The long form shows duplicates that the short one hides, as of a range of ports.
        unique::enforce(&mut whole, &[])?;
        Ok(whole)
    }

    /// Files joined to one, defaults written out, paths resolved.
    pub(crate) fn model(
        &mut self,
        texts: &[(String, String)],
        trail: &[String],
        scope: &Scope,
    ) -> Result<Node, Problems> {
        let mut whole = Node::of_map([], &Default::default());
        let mut problems = Vec::new();
        let mut documents = Vec::new();
        for (file, text) in texts {
            match self.documents(file, text, scope) {
                Ok(read) => {
                    for document in read {
                        problems.extend(
                            schema::problems(&document, self.strictness()).into_iter().map(Problem::At),
                        );
                        documents.push((file, document));
                    }
                }
                Err(Problems(theirs)) => problems.extend(theirs),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let named = trail.is_empty();
        let mut trail = trail.to_vec();
        for (file, mut document) in documents {
            self.extend(&mut document, file, scope)?;
            if named {
                self.written = merge::merge(self.written.clone(), document.clone(), &[])?;
            }
            if !trail.contains(file) {
                trail.push(file.clone());
            }
            self.include(&mut document, &trail, scope)?;
            whole = self.joined(whole, document)?;
        }
        canonical::defaults(&mut whole, &[]);
        if self.strictness() == Strictness::Strict {
            let problems = crate::exclusive::problems(&whole);
            if !problems.is_empty() {
                return Err(problems.into());
            }
        }
        if let Some(root) = &scope.root {
            let problems = confined::problems(&whole, &scope.folder, root);
            if !problems.is_empty() {
                return Err(problems.into());
            }
        }
        if scope.resolve {
            Ground { folder: &scope.ground, home: self.home() }.resolve(&mut whole, &[]);
        }
        normalize::listed_environment(&mut whole, &scope.environment);
        Ok(whole)
    }
}

/// `dns` with an empty entry has none.
fn omit_empty(whole: &mut Node) {
    let services = whole.as_map_mut().and_then(|map| map.get_mut("services")).and_then(Node::as_map_mut);
    for entry in services.into_iter().flat_map(tree::Map::iter_mut) {
        let dns = entry.value.as_map_mut().and_then(|map| map.get_mut("dns"));
        if let Some(Node { value: Value::List(list), .. }) = dns {
            list.retain(|item| !item.is_null() && item.as_text() != Some(""));
        }
    }
}
