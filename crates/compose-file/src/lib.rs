//! A compose file's text to a project. No I/O.
//!
//! [`tree`] reads YAML with the place of every value, so that each complaint has file, line and column. [`interpolate`]
//! puts the environment's values in. What needs other files (`extends`, `include`, `env_file`) asks its caller for them.
//!
//! It starts nothing, and it knows no engine.

mod canonical;
mod consistency;
mod decode;
pub mod dotenv;
mod environment;
pub mod era;
mod exclusive;
mod extends;
pub mod find;
pub mod hash;
mod include;
pub mod interpolate;
pub mod load;
mod merge;
mod normalize;
mod path;
pub mod project;
mod relative;
pub mod render;
mod scalar;
pub mod schema;
mod select;
mod short;
pub mod tree;
mod unique;
pub mod variables;
mod words;
