//! A frontend's attributes, typed. Their names are BuildKit's: `frontend/dockerui/config.go`, `attr.go`.

use std::collections::BTreeMap;

use gantry_build::request::{NoCache, StepLimits};
use gantry_buildkit::grpc::{Code, Status};
use gantry_names::{Digest, Platform, Reference};
use serde::Deserialize;

/// What a client asks of a Dockerfile's build.
#[derive(Debug)]
pub(crate) struct Options {
    /// The Dockerfile's path.
    pub(crate) filename: String,
    /// What the context is called on the session.
    pub(crate) context_name: String,
    /// What the Dockerfile's folder is called on the session.
    pub(crate) dockerfile_name: String,
    /// The Dockerfile is taken from there even if the context is elsewhere.
    pub(crate) dockerfile_is_local: bool,
    /// An address, where the context is not on the session.
    pub(crate) context: Option<String>,
    /// A folder in the context.
    pub(crate) below: String,
    /// Further contexts by name.
    pub(crate) contexts: BTreeMap<String, Place>,
    pub(crate) args: BTreeMap<String, Option<String>>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) target: Option<String>,
    /// Empty: this machine's.
    pub(crate) platforms: Vec<Platform>,
    pub(crate) no_cache: NoCache,
    pub(crate) cache_from: Vec<Wish>,
    pub(crate) pull: bool,
    pub(crate) limits: StepLimits,
    /// A repository's own `.git` is part of the context.
    pub(crate) keep_git_dir: bool,
    /// `SOURCE_DATE_EPOCH`: the time of everything that is made.
    pub(crate) epoch: Option<i64>,
    /// The image tells which step made which layer.
    pub(crate) inline_cache: bool,
    /// Steps say why the cache had them not.
    pub(crate) explain: bool,
    /// The state of a step that failed is kept.
    pub(crate) keep_failed: bool,
    /// A question about the Dockerfile instead of a build.
    pub(crate) question: Option<String>,
}

/// Where a named context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder on the session.
    Local(String),
    /// An image.
    Image(Reference),
    /// An empty root.
    Scratch,
    /// A result of an earlier build of the same call.
    Input(String),
    /// An address.
    Remote(String),
    /// An image layout on the session.
    Layout(String),
}

/// Where steps of other builds are to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An image that is here, or a cache or an image of a registry.
    Registry(Reference),
    /// A folder of the client, and the manifest in it.
    Local {
        /// As the client calls it.
        folder: String,
        /// The manifest.
        digest: Digest,
    },
}

impl Wish {
    /// As it is told.
    pub(crate) fn name(&self) -> String {
        match self {
            Wish::Registry(name) => name.familiar(),
            Wish::Local { digest, .. } => format!("local:{digest}"),
        }
    }
}

/// Steps are to say which input was new; ours alone, in the shape that every client can give.
const EXPLAIN: &str = "BUILDKIT_EXPLAIN";

/// The state of a step that failed is kept, to be entered; ours alone as well.
const KEEP_FAILED: &str = "BUILDKIT_KEEP_FAILED";

/// Arguments that speak to the builder, not to the Dockerfile.
const OURS: [&str; 11] = [
    "BUILDKIT_CACHE_MOUNT_NS",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_DOCKERFILE_CHECK",
    EXPLAIN,
    KEEP_FAILED,
    "BUILDKIT_INLINE_BUILDINFO_ATTRS",
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SANDBOX_HOSTNAME",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SYNTAX",
];

pub(crate) fn invalid(message: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, message)
}

impl Options {
    /// Reads all attributes, or refuses the first that is wrong.
    pub(crate) fn read(attrs: &BTreeMap<String, String>) -> Result<Options, Status> {
        let text = |name: &str| attrs.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let prefixed = |prefix: &str| -> BTreeMap<String, String> {
            attrs
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())))
                .collect()
        };
        let mut contexts = BTreeMap::new();
        for (name, value) in prefixed("context:") {
            contexts.insert(name.clone(), place(&name, &value)?);
        }
        let mut args = prefixed("build-arg:");
        args.retain(|name, _| !OURS.contains(&name.as_str()));
        let context_name = text("contextkey").unwrap_or("context").to_owned();
        let mut platforms = Vec::new();
        for one in text("platform").into_iter().flat_map(|list| list.split(',')) {
            let platform = Platform::parse(one.trim()).map_err(|e| invalid(e.to_string()))?;
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        Ok(Options {
            filename: text("filename").unwrap_or("Dockerfile").to_owned(),
            dockerfile_name: text("dockerfilekey").unwrap_or("dockerfile").to_owned(),
            dockerfile_is_local: text("dockerfilekey").is_some(),
            context: text(&context_name).map(str::to_owned),
            context_name,
            below: text("contextsubdir").unwrap_or_default().to_owned(),
            contexts,
            args: args.into_iter().map(|(name, value)| (name, Some(value))).collect(),
            labels: prefixed("label:"),
            target: text("target").map(str::to_owned),
            platforms,
            no_cache: match attrs.get("no-cache").map(String::as_str) {
                None => NoCache::Nothing,
                Some("") => NoCache::All,
                Some(list) => NoCache::Stages(list.split(',').map(str::to_owned).collect()),
            },
            cache_from: cache_from(text("cache-imports"), text("cache-from"))?,
            pull: text("image-resolve-mode") == Some("pull"),
            limits: limits(attrs)?,
            keep_git_dir: text("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(says_yes),
            epoch: text("build-arg:SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok()),
            inline_cache: text("build-arg:BUILDKIT_INLINE_CACHE").is_some_and(says_yes),
            explain: text(&format!("build-arg:{EXPLAIN}")).is_some_and(says_yes),
            keep_failed: text(&format!("build-arg:{KEEP_FAILED}")).is_some_and(says_yes),
            question: text("requestid").map(str::to_owned),
        })
    }
}

/// Whether results are to be named by their platform even if there is only one.
pub(crate) fn is_multi_platform(attrs: &BTreeMap<String, String>) -> bool {
    ["multi-platform", "build-arg:BUILDKIT_MULTI_PLATFORM"]
        .iter()
        .filter_map(|name| attrs.get(*name))
        .any(|value| says_yes(value))
}

/// Go's way to read a yes.
fn says_yes(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn place(name: &str, value: &str) -> Result<Place, Status> {
    let wrong = || invalid(format!("invalid context specifier {value} for {name}"));
    let (scheme, rest) = value.split_once(':').ok_or_else(wrong)?;
    let bare = rest.strip_prefix("//").unwrap_or(rest);
    match scheme {
        "docker-image" if bare == "scratch" => Ok(Place::Scratch),
        "docker-image" => {
            Reference::parse(bare).map(Place::Image).map_err(|error| invalid(error.to_string()))
        }
        "local" => Ok(Place::Local(bare.to_owned())),
        "input" => Ok(Place::Input(bare.to_owned())),
        "oci-layout" => Ok(Place::Layout(bare.to_owned())),
        "git" | "http" | "https" | "ssh" => Ok(Place::Remote(value.to_owned())),
        _ if value.starts_with("git@") => Ok(Place::Remote(value.to_owned())),
        other => Err(invalid(format!("unsupported context source {other} for {name}"))),
    }
}

#[derive(Deserialize)]
struct Import {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Attrs", default)]
    attrs: BTreeMap<String, String>,
}

/// Where steps that count as done are. What cannot be read as such a place cannot be a cache: it is passed by.
fn cache_from(new: Option<&str>, old: Option<&str>) -> Result<Vec<Wish>, Status> {
    let imports: Vec<Import> = match new {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| invalid(format!("failed to unmarshal cache-imports ({text:?}): {error}")))?,
        None => Vec::new(),
    };
    let registry = |name: &str| Reference::parse(name).ok().map(|name| Wish::Registry(name.or_latest()));
    let named = imports.iter().filter_map(|import| {
        let attr = |name: &str| import.attrs.get(name).map(String::as_str);
        match import.kind.as_str() {
            "registry" => registry(attr("ref")?),
            "local" => {
                let (folder, digest) = (attr("src")?.to_owned(), Digest::parse(attr("digest")?).ok()?);
                Some(Wish::Local { folder, digest })
            }
            _ => None,
        }
    });
    let plain = old.into_iter().flat_map(|list| list.split(',')).filter_map(registry);
    let mut wishes: Vec<Wish> = Vec::new();
    for wish in named.chain(plain) {
        if !wishes.contains(&wish) {
            wishes.push(wish);
        }
    }
    Ok(wishes)
}

fn limits(attrs: &BTreeMap<String, String>) -> Result<StepLimits, Status> {
    let text = |name: &str| attrs.get(name).map(String::as_str).unwrap_or_default();
    let number = |name: &str| match text(name) {
        "" => Ok(0),
        value => value.parse::<i64>().map_err(|_| invalid(format!("invalid {name}: {value:?}"))),
    };
    let natural = |name: &str| number(name).map(|value| u64::try_from(value).unwrap_or_default());
    let network = match text("force-network-mode") {
        "" | "sandbox" | "default" | "bridge" => "",
        mode @ ("host" | "none") => mode,
        other => return Err(invalid(format!("invalid network mode {other:?}"))),
    };
    let mut extra_hosts = Vec::new();
    for host in list(text("add-hosts")) {
        let (name, address) =
            host.split_once('=').ok_or_else(|| invalid(format!("invalid key-value pair: {host}")))?;
        extra_hosts.push(format!("{name}:{}", address.trim_matches(['[', ']'])));
    }
    Ok(StepLimits {
        network: network.to_owned(),
        extra_hosts,
        memory: number("memory")?,
        memory_swap: number("memswap")?,
        cpu_shares: natural("cpushares")?,
        cpu_period: natural("cpuperiod")?,
        cpu_quota: number("cpuquota")?,
        cpuset_cpus: text("cpusetcpus").to_owned(),
        cpuset_mems: text("cpusetmems").to_owned(),
        cgroup_parent: text("cgroup-parent").to_owned(),
        shm_size: number("shm-size")?,
        ulimits: list(text("ulimit")),
    })
}

/// A line of comma-separated values, some perhaps in quotes.
fn list(line: &str) -> Vec<String> {
    line.split(',')
        .map(|field| field.trim().trim_matches('"').to_owned())
        .filter(|field| !field.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Options, String> {
        let attrs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::read(&attrs).map_err(|status| status.message)
    }

    #[test]
    fn attributes_become_a_build() {
        let options = read(&[
            ("build-arg:A", "1"),
            ("build-arg:BUILDKIT_INLINE_CACHE", "1"),
            ("label:l", "v"),
            ("no-cache", "one,two"),
            ("add-hosts", "x=1.2.3.4,y=[::1]"),
            ("ulimit", "nofile=1:2"),
            ("force-network-mode", "none"),
            ("platform", "linux/amd64,linux/arm64"),
            ("context:base", "docker-image://busybox"),
            ("context:files", "local:files"),
            ("cache-imports", r#"[{"Type":"registry","Attrs":{"ref":"a/b:c"}},{"Type":"gha","Attrs":{}}]"#),
        ])
        .unwrap();
        assert_eq!(options.args.keys().collect::<Vec<_>>(), ["A"]);
        assert_eq!(options.limits.extra_hosts, ["x:1.2.3.4", "y:::1"]);
        assert_eq!(options.limits.network, "none");
        assert_eq!(options.no_cache, NoCache::Stages(vec!["one".into(), "two".into()]));
        assert_eq!(options.platforms.len(), 2);
        assert_eq!(options.contexts["files"], Place::Local("files".into()));
        assert_eq!(options.cache_from.len(), 1);
    }

    #[test]
    fn wrong_attributes_are_refused() {
        assert!(read(&[("context:x", "nonsense")]).unwrap_err().starts_with("invalid context specifier"));
        assert!(read(&[("context:x", "ftp://a")]).unwrap_err().starts_with("unsupported context source ftp"));
        assert!(read(&[("shm-size", "much")]).unwrap_err().contains("shm-size"));
        assert!(read(&[("force-network-mode", "moon")]).unwrap_err().contains("moon"));
    }
}
