use super::{Extensions, Pairs};

/// Something small and private that containers get as a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Secret {
    /// The engine's name for it.
    pub name: String,
    /// Where its content comes from.
    pub source: Source,
    /// Labels.
    pub labels: Pairs,
    /// A cluster's driver.
    pub driver: String,
    /// Its options.
    pub driver_opts: Pairs,
    /// A cluster's template driver.
    pub template_driver: String,
    /// The user's own.
    pub extensions: Extensions,
}

/// Something small that containers get as a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The engine's name for it.
    pub name: String,
    /// Where its content comes from.
    pub source: Source,
    /// Labels.
    pub labels: Pairs,
    /// A cluster's template driver.
    pub template_driver: String,
    /// The user's own.
    pub extensions: Extensions,
}

/// Where a secret's or config's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// A file of the client.
    File(String),
    /// A variable of the project's environment, and its value where it is set.
    Environment {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// The file itself says it.
    Content(String),
    /// It is in the cluster already.
    External,
}

/// A language model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// The name given to it.
    pub name: String,
    /// The artifact's reference.
    pub model: String,
    /// Tokens; 0: not given.
    pub context_size: i64,
    /// The runner's own.
    pub runtime_flags: Vec<String>,
    /// The user's own.
    pub extensions: Extensions,
}
