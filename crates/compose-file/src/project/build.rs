use std::collections::BTreeMap;

use super::{Extensions, Grant, MaybePairs, Pairs, Size, Ulimit};

/// How a service's image is built.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Build {
    /// The folder (absolute once resolved) or the address of a repository.
    pub context: String,
    /// The Dockerfile's path, within the context where relative; empty with [`Build::dockerfile_inline`].
    pub dockerfile: String,
    /// The Dockerfile itself.
    pub dockerfile_inline: String,
    /// Privileges that the build asks for, such as `security.insecure`.
    pub entitlements: Vec<String>,
    /// Build arguments; one without a value takes the environment's.
    pub args: MaybePairs,
    /// `true`, `false`, or the builder's own `mode=max`.
    pub provenance: String,
    /// `true`, `false`, or the builder's own form.
    pub sbom: String,
    /// Keys and agents the build may use.
    pub ssh: Vec<SshKey>,
    /// Labels of the image.
    pub labels: Pairs,
    /// Where to take cached layers from.
    pub cache_from: Vec<String>,
    /// Where to leave them.
    pub cache_to: Vec<String>,
    /// Builds every step anew.
    pub no_cache: bool,
    /// Stages to build anew.
    pub no_cache_filter: Vec<String>,
    /// Further contexts by name; `service:web` is the image of a service.
    pub additional_contexts: Pairs,
    /// Pulls the base images even when they are there.
    pub pull: bool,
    /// Addresses by host name.
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    /// Windows' isolation.
    pub isolation: String,
    /// The network of `RUN` steps.
    pub network: String,
    /// The stage to build.
    pub target: String,
    /// Secrets of `RUN --mount=type=secret`.
    pub secrets: Vec<Grant>,
    /// The size of `/dev/shm`; 0: not given.
    pub shm_size: Size,
    /// Further names of the image.
    pub tags: Vec<String>,
    /// Limits of the steps' processes.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Platforms to build for.
    pub platforms: Vec<String>,
    /// Gives steps full privileges.
    pub privileged: bool,
    /// The user's own.
    pub extensions: Extensions,
}

/// An SSH agent socket or key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshKey {
    /// `default`, or what `--mount=type=ssh,id=` names.
    pub id: String,
    /// The key's or the agent socket's path; empty: the user's agent.
    pub path: String,
}
