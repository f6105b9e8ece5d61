//! Several files to one project.

use std::collections::BTreeMap;

use crate::project::Project;
use crate::tree::FileError;

/// What the loader asks of its caller. It opens nothing itself.
pub trait Files {
    /// A file's bytes. The path is absolute, or `-` for what the user pipes in.
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>>;
    /// Whether there is something, and a folder.
    fn is_folder(&self, path: &str) -> bool;
    /// Whether there is a file.
    fn is_file(&self, path: &str) -> bool;
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
    /// Services named on the command line: their profiles are on.
    pub services: Vec<String>,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// The absolute folder the user stands in.
    pub current_folder: String,
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
    /// `--no-env-resolution`.
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

/// Reads, merges, checks and normalises a project's files.
pub fn load(request: &Request, files: &dyn Files) -> Result<Project, Problems> {
    let _ = (request, files);
    Err(Problems(vec![Problem::Whole("no configuration file provided: not found".to_owned())]))
}
