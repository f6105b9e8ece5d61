//! `moby.buildkit.v1.Control`: a build from asking to its exports, its progress, the cache, the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_buildkit::grpc::server::Call;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{
    BuildHistoryRequest, BytesMessage, DiskUsageRequest, DiskUsageResponse, Exporter, InfoResponse,
    ListWorkersResponse, PruneRequest, SolveRequest, SolveResponse, StatusRequest, UpdateBuildHistoryRequest,
};
use gantry_buildkit::proto::gateway::{Refs, ReturnRequest, SolveResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{unary, unknown, workers};
use crate::frontend::{self, Answer};
use crate::job::{Job, Outcome, Wishes};
use crate::{Inner, Solver, cache, export, usage};

/// Bytes of a tunnelled session in one message.
const PIECE: usize = 32 << 10;

pub(super) async fn call(inner: &Arc<Inner>, call: Call) {
    let name = call.method.rsplit('/').next().unwrap_or_default().to_owned();
    match name.as_str() {
        "Solve" => {
            unary(call, async |request: SolveRequest| {
                let exporter_response = solve(inner, request).await?;
                Ok(SolveResponse { exporter_response })
            })
            .await;
        }
        "Status" => status(inner, call).await,
        "Session" => session(inner, call).await,
        "Info" => {
            let version = workers::version(inner);
            unary(call, async |(): ()| Ok(InfoResponse { buildkit_version: Some(version) })).await;
        }
        "ListWorkers" => {
            unary(call, async |(): ()| {
                Ok(ListWorkersResponse { record: vec![workers::record(inner).await] })
            })
            .await;
        }
        "DiskUsage" => {
            unary(call, async |request: DiskUsageRequest| {
                let record = usage::list(inner, &request.filter).await?;
                Ok(DiskUsageResponse { record })
            })
            .await;
        }
        "Prune" => prune(inner, call).await,
        "ListenBuildHistory" => listen(inner, call).await,
        "UpdateBuildHistory" => {
            unary(call, async |request: UpdateBuildHistoryRequest| inner.history.update(&request)).await;
        }
        _ => unknown(call).await,
    }
}

/// One build, from asking to its exports.
pub(crate) async fn solve(inner: &Inner, request: SolveRequest) -> Result<BTreeMap<String, String>, Status> {
    let taken = || {
        let text = format!("a build with the reference {} is under way", request.reference);
        Status::new(Code::AlreadyExists, text)
    };
    let running =
        inner.jobs.enter(&request.reference, &request.session, wishes(&request)).ok_or_else(taken)?;
    let job = &running.job;
    let record = inner.history.begin(&request, job);
    let outcome = tokio::select! {
        outcome = run(inner, job, &request) => outcome,
        () = job.cancelled() => Err(Status::new(Code::Cancelled, "context canceled")),
    };
    job.log.end();
    record.finish(&outcome);
    usage::tidy(inner);
    outcome
}

/// What the client grants, and what the exports want of the stages.
fn wishes(request: &SolveRequest) -> Wishes {
    let cache = request.cache.as_ref().map(|cache| cache.exports.as_slice()).unwrap_or_default();
    Wishes {
        granted: request.entitlements.iter().cloned().collect(),
        inline_cache: cache.iter().any(|export| export.kind == "inline"),
        rewrite_timestamp: exporters(request).iter().any(|one| export::says_yes(one, "rewrite-timestamp")),
    }
}

async fn run(inner: &Inner, job: &Job, request: &SolveRequest) -> Result<BTreeMap<String, String>, Status> {
    let exporters = exporters(request);
    export::check(&exporters, request)?;
    let has_graph = request.definition.as_ref().is_some_and(|definition| !definition.def.is_empty());
    let answer = match request.frontend.as_str() {
        "" if has_graph => {
            let text =
                "this engine builds Dockerfiles: a graph of operations from another frontend is not run";
            return Err(Status::new(Code::Unimplemented, text));
        }
        "" => client_frontend(job).await?,
        frontend => {
            check_frontend(frontend, &request.frontend_attrs)?;
            frontend::solve(inner, job, &request.frontend_attrs, &request.frontend_inputs).await?
        }
    };
    match answer {
        Answer::Built(outcomes) => {
            let mut response = export::all(inner, job, &exporters, &outcomes, request).await?;
            response.extend(cache::export(inner, job, request, &outcomes).await?);
            Ok(response)
        }
        Answer::Said(documents) => Ok(documents
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned()))
            .collect()),
    }
}

/// Our frontend stands for Docker's; others are images that would have to be run.
pub(super) fn check_frontend(frontend: &str, attrs: &BTreeMap<String, String>) -> Result<(), Status> {
    let refuse = |what: &str| {
        let text = format!(
            "the frontend {what} is not run here: this engine has Docker's Dockerfile frontend built in"
        );
        Err(Status::new(Code::Unimplemented, text))
    };
    match frontend {
        "dockerfile.v0" => Ok(()),
        "gateway.v0" => {
            let source = attrs.get("source").map(String::as_str).unwrap_or_default();
            if gantry_build::is_own_frontend(source) { Ok(()) } else { refuse(source) }
        }
        other => refuse(other),
    }
}

/// Waits for the frontend that the client runs itself, and finds the results it names.
async fn client_frontend(job: &Job) -> Result<Answer, Status> {
    let word = job.returned().await.ok_or_else(|| Status::unavailable("the frontend left without a word"))?;
    let ReturnRequest { result, error } = word;
    if let Some(error) = error {
        return Err(error);
    }
    let SolveResult { refs, metadata } = result.unwrap_or_default();
    let names: Vec<String> = match refs {
        Some(Refs::Old(name)) => vec![name],
        Some(Refs::OldMap(map)) => map.refs.into_values().collect(),
        Some(Refs::One(one)) => vec![one.id],
        Some(Refs::Map(map)) => map.refs.into_values().map(|one| one.id).collect(),
        None => Vec::new(),
    };
    let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Ok(Answer::Said(metadata));
    }
    let mut outcomes: Vec<Outcome> = Vec::new();
    for name in names {
        let unknown = || Status::new(Code::NotFound, format!("no such result: {name}"));
        outcomes.push(job.result(&name).ok_or_else(unknown)?);
    }
    Ok(Answer::Built(outcomes))
}

/// Where the result goes; old clients name one place only.
fn exporters(request: &SolveRequest) -> Vec<Exporter> {
    if request.exporters.is_empty() && !request.exporter_deprecated.is_empty() {
        let attrs = request.exporter_attrs_deprecated.clone().into_iter().collect();
        return vec![Exporter { kind: request.exporter_deprecated.clone(), attrs }];
    }
    request.exporters.clone()
}

async fn status(inner: &Inner, mut call: Call) {
    let request = match call.message::<StatusRequest>().await {
        Ok(request) => request,
        Err(status) => return call.reply.end(&status),
    };
    // A build of the past has its progress kept.
    if !inner.jobs.is_known(&request.reference)
        && let Some(told) = inner.history.progress(&request.reference)
    {
        for one in told {
            if call.reply.send(&one).await.is_err() {
                return;
            }
        }
        return call.reply.end(&Status::default());
    }
    let Some(job) = inner.jobs.follow(&request.reference).await else {
        let text = format!("no such job {}", request.reference);
        return call.reply.end(&Status::new(Code::NotFound, text));
    };
    let mut reader = job.log.reader();
    while let Some(told) = reader.next().await {
        if call.reply.send(&told).await.is_err() {
            return;
        }
    }
    call.reply.end(&Status::default());
}

/// A session through a stream of this connection, for clients that dial only once.
async fn session(inner: &Arc<Inner>, call: Call) {
    let Call { metadata, mut input, mut reply, .. } = call;
    let (near, far) = tokio::io::duplex(PIECE);
    let solver = Solver(Arc::clone(inner));
    let (mut read, mut write) = tokio::io::split(near);
    let arriving = async {
        while let Ok(Some(message)) = input.next::<BytesMessage>().await {
            if write.write_all(&message.data).await.is_err() {
                return;
            }
        }
    };
    let leaving = async {
        let mut piece = vec![0; PIECE];
        while let Ok(len @ 1..) = read.read(&mut piece).await {
            if reply.send(&BytesMessage { data: piece[..len].to_vec() }).await.is_err() {
                return;
            }
        }
    };
    let held = tokio::select! {
        held = solver.session(far, &metadata) => held,
        () = arriving => Ok(()),
        () = leaving => Ok(()),
    };
    reply.end(&held.err().unwrap_or_default());
}

async fn prune(inner: &Inner, mut call: Call) {
    let removed = match call.message::<PruneRequest>().await {
        Ok(request) => usage::prune(inner, &request).await,
        Err(status) => Err(status),
    };
    match removed {
        Ok(records) => {
            for record in records {
                if call.reply.send(&record).await.is_err() {
                    return;
                }
            }
            call.reply.end(&Status::default());
        }
        Err(status) => call.reply.end(&status),
    }
}

async fn listen(inner: &Inner, mut call: Call) {
    let request = match call.message::<BuildHistoryRequest>().await {
        Ok(request) => request,
        Err(status) => return call.reply.end(&status),
    };
    let mut news = inner.history.news();
    for event in inner.history.list(&request) {
        if call.reply.send(&event).await.is_err() {
            return;
        }
    }
    if request.early_exit {
        return call.reply.end(&Status::default());
    }
    loop {
        let event = tokio::select! {
            event = news.recv() => event,
            () = call.reply.gone() => return,
        };
        match event {
            Ok(event) if crate::history::wanted(&event, &request) => {
                if call.reply.send(&event).await.is_err() {
                    return;
                }
            }
            // A listener that is too slow has missed some: the next list tells them.
            Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
        }
    }
    call.reply.end(&Status::default());
}
