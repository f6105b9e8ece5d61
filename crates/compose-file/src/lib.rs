//! A compose file's text to a project. No I/O.
//!
//! [`load`] is the way: [`tree`] reads YAML with the place of every value, so that each complaint has file, line and
//! column; [`era`] gives old files today's form, [`interpolate`] puts the environment's values in, [`schema`] refuses what
//! is no attribute; files are joined, with what they extend and include; what is left is given types ([`project`]) and
//! checked as a whole. [`render`] prints a project as Compose does, and [`hash`] is Compose's config hash of a service.
//!
//! It opens no file: what needs others (`extends`, `include`, `env_file`) asks its caller through [`load::Files`]. It
//! starts nothing, and it knows no engine.

mod canonical;
mod confined;
mod consistency;
pub mod coverage;
mod decode;
pub mod dotenv;
mod environment;
pub mod era;
mod exclusive;
mod extends;
pub mod find;
mod first_hash;
pub mod given;
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
