//! Builds of the past: what was asked, how it went, and what was told meanwhile.
//!
//! ```text
//! <builder>/history/<reference>.record     a BuildHistoryRecord
//! <builder>/history/<reference>.progress   StatusResponses, each behind its length
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{
    BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRecord, BuildHistoryRequest, SolveRequest,
    StatusResponse, UpdateBuildHistoryRequest,
};
use prost::Message;
use tokio::sync::broadcast;

use crate::job::Job;

/// Builds that are remembered; BuildKit keeps as many. Pinned ones are not counted.
const LIMIT: usize = 50;

/// News a slow listener may be behind.
const NEWS: usize = 256;

/// All past builds, and those under way.
#[derive(Debug)]
pub(crate) struct History {
    folder: PathBuf,
    records: Mutex<Vec<BuildHistoryRecord>>,
    news: broadcast::Sender<BuildHistoryEvent>,
}

/// A build that is being remembered. Dropped without an end, it was cancelled.
pub(crate) struct Recording<'a> {
    history: &'a History,
    job: Arc<Job>,
    record: Option<BuildHistoryRecord>,
}

impl History {
    /// Reads what is there. A record that cannot be read costs one build's memory.
    pub(crate) fn below(folder: &Path) -> Self {
        let folder = folder.join("history");
        let mut records: Vec<BuildHistoryRecord> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "record"))
            .filter_map(|entry| BuildHistoryRecord::decode(std::fs::read(entry.path()).ok()?.as_slice()).ok())
            .collect();
        records.sort_by_key(|record| record.created_at.map_or(0, |time| time.ns()));
        Self { folder, records: Mutex::new(records), news: broadcast::channel(NEWS).0 }
    }

    fn records(&self) -> std::sync::MutexGuard<'_, Vec<BuildHistoryRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: BuildHistoryEventType, record: BuildHistoryRecord) {
        // Nobody may be listening.
        drop(self.news.send(BuildHistoryEvent { kind: kind.into(), record: Some(record) }));
    }

    /// A build begins.
    pub(crate) fn begin(&self, request: &SolveRequest, job: &Arc<Job>) -> Recording<'_> {
        let record = BuildHistoryRecord {
            reference: request.reference.clone(),
            frontend: request.frontend.clone(),
            frontend_attrs: request.frontend_attrs.clone(),
            exporters: request.exporters.clone(),
            created_at: Some(Timestamp::now()),
            generation: 1,
            ..BuildHistoryRecord::default()
        };
        if request.internal {
            return Recording { history: self, job: Arc::clone(job), record: None };
        }
        self.records().push(record.clone());
        self.tell(BuildHistoryEventType::Started, record.clone());
        Recording { history: self, job: Arc::clone(job), record: Some(record) }
    }

    /// News from now on.
    pub(crate) fn news(&self) -> broadcast::Receiver<BuildHistoryEvent> {
        self.news.subscribe()
    }

    /// What a listener hears first.
    pub(crate) fn list(&self, request: &BuildHistoryRequest) -> Vec<BuildHistoryEvent> {
        let records = self.records();
        let events = records.iter().rev().map(|record| {
            let kind = match record.completed_at {
                Some(_) => BuildHistoryEventType::Complete,
                None => BuildHistoryEventType::Started,
            };
            BuildHistoryEvent { kind: kind.into(), record: Some(record.clone()) }
        });
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        events.filter(|event| wanted(event, request)).take(limit).collect()
    }

    /// Pins, unpins, removes.
    pub(crate) fn update(&self, request: &UpdateBuildHistoryRequest) -> Result<(), Status> {
        let mut records = self.records();
        let at = records.iter().position(|record| record.reference == request.reference);
        let none = || Status::new(Code::NotFound, format!("no record for build {}", request.reference));
        let at = at.ok_or_else(none)?;
        if request.delete {
            if records[at].completed_at.is_none() {
                let text = format!("build {} is under way", request.reference);
                return Err(Status::new(Code::FailedPrecondition, text));
            }
            let record = records.remove(at);
            drop(records);
            self.forget(&record);
            return Ok(());
        }
        if request.finalize {
            return Ok(());
        }
        records[at].pinned = request.pinned;
        records[at].generation += 1;
        let record = records[at].clone();
        drop(records);
        self.write(&record, None);
        self.tell(BuildHistoryEventType::Complete, record);
        Ok(())
    }

    /// What was told of a past build.
    pub(crate) fn progress(&self, reference: &str) -> Option<Vec<StatusResponse>> {
        let known = self.records().iter().any(|record| record.reference == reference);
        if !known {
            return None;
        }
        let bytes = std::fs::read(self.path(reference, "progress")).ok()?;
        let mut rest = bytes.as_slice();
        let mut told = Vec::new();
        while !rest.is_empty() {
            told.push(StatusResponse::decode_length_delimited(&mut rest).ok()?);
        }
        Some(told)
    }

    /// The file of a build; its name is a digest, for references are what clients like.
    fn path(&self, reference: &str, end: &str) -> PathBuf {
        let name = gantry_names::Digest::sha256_of(reference.as_bytes());
        self.folder.join(format!("{}.{end}", &name.hex()[..32]))
    }

    fn write(&self, record: &BuildHistoryRecord, told: Option<&[StatusResponse]>) {
        let put = |path: PathBuf, bytes: &[u8]| -> std::io::Result<()> {
            let beside = path.with_extension("new");
            std::fs::write(&beside, bytes)?;
            std::fs::rename(beside, path)
        };
        let written = std::fs::create_dir_all(&self.folder).and_then(|()| {
            if let Some(told) = told {
                let bytes: Vec<u8> = told.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
                put(self.path(&record.reference, "progress"), &bytes)?;
            }
            put(self.path(&record.reference, "record"), &record.encode_to_vec())
        });
        if let Err(error) = written {
            tracing::warn!(%error, build = record.reference, "a build's history cannot be kept");
        }
    }

    fn forget(&self, record: &BuildHistoryRecord) {
        for end in ["progress", "record"] {
            match std::fs::remove_file(self.path(&record.reference, end)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, build = record.reference, "a build's history cannot be removed");
                }
                _ => {}
            }
        }
        self.tell(BuildHistoryEventType::Deleted, record.clone());
    }

    fn bound(&self) {
        let surplus: Vec<BuildHistoryRecord> = {
            let mut records = self.records();
            let counted = records.iter().filter(|record| !record.pinned).count();
            let mut surplus = counted.saturating_sub(LIMIT);
            let mut gone = Vec::new();
            records.retain(|record| {
                let goes = surplus > 0 && !record.pinned && record.completed_at.is_some();
                if goes {
                    surplus -= 1;
                    gone.push(record.clone());
                }
                !goes
            });
            gone
        };
        surplus.iter().for_each(|record| self.forget(record));
    }
}

/// Whether a listener wants to hear of it.
pub(crate) fn wanted(event: &BuildHistoryEvent, request: &BuildHistoryRequest) -> bool {
    let Some(record) = &event.record else { return false };
    let this = request.reference.is_empty() || request.reference == record.reference;
    this && !(request.active_only && record.completed_at.is_some())
}

impl Recording<'_> {
    /// How it went.
    pub(crate) fn finish(mut self, outcome: &Result<std::collections::BTreeMap<String, String>, Status>) {
        self.end(outcome.as_ref().cloned().map_err(Clone::clone));
    }

    fn end(&mut self, outcome: Result<std::collections::BTreeMap<String, String>, Status>) {
        let Some(mut record) = self.record.take() else { return };
        let told = self.job.log.all();
        let last: std::collections::HashMap<&str, &gantry_buildkit::proto::control::Vertex> = told
            .iter()
            .flat_map(|told| &told.vertexes)
            .map(|vertex| (vertex.digest.as_str(), vertex))
            .collect();
        let count = |which: &dyn Fn(&gantry_buildkit::proto::control::Vertex) -> bool| {
            i32::try_from(last.values().filter(|vertex| which(vertex)).count()).unwrap_or(i32::MAX)
        };
        record.completed_at = Some(Timestamp::now());
        record.num_total_steps = count(&|_| true);
        record.num_cached_steps = count(&|vertex| vertex.cached);
        record.num_completed_steps = count(&|vertex| vertex.completed.is_some() && vertex.error.is_empty());
        record.num_warnings =
            i32::try_from(told.iter().map(|told| told.warnings.len()).sum::<usize>()).unwrap_or(i32::MAX);
        match outcome {
            Ok(response) => record.exporter_response = response,
            Err(status) => record.error = Some(status),
        }
        for known in self.history.records().iter_mut().filter(|known| known.reference == record.reference) {
            *known = record.clone();
        }
        self.history.write(&record, Some(&told));
        self.history.tell(BuildHistoryEventType::Complete, record);
        self.history.bound();
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.end(Err(Status::new(Code::Cancelled, "context canceled")));
    }
}
