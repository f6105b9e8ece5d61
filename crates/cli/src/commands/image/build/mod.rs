//! `build`: BuildKit's protocol where the engine speaks it, the classic builder elsewhere.

mod classic;
mod modern;

use super::{check, debug};
use crate::command::{Arity, COMMAND, Command, Names, entry};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::parse::{env, hosts, ulimits};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    list("add-host", "Add a line name:ip to the hosts file").check(hosts::check_extra_host),
    list("allow", "Privileges the build may have (\"network.host\", \"security.insecure\")"),
    list("annotation", "Annotation of the image").check(env::validate_label),
    list("attest", "Attestation to add (type=sbom, type=provenance)"),
    list("build-arg", "Value of a build argument").check(env::validate_env),
    list("build-context", "Another context by a name (name=path, name=docker-image://...)"),
    flag("cache-from", Kind::Named("list"), "Where cached steps come from (an image, or type=...)"),
    list("cache-to", "Where cached steps go to (type=inline|local|registry)"),
    text("call", "What to do (build, check, outline, targets)").default("build"),
    text("cgroup-parent", "Cgroup of the containers that build"),
    switch("check", "Only look for mistakes in the Dockerfile; short for --call=check"),
    switch("compress", "Compress the context (classic builder)"),
    flag("cpu-period", Kind::Int, "Length of the scheduler's CFS period in microseconds"),
    flag("cpu-quota", Kind::Int, "CPU time in one CFS period in microseconds"),
    flag("cpu-shares", Kind::Int, "Share of CPU time, relative to others").short('c'),
    text("cpuset-cpus", "CPUs to run on (0-3, 0,1)"),
    text("cpuset-mems", "Memory nodes to use (0-3, 0,1)"),
    switch("disable-content-trust", "Skip verification of images").default("true").hidden(),
    switch("explain", "Say of every step why it ran or came from the cache"),
    text("file", "Name of the Dockerfile (default is PATH/Dockerfile)").short('f'),
    switch("force-rm", "Remove the containers that built even after a failure (classic builder)"),
    text("iidfile", "File to write the image's id to"),
    text("isolation", "Isolation technology"),
    list("label", "Label of the image").check(env::validate_label),
    flag("memory", Kind::Bytes, "Limit of memory").short('m'),
    flag("memory-swap", Kind::Swap, "Limit of memory and swap together, -1 for unlimited swap"),
    text("metadata-file", "File to write what became of the build to, as JSON"),
    text("network", "Network of RUN instructions").default("default"),
    switch("no-cache", "Do not use the cache"),
    flag("no-cache-filter", Kind::Strings, "Stages that do not use the cache"),
    list("output", "Where the result goes (a folder, - or type=local|tar|oci|docker|image,dest=...)")
        .short('o'),
    flag("platform", Kind::Strings, "Platform to build for"),
    text("progress", "How to show progress (auto, plain, tty, quiet, rawjson)").default("auto"),
    text("provenance", "Add an attestation of provenance; short for --attest=type=provenance"),
    switch("pull", "Look for newer images of FROM"),
    switch("push", "Push the image when it is built"),
    switch("quiet", "Only the image's id").short('q'),
    switch("rm", "Remove the containers that built (classic builder)").default("true"),
    text("sbom", "Add a bill of materials; short for --attest=type=sbom"),
    list("secret", "Secret for RUN --mount=type=secret (id=name[,src=file|,env=VARIABLE])"),
    flag("security-opt", Kind::Strings, "Security option"),
    flag("shm-size", Kind::Bytes, "Size of /dev/shm"),
    switch("squash", "Make one layer of the new ones (classic builder)"),
    list("ssh", "Agent or keys for RUN --mount=type=ssh (default or name[=socket|key])"),
    list("tag", "Name of the image (name:tag)").short('t').check(check_tag),
    text("target", "Stage to build"),
    flag("ulimit", Kind::Named("ulimit"), "Resource limit").default("[]").check(ulimits::check),
    text("builder", "Accepted: the engine is the builder").hidden(),
    switch("load", "Accepted: images are always in the engine").hidden(),
];

pub static BUILD: Command = Command {
    usage: "[OPTIONS] PATH | URL | -",
    short: "Build an image from a Dockerfile",
    examples: &[
        ("-t app:1 .", "From the Dockerfile of this folder"),
        (
            "-f deploy/Dockerfile --target test --build-arg VERSION=2 .",
            "Another file, one stage of it, an argument",
        ),
        ("-o out --secret id=token,src=token.txt .", "The result as files; a secret that stays in no layer"),
        (
            "--push -t registry:5000/app:1 --platform linux/amd64,linux/arm64 .",
            "For two kinds of machines, into a registry",
        ),
        ("--explain .", "Why each step ran, or did not"),
    ],
    long: "Build an image from a Dockerfile and a context: a folder, a tar or a Dockerfile on standard input (-), a git \
           repository or an archive by its URL.\n\nOnly files that changed since the last build travel to the engine. \
           DOCKER_BUILDKIT=0 asks for the classic builder.",
    aliases: &["image build", "build", "buildx build", "builder build"],
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    names: Names::Files,
    below: &[entry(&["check"], &check::CHECK), entry(&["debug"], &debug::DEBUG)],
    work: work!(run),
    ..COMMAND
};

/// What only BuildKit can.
const MODERN: [&str; 14] = [
    "allow",
    "annotation",
    "attest",
    "build-context",
    "cache-to",
    "call",
    "check",
    "metadata-file",
    "no-cache-filter",
    "output",
    "provenance",
    "sbom",
    "secret",
    "ssh",
];

/// What only the classic builder can.
const CLASSIC: [&str; 2] = ["squash", "compress"];

/// The first version of the API with BuildKit's door.
const DOOR: &str = "1.39";

fn check_tag(text: &str) -> Result<(), String> {
    gantry_names::Reference::parse(text).map(drop).map_err(|e| e.to_string())
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    // Checked here, so that every engine's Dockerfiles are: the context is not needed.
    let is_here = !is_remote(m.word(0)) && m.word(0) != "-";
    if is_here && (m.on("check") || ["check", "lint"].contains(&m.text("call"))) {
        return check::checked(m);
    }
    if is_modern(s, m).await? { modern::run(s, m).await } else { classic::run(s, m).await }
}

/// Which of the two protocols: what the person says, what only one of them can, what the engine prefers.
async fn is_modern(s: &Session, m: &Matches) -> Result<bool, Failure> {
    let client = s.client()?;
    let ping = client.ping().await?;
    let has_door = ping.builder_version == "2" || client.speaks(DOOR).await?;
    let needs = MODERN.iter().find(|flag| m.changed(flag));
    let said = std::env::var("DOCKER_BUILDKIT").ok().filter(|text| !text.is_empty());
    let said = match &said {
        Some(text) => Some(crate::parse::numbers::boolean(text).map_err(|_| {
            Failure::text(1, format!("DOCKER_BUILDKIT environment variable expects boolean value: {text:?}"))
        })?),
        None => None,
    };
    match (said, needs) {
        (Some(false), Some(flag)) => {
            Err(format!("--{flag} needs BuildKit: leave DOCKER_BUILDKIT=0 out").into())
        }
        (None, Some(flag)) if !has_door => {
            Err(format!("--{flag} needs BuildKit, which the engine at {} has not", client.endpoint()).into())
        }
        (Some(says), _) => Ok(says),
        (None, Some(_)) => Ok(true),
        (None, None) => Ok(ping.builder_version == "2" && !CLASSIC.iter().any(|flag| m.on(flag))),
    }
}

/// Build arguments: proxies of the configuration, then what is asked for. `None`: a name whose value we have not.
fn arguments(s: &Session, m: &Matches) -> Result<Vec<(String, Option<String>)>, Failure> {
    let proxies = s.config().proxies(&s.client()?.endpoint().host());
    let mut args: Vec<(String, Option<String>)> =
        proxies.into_iter().map(|(name, value)| (name, Some(value))).collect();
    for arg in m.all("build-arg") {
        args.push(match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            // A name alone takes its value from our environment.
            None => (arg.clone(), std::env::var(&arg).ok()),
        });
    }
    Ok(args)
}

/// Whether the engine fetches the context itself.
fn is_remote(context: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@", "github.com/"].iter().any(|p| context.starts_with(p))
}
