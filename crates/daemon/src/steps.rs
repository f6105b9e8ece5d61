//! The engine as a build sees it: a step is a container, a base image is an image of the store or of a registry.

use gantry_build::progress::{Output, Transfer};
use gantry_build::request::{Caller, StepLimits};
use gantry_build::step::{ImageWanted, Outside, Refusal, Step, StepMount, Task};
use gantry_engine::record::{MountPoint, MountPointKind};
use gantry_engine::spec::{ContainerSpec, NetworkMode, ReadOnly, Resources, Ulimit};
use gantry_engine::{Engine, PullRequest, StepRequest};
use gantry_errdefs::{Class, Classified, chain};
use gantry_names::{ImageId, Reference};
use tokio::sync::mpsc;

/// Progress of a pull on its way.
const MESSAGES: usize = 64;
/// Docker Hub under the name clients keep its credentials by.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// Runs builds' steps in an engine.
pub(crate) struct Steps(pub(crate) Engine);

impl Outside for Steps {
    fn run(&self, step: Step, output: Output) -> Task<'_, Result<i32, Refusal>> {
        Box::pin(async move {
            let request = request(step)?;
            let short = request.id.short().to_owned();
            output.running(&short);
            let told = output.clone();
            let ended = self
                .0
                .step_run(request, move |stream, bytes| {
                    let told = told.clone();
                    async move { told.put(stream == gantry_engine::Output::Stderr, &bytes).await }
                })
                .await;
            output.removed(&short);
            ended.map_err(refusal)
        })
    }

    fn image(&self, wanted: ImageWanted, output: Output) -> Task<'_, Result<ImageId, Refusal>> {
        Box::pin(async move { self.find(wanted, output).await })
    }

    fn tagged(&self, image: &ImageId, name: &Reference) {
        self.0.image_tagged(image, name);
    }

    fn discard(&self, image: ImageId) -> Task<'_, ()> {
        Box::pin(async move {
            // One that a container uses is still looked at, and goes another time.
            if let Err(err) = self.0.image_remove(image.as_str(), false, false).await {
                tracing::debug!(%err, %image, "an old failed step's state stays");
            }
        })
    }
}

impl Steps {
    async fn find(&self, wanted: ImageWanted, output: Output) -> Result<ImageId, Refusal> {
        let ImageWanted { name, platform, pull, caller } = wanted;
        let here = |name: String| {
            let (images, platform) = (self.0.images().clone(), platform.clone());
            async move {
                let found = tokio::task::spawn_blocking(move || images.inspect(&name, platform.as_ref()));
                found.await.ok().and_then(Result::ok).map(|image| image.id)
            }
        };
        let found = here(name.clone()).await;
        let reference = match Reference::parse(&name) {
            Ok(reference) => reference.or_latest(),
            // An id is no reference, but may be of an image that is here.
            Err(err) => return found.ok_or_else(|| wrong(err.to_string())),
        };
        if let Some(id) = found.filter(|id| !pull || is_id(id, &name)) {
            return Ok(id);
        }
        let auth = credentials(&*caller, reference.domain()).await?;
        let (tx, mut rx) = mpsc::channel::<gantry_engine::Progress>(MESSAGES);
        let telling = async {
            while let Some(told) = rx.recv().await {
                let gantry_engine::Progress { status, id, current, total, .. } = told;
                output.transfer(Transfer { status, id, current, total });
            }
        };
        let request =
            PullRequest { reference: reference.clone(), all_tags: false, platform: platform.clone(), auth };
        let pulling = self.0.image_pull(request, tx);
        let (pulled, ()) = tokio::join!(pulling, telling);
        pulled.map_err(refusal)?;
        let pulled = here(reference.familiar()).await;
        pulled.ok_or_else(|| Refusal { class: Class::NotFound, message: format!("No such image: {name}") })
    }
}

/// Whether a name is the beginning of an image's id: no registry knows it by that.
fn is_id(id: &ImageId, name: &str) -> bool {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    digits.len() >= 12 && id.0.hex().starts_with(digits)
}

async fn credentials(caller: &dyn Caller, domain: &str) -> Result<Option<serde_json::Value>, Refusal> {
    if domain == HUB.0
        && let Some(found) = caller.credentials(HUB.1.to_owned()).await?
    {
        return Ok(Some(found));
    }
    caller.credentials(domain.to_owned()).await
}

fn request(step: Step) -> Result<StepRequest, Refusal> {
    let Step { snapshot, args, env, user, working_dir, network, insecure, mounts, limits } = step;
    let spec = ContainerSpec {
        command: Some(args),
        env,
        user,
        working_dir,
        network_mode: NetworkMode::parse(&network),
        privileged: insecure,
        extra_hosts: limits.extra_hosts.clone(),
        shm_size: limits.shm_size,
        cgroup_parent: limits.cgroup_parent.clone(),
        resources: resources(&limits)?,
        ..ContainerSpec::default()
    };
    Ok(StepRequest { id: snapshot, spec, mounts: mounts.into_iter().map(mount).collect() })
}

fn resources(limits: &StepLimits) -> Result<Resources, Refusal> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Ok(Resources {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        cpu_shares: signed(limits.cpu_shares),
        cpu_period: signed(limits.cpu_period),
        cpu_quota: limits.cpu_quota,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        ulimits: limits.ulimits.iter().map(|text| ulimit(text)).collect::<Result<_, _>>()?,
        ..Resources::default()
    })
}

/// `name=soft:hard`, or `name=both`.
fn ulimit(text: &str) -> Result<Ulimit, Refusal> {
    let parse = || {
        let (name, values) = text.split_once('=')?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        Some(Ulimit { name: name.to_owned(), soft: soft.parse().ok()?, hard: hard.parse().ok()? })
    };
    parse().ok_or_else(|| wrong(format!("invalid ulimit argument: {text}")))
}

fn mount(mount: StepMount) -> MountPoint {
    let point = |kind, source: String, target, read_only, options| MountPoint {
        kind,
        name: String::new(),
        source,
        target,
        driver: String::new(),
        mode: String::new(),
        read_only,
        propagation: None,
        non_recursive: false,
        subpath: String::new(),
        options,
        anonymous: false,
    };
    match mount {
        StepMount::Bind { source, target, read_only } => {
            let read_only = if read_only { ReadOnly::Yes } else { ReadOnly::No };
            point(MountPointKind::Bind, source.display().to_string(), target, read_only, String::new())
        }
        StepMount::Tmpfs { target, size } => {
            let options = size.map_or_else(String::new, |bytes| format!("size={bytes}"));
            point(MountPointKind::Tmpfs, String::new(), target, ReadOnly::No, options)
        }
    }
}

fn refusal(err: gantry_engine::Error) -> Refusal {
    Refusal { class: err.class(), message: chain(&err) }
}

fn wrong(message: String) -> Refusal {
    Refusal { class: Class::InvalidArgument, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_or_refused() {
        let read = |text: &str| ulimit(text).map(|limit| (limit.name, limit.soft, limit.hard));
        assert_eq!(read("nofile=10:20").unwrap(), ("nofile".into(), 10, 20));
        assert_eq!(read("core=-1").unwrap(), ("core".into(), -1, -1));
        assert_eq!(read("core").unwrap_err().message, "invalid ulimit argument: core");
    }

    #[test]
    fn only_ids_are_taken_for_ids() {
        let id = ImageId(gantry_names::Digest::sha256_of(b"x"));
        assert!(is_id(&id, id.0.short()) && is_id(&id, id.as_str()));
        assert!(!is_id(&id, &id.0.hex()[..4]) && !is_id(&id, "busybox"));
    }
}
