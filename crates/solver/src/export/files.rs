//! `local` and `tar`: a result's files at the client.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use gantry_archive::{Entry, PackOptions, Writer, pack};
use gantry_buildkit::fsutil::{self, Filter, Listed, Owners};
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::Exporter;

use super::{Response, view, wire};
use crate::Inner;
use crate::job::{Job, Outcome, Work};

/// The folder of one platform among several.
fn folder_of(outcome: &Outcome) -> String {
    outcome.platform.to_string().replace('/', "_")
}

/// Puts the files into a folder of the client.
pub(super) async fn local(
    inner: &Inner,
    job: &Job,
    number: usize,
    exporter: &Exporter,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let split =
        outcomes.len() > 1 && exporter.attrs.get("platform-split").is_none_or(|value| value != "false");
    let work = job.work("exporting to client directory");
    let sent = send(inner, job, &work, number, split, outcomes).await;
    work.ended(sent)
}

async fn send(
    inner: &Inner,
    job: &Job,
    work: &Work<'_>,
    number: usize,
    split: bool,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let failed = |error: fsutil::TransferError| match error {
        fsutil::TransferError::Wire(status) => status,
        other => Status::new(Code::Unknown, other.to_string()),
    };
    let mut files = Vec::new();
    let mut open = Vec::new();
    for outcome in outcomes {
        let prefix = if split { folder_of(outcome) } else { String::new() };
        if split {
            files.push(Listed { stat: fsutil::folder(&prefix), path: PathBuf::new() });
        }
        let Some(view) = view(inner, &outcome.built)? else { continue };
        let folder = view.root().open_dir(b"").map_err(|e| Status::new(Code::Unknown, e.to_string()))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        let listed =
            tokio::task::spawn_blocking(move || fsutil::list(&path, &Filter::default(), Owners::Kept));
        let listed = listed.await.map_err(|e| Status::new(Code::Internal, e.to_string()))?.map_err(failed)?;
        files.extend(listed.into_iter().map(|file| file.below(&prefix)));
        // The files are read through this descriptor.
        open.push(folder);
    }
    if files.is_empty() {
        tracing::debug!("an empty result is exported");
    }
    let bytes = files.iter().map(|file| u64::try_from(file.stat.size).unwrap_or_default()).sum();
    let caller = inner.sessions.get(&job.session).await?;
    let (mut outbound, mut answer) = caller.folder(number).await?;
    fsutil::send(files, &mut outbound, &mut answer).await.map_err(failed)?;
    outbound.close()?;
    answer.end().await?;
    work.part("copying files", bytes, 0, true);
    drop(open);
    Ok(Response::new())
}

/// Gives the client the files as a tar archive.
pub(super) async fn tar(
    inner: &Inner,
    job: &Job,
    number: usize,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let work = job.work("exporting to client tarball");
    let mut views = Vec::new();
    for outcome in outcomes {
        let prefix = if outcomes.len() > 1 { folder_of(outcome) } else { String::new() };
        views.push((prefix, view(inner, &outcome.built)?));
    }
    let sent = wire::stream(inner, job, number, &work, "sending tarball", &[], move |out| {
        let mut writer = Writer::new(out);
        for (prefix, view) in &views {
            let Some(view) = view else {
                if !prefix.is_empty() {
                    writer.append_bytes(&Entry::dir(prefix.as_str()), b"").map_err(std::io::Error::other)?;
                }
                continue;
            };
            let options = PackOptions { rename: prefix.clone().into_bytes(), ..PackOptions::default() };
            pack(view.root(), b"", &options, &mut writer).map_err(std::io::Error::other)?;
        }
        writer.finish().map(|_| ()).map_err(std::io::Error::other)
    })
    .await;
    work.ended(sent.map(|()| Response::new()))
}
