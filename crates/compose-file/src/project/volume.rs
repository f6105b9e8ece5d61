use super::{Extensions, Pairs};

/// A volume of the project.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Volume {
    /// The engine's name for it.
    pub name: String,
    /// Empty: `local`.
    pub driver: String,
    /// The driver's options.
    pub driver_opts: Pairs,
    /// It is there already and stays.
    pub external: bool,
    /// Labels.
    pub labels: Pairs,
    /// The user's own.
    pub extensions: Extensions,
}
