//! What every command of a project works with.

use std::collections::BTreeMap;

use gantry_client::Client;
use gantry_compose_file::project::Project;

use crate::names::Separator;
use crate::progress::Progress;

/// An engine, a project, and whom to tell.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The engine.
    pub client: &'a Client,
    /// The project.
    pub project: &'a Project,
    /// Whom to tell.
    pub progress: &'a dyn Progress,
    /// What stands in names.
    pub separator: Separator,
    /// Requests at once; none: no bound.
    pub at_once: Option<usize>,
    /// Variables that every container gets for its way out, from the client's configuration.
    pub proxies: &'a [(String, String)],
    /// Whether the engine sees this machine's files.
    pub local: bool,
    /// Nothing is done; it is only said.
    pub dry_run: bool,
}

/// What has to be known of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFacts {
    /// Its id.
    pub id: String,
    /// The paths that its `VOLUME`s are.
    pub volumes: Vec<String>,
    /// Whether it has a health check.
    pub healthcheck: bool,
}

/// Images by the name that services give them.
pub type Images = BTreeMap<String, ImageFacts>;
