//! A compose file's text to a project. No I/O.
//!
//! [`tree`] reads YAML with the place of every value, so that each complaint has file, line and column. [`interpolate`]
//! puts the environment's values in. What needs other files (`extends`, `include`, `env_file`) asks its caller for them.
//!
//! It starts nothing, and it knows no engine.

pub mod era;
pub mod interpolate;
pub mod load;
pub mod project;
pub mod schema;
pub mod tree;
