//! `moby.buildkit.v1.frontend.LLBBridge`: what a frontend calls that runs in the client.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use gantry_build::files::{EntryKind, Root};
use gantry_build::progress::Progress;
use gantry_build::step::ImageWanted;
use gantry_buildkit::fsutil;
use gantry_buildkit::grpc::server::Call;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{StatusResponse, VertexWarning};
use gantry_buildkit::proto::gateway::{
    InputsResponse, PongResponse, ReadDirRequest, ReadDirResponse, ReadFileRequest, ReadFileResponse, Ref,
    RefMap, Refs, ResolveImageConfigRequest, ResolveImageConfigResponse, ResolveSourceImageResponse,
    ResolveSourceMetaRequest, ResolveSourceMetaResponse, ReturnRequest, SolveRequest, SolveResponse,
    SolveResult, StatFileRequest, StatFileResponse, WarnRequest,
};
use gantry_buildkit::proto::ops;
use gantry_names::Platform;
use serde_json::json;

use super::{caps, control, unary, unknown, workers};
use crate::frontend::{self, Answer};
use crate::job::{Job, Outcome};
use crate::{Inner, export, story};

/// Names the build that a call belongs to.
const BUILD_ID: &str = "buildkit-controlapi-buildid";

/// Bytes of a file that one call gives.
const READ_LIMIT: u64 = 12 << 20;

pub(super) async fn call(inner: &Arc<Inner>, call: Call) {
    let id = call.text(BUILD_ID).to_owned();
    let Some(job) = inner.jobs.wait(&id).await else {
        let status = Status::new(Code::NotFound, format!("no such job {id}"));
        return call.reply.answer(Err::<(), _>(status)).await;
    };
    let name = call.method.rsplit('/').next().unwrap_or_default().to_owned();
    match name.as_str() {
        "Ping" => {
            let (frontend_api_caps, llb_caps) = (caps::frontend(), caps::build());
            let workers = vec![workers::record(inner).await];
            unary(call, async |(): ()| Ok(PongResponse { frontend_api_caps, llb_caps, workers })).await;
        }
        "Solve" => unary(call, async |request: SolveRequest| solve(inner, &job, request).await).await,
        "Return" => {
            unary(call, async |request: ReturnRequest| {
                job.return_word(request);
                Ok(())
            })
            .await;
        }
        "Inputs" => unary(call, async |(): ()| Ok(InputsResponse::default())).await,
        "ResolveImageConfig" => {
            unary(call, async |request: ResolveImageConfigRequest| {
                let found =
                    image(inner, &job, &request.reference, request.platform, &request.resolve_mode).await?;
                Ok(ResolveImageConfigResponse {
                    digest: found.0,
                    config: found.1,
                    reference: request.reference,
                })
            })
            .await;
        }
        "ResolveSourceMeta" => {
            unary(call, async |request: ResolveSourceMetaRequest| source(inner, &job, request).await).await;
        }
        "ReadFile" => unary(call, async |request: ReadFileRequest| read_file(inner, &job, &request)).await,
        "ReadDir" => unary(call, async |request: ReadDirRequest| read_dir(inner, &job, &request)).await,
        "StatFile" => {
            unary(call, async |request: StatFileRequest| {
                let (view, path) = (root(inner, &job, &request.reference)?, request.path.clone());
                Ok(StatFileResponse { stat: Some(stat(&view, &path)?) })
            })
            .await;
        }
        // Results are whole when they are named.
        "Evaluate" => unary(call, async |(): ()| Ok(())).await,
        "Warn" => {
            unary(call, async |request: WarnRequest| {
                warn(&job, request);
                Ok(())
            })
            .await;
        }
        "NewContainer" | "ExecProcess" | "ReleaseContainer" => {
            let text = "a container in a build's state is not opened over this door: with --build-arg BUILDKIT_KEEP_FAILED=1 `gantry build debug` enters a failed step";
            call.reply.answer(Err::<(), _>(Status::new(Code::Unimplemented, text))).await;
        }
        _ => unknown(call).await,
    }
}

async fn solve(inner: &Inner, job: &Arc<Job>, request: SolveRequest) -> Result<SolveResponse, Status> {
    if request.frontend.is_empty() {
        let text = "this engine builds Dockerfiles: a graph of operations from another frontend is not run";
        return Err(Status::new(Code::Unimplemented, text));
    }
    control::check_frontend(&request.frontend, &request.frontend_opt)?;
    let answer = tokio::select! {
        answer = frontend::solve(inner, job, &request.frontend_opt, &request.frontend_inputs) => answer?,
        () = job.cancelled() => return Err(Status::new(Code::Cancelled, "context canceled")),
    };
    let result = match answer {
        Answer::Said(metadata) => SolveResult { refs: None, metadata },
        Answer::Built(outcomes) => named(job, &request.frontend_opt, outcomes),
    };
    Ok(SolveResponse { result: Some(result), ..SolveResponse::default() })
}

/// Results by names a client can hand back.
fn named(job: &Job, attrs: &BTreeMap<String, String>, outcomes: Vec<Outcome>) -> SolveResult {
    let several = outcomes.len() > 1 || frontend::is_multi_platform(attrs);
    let mut metadata = BTreeMap::new();
    let mut refs = BTreeMap::new();
    let mut listed = Vec::new();
    for outcome in outcomes {
        let platform = outcome.platform.to_string();
        let key = "containerimage.config".to_owned();
        let key = if several { format!("{key}/{platform}") } else { key };
        metadata.insert(key, outcome.built.document.clone());
        listed.push(json!({ "ID": platform, "Platform": {
            "architecture": outcome.platform.architecture, "os": outcome.platform.os,
            "variant": outcome.platform.variant,
        }}));
        let id = job.keep(outcome);
        let def = Some(frontend::definition_of(job, &id));
        refs.insert(platform, Ref { id, def });
    }
    metadata.insert("refs.platforms".into(), json!({ "Platforms": listed }).to_string().into_bytes());
    let refs = match refs.len() {
        1 if !several => refs.into_values().next().map(Refs::One),
        _ => Some(Refs::Map(RefMap { refs })),
    };
    SolveResult { refs, metadata }
}

/// Digest and config of an image.
async fn image(
    inner: &Inner,
    job: &Job,
    name: &str,
    platform: Option<ops::Platform>,
    mode: &str,
) -> Result<(String, Vec<u8>), Status> {
    let caller = inner.sessions.get(&job.session).await?;
    let platform = match platform.filter(|platform| !platform.os.is_empty()) {
        Some(ops::Platform { os, architecture, variant }) => {
            let text = [os, architecture, variant].join("/");
            let parsed = Platform::parse(text.trim_end_matches('/'));
            Some(parsed.map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?)
        }
        None => None,
    };
    let wanted = ImageWanted {
        name: name.to_owned(),
        platform,
        pull: mode == "pull",
        caller: frontend::client(inner, caller),
    };
    let output = gantry_build::progress::Output::new(Progress::silent(), 0);
    let found = inner.builder.outside.image(wanted, output).await;
    let id = found.map_err(|refusal| Status::new(story::code(refusal.class), refusal.message))?;
    let images = &inner.builder.images;
    let config = images.config_bytes(&id).map_err(|error| story::refused(&error))?;
    let image = images.get(&id).map_err(|error| story::refused(&error))?;
    let digest = image.record.index.or(image.record.manifest).unwrap_or(id.0);
    Ok((digest.to_string(), config))
}

async fn source(
    inner: &Inner,
    job: &Job,
    request: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    let source = request.source.unwrap_or_default();
    let Some(name) = source.identifier.strip_prefix("docker-image://") else {
        let text = format!("what {} is now cannot be told here", source.identifier);
        return Err(Status::new(Code::Unimplemented, text));
    };
    let (digest, config) = image(inner, job, name, request.platform, &request.resolve_mode).await?;
    let image = Some(ResolveSourceImageResponse { digest, config });
    Ok(ResolveSourceMetaResponse { source: Some(source), image })
}

fn root(inner: &Inner, job: &Job, reference: &str) -> Result<Root, Status> {
    let unknown = || Status::new(Code::NotFound, format!("no such ref: {reference}"));
    let outcome = job.result(reference).ok_or_else(unknown)?;
    export::root(inner, &outcome.built)
}

fn failed(error: &dyn std::fmt::Display) -> Status {
    Status::new(Code::Unknown, error.to_string())
}

fn not_found(path: &str) -> Status {
    Status::new(Code::NotFound, format!("lstat {path}: no such file or directory"))
}

fn stat(root: &Root, path: &str) -> Result<gantry_buildkit::proto::session::Stat, Status> {
    let path = path.trim_matches('/');
    let entry = root.stat(path, false).map_err(|e| failed(&e))?.ok_or_else(|| not_found(path))?;
    let link = match entry.kind {
        EntryKind::Link => root.link(path).map_err(|e| failed(&e))?.to_string_lossy().into_owned(),
        _ => String::new(),
    };
    Ok(fsutil::stat(path.rsplit('/').next().unwrap_or_default(), &entry.stat, link))
}

fn read_file(inner: &Inner, job: &Job, request: &ReadFileRequest) -> Result<ReadFileResponse, Status> {
    let root = root(inner, job, &request.reference)?;
    let path = request.file_path.trim_matches('/');
    if root.stat(path, true).map_err(|e| failed(&e))?.is_none() {
        return Err(not_found(path));
    }
    let mut file = root.file(path).map_err(|e| failed(&e))?;
    let range = request.range.clone().unwrap_or_default();
    let offset = u64::try_from(range.offset).unwrap_or_default();
    file.seek(SeekFrom::Start(offset)).map_err(|e| failed(&e))?;
    let length = u64::try_from(range.length).ok().filter(|length| *length > 0).unwrap_or(READ_LIMIT);
    let mut data = Vec::new();
    file.take(length.min(READ_LIMIT)).read_to_end(&mut data).map_err(|e| failed(&e))?;
    Ok(ReadFileResponse { data })
}

fn read_dir(inner: &Inner, job: &Job, request: &ReadDirRequest) -> Result<ReadDirResponse, Status> {
    let root = root(inner, job, &request.reference)?;
    let folder = request.dir_path.trim_matches('/');
    let mut entries = Vec::new();
    for name in root.names(folder).map_err(|e| failed(&e))? {
        let name = name.to_string_lossy();
        let path = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
        entries.push(stat(&root, &path)?);
    }
    Ok(ReadDirResponse { entries })
}

fn warn(job: &Job, request: WarnRequest) {
    let warning = VertexWarning {
        vertex: request.digest,
        level: request.level,
        short: request.short,
        detail: request.detail,
        url: request.url,
        info: request.info,
        ranges: request.ranges,
    };
    job.log.put(StatusResponse { warnings: vec![warning], ..StatusResponse::default() });
}
