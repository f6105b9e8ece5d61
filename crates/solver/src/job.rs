//! A build under way: its progress, its results, and the word of the frontend that a client runs itself.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_build::Built;
use gantry_buildkit::grpc::Status;
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{StatusResponse, Vertex, VertexLog, VertexStatus};
use gantry_buildkit::proto::gateway::ReturnRequest;
use gantry_names::{Digest, Platform};
use tokio::sync::{Notify, mpsc, watch};

/// A client follows a build's progress on another stream than it asks for the build: one may come before the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of output that one build's progress keeps for readers that come late.
const LOG_LIMIT: usize = 8 << 20;

/// What is told in place of more.
const CLIPPED: &[u8] = b"[output clipped, log limit 8MiB reached]\n";

/// One result of a frontend: a state and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) platform: Platform,
    pub(crate) built: Arc<Built>,
}

/// What its client grants, and what its exports want of the stages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// What a step may do beyond the everyday: `security.insecure`, `network.host`.
    pub(crate) granted: BTreeSet<String>,
    /// The image tells which step made which layer.
    pub(crate) inline_cache: bool,
    /// No file of a new layer is newer than `SOURCE_DATE_EPOCH`.
    pub(crate) rewrite_timestamp: bool,
}

/// One build.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) reference: String,
    pub(crate) session: String,
    pub(crate) wishes: Wishes,
    pub(crate) log: Log,
    begun: jiff::Timestamp,
    /// The Dockerfile's name and text, once it is read.
    dockerfile: Mutex<Option<(String, String)>>,
    results: Mutex<HashMap<String, Outcome>>,
    returned:
        (mpsc::UnboundedSender<ReturnRequest>, tokio::sync::Mutex<mpsc::UnboundedReceiver<ReturnRequest>>),
    cancelled: watch::Sender<bool>,
}

impl Job {
    /// A build's beginning.
    pub(crate) fn new(reference: &str, session: &str, wishes: Wishes) -> Self {
        let (tx, rx) = mpsc::unbounded_channel();
        Self {
            reference: reference.to_owned(),
            session: session.to_owned(),
            wishes,
            log: Log::default(),
            begun: jiff::Timestamp::now(),
            dockerfile: Mutex::default(),
            results: Mutex::default(),
            returned: (tx, tokio::sync::Mutex::new(rx)),
            cancelled: watch::channel(false).0,
        }
    }

    /// When it began.
    pub(crate) fn begun(&self) -> String {
        self.begun.to_string()
    }

    /// Notes the Dockerfile.
    pub(crate) fn reads(&self, name: &str, text: &str) {
        let mut dockerfile = self.dockerfile.lock().unwrap_or_else(PoisonError::into_inner);
        *dockerfile = Some((name.to_owned(), text.to_owned()));
    }

    /// The Dockerfile's name and text.
    pub(crate) fn dockerfile(&self) -> Option<(String, String)> {
        self.dockerfile.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a result; gives its name.
    pub(crate) fn keep(&self, outcome: Outcome) -> String {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let name = Digest::sha256_of(format!("{}/{}", self.reference, results.len()).as_bytes()).hex()[..25]
            .to_owned();
        results.insert(name.clone(), outcome);
        name
    }

    /// The result of a name.
    pub(crate) fn result(&self, name: &str) -> Option<Outcome> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The last word of a frontend that the client runs.
    pub(crate) fn return_word(&self, word: ReturnRequest) {
        // Nobody waits for a second word.
        drop(self.returned.0.send(word));
    }

    /// Waits for that word.
    pub(crate) async fn returned(&self) -> Option<ReturnRequest> {
        self.returned.1.lock().await.recv().await
    }

    /// Resolves when somebody ends the build.
    pub(crate) async fn cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Begins a line of work.
    pub(crate) fn work(&self, name: &str) -> Work<'_> {
        let digest = Digest::sha256_of(format!("{}/{name}", self.reference).as_bytes()).to_string();
        let started = Timestamp::now();
        let vertex = Vertex {
            digest: digest.clone(),
            name: name.to_owned(),
            started: Some(started),
            ..Vertex::default()
        };
        self.log.vertex(vertex.clone());
        Work { job: self, vertex, done: false }
    }
}

/// A line of work of the door itself. Dropped without an end, it was cancelled.
pub(crate) struct Work<'a> {
    job: &'a Job,
    vertex: Vertex,
    done: bool,
}

impl Work<'_> {
    /// Its digest.
    pub(crate) fn digest(&self) -> &str {
        &self.vertex.digest
    }

    /// A part of it, with how far it is.
    pub(crate) fn part(&self, name: &str, current: u64, total: u64, done: bool) {
        let now = Timestamp::now();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.job.log.put(StatusResponse {
            statuses: vec![VertexStatus {
                id: name.to_owned(),
                vertex: self.vertex.digest.clone(),
                name: String::new(),
                current: number(current),
                total: number(total),
                timestamp: Some(now),
                started: self.vertex.started,
                completed: done.then_some(now),
            }],
            ..StatusResponse::default()
        });
    }

    /// A part that takes no time worth telling.
    pub(crate) fn told(&self, name: &str) {
        self.part(name, 0, 0, true);
    }

    /// Ends it as `outcome` says, and passes that on.
    pub(crate) fn ended<T>(mut self, outcome: Result<T, Status>) -> Result<T, Status> {
        match outcome {
            Ok(value) => {
                self.end("");
                Ok(value)
            }
            Err(status) => {
                self.end(&status.message);
                Err(crate::story::with_vertex(status, &self.vertex.digest))
            }
        }
    }

    fn end(&mut self, error: &str) {
        self.done = true;
        let vertex =
            Vertex { completed: Some(Timestamp::now()), error: error.to_owned(), ..self.vertex.clone() };
        self.job.log.vertex(vertex);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.end("context canceled");
        }
    }
}

/// A build's progress, kept from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Log(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: Mutex<Lines>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    told: Vec<StatusResponse>,
    bytes: usize,
    ended: bool,
}

/// Reads a build's progress.
#[derive(Debug)]
pub struct Reader {
    kept: Arc<Kept>,
    at: usize,
}

impl Log {
    /// Tells something.
    pub(crate) fn put(&self, told: StatusResponse) {
        {
            let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.told.push(told);
        }
        self.0.changed.notify_waiters();
    }

    /// Tells of a line of work.
    pub(crate) fn vertex(&self, vertex: Vertex) {
        self.put(StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() });
    }

    /// Tells output of a line of work, up to the limit.
    pub(crate) fn output(&self, vertex: &str, stream: i64, bytes: Vec<u8>) {
        let msg = {
            let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let before = lines.bytes;
            lines.bytes += bytes.len();
            match (before <= LOG_LIMIT, lines.bytes <= LOG_LIMIT) {
                (_, true) => bytes,
                (true, false) => CLIPPED.to_vec(),
                (false, false) => return,
            }
        };
        let log = VertexLog { vertex: vertex.to_owned(), timestamp: Some(Timestamp::now()), stream, msg };
        self.put(StatusResponse { logs: vec![log], ..StatusResponse::default() });
    }

    /// Nothing more will be told.
    pub(crate) fn end(&self) {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.0.changed.notify_waiters();
    }

    /// Reads from the beginning.
    pub(crate) fn reader(&self) -> Reader {
        Reader { kept: Arc::clone(&self.0), at: 0 }
    }

    /// All that was told so far.
    pub(crate) fn all(&self) -> Vec<StatusResponse> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).told.clone()
    }
}

impl Reader {
    /// What was told next; `None` after the last.
    pub async fn next(&mut self) -> Option<StatusResponse> {
        loop {
            let changed = self.kept.changed.notified();
            {
                let lines = self.kept.lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(told) = lines.told.get(self.at) {
                    self.at += 1;
                    return Some(told.clone());
                }
                if lines.ended {
                    return None;
                }
            }
            changed.await;
        }
    }
}

/// All builds under way, by the names their clients chose.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    open: Mutex<HashMap<String, Arc<Job>>>,
    /// The last builds that have ended: who follows a short one may come after its end.
    ended: Mutex<VecDeque<Arc<Job>>>,
    changed: Notify,
}

/// Builds that may be followed after their end.
const ENDED: usize = 32;

/// A build's place; it is given up with this.
pub(crate) struct Running<'a> {
    jobs: &'a Jobs,
    pub(crate) job: Arc<Job>,
}

impl Jobs {
    /// Makes a build known. Two of one name cannot be.
    pub(crate) fn enter(&self, reference: &str, session: &str, wishes: Wishes) -> Option<Running<'_>> {
        let job = Arc::new(Job::new(reference, session, wishes));
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.contains_key(reference) {
                return None;
            }
            open.insert(reference.to_owned(), Arc::clone(&job));
        }
        self.changed.notify_waiters();
        Some(Running { jobs: self, job })
    }

    fn ended(&self, reference: &str) -> Option<Arc<Job>> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().find(|job| job.reference == reference).cloned()
    }

    /// Whether a build of this name is under way or has just ended.
    pub(crate) fn is_known(&self, reference: &str) -> bool {
        self.get(reference).is_some() || self.ended(reference).is_some()
    }

    /// The build of a name to follow, waited for within reason; one that has just ended counts.
    pub(crate) async fn follow(&self, reference: &str) -> Option<Arc<Job>> {
        // A build from the cache is over before who waits for its beginning is awake.
        self.wait_for(|| self.get(reference).or_else(|| self.ended(reference))).await
    }

    /// The build of a name, waited for within reason.
    pub(crate) async fn wait(&self, reference: &str) -> Option<Arc<Job>> {
        self.wait_for(|| self.get(reference)).await
    }

    async fn wait_for(&self, find: impl Fn() -> Option<Arc<Job>>) -> Option<Arc<Job>> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(job) = find() {
                    return job;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.ok()
    }

    /// The build of a name.
    pub(crate) fn get(&self, reference: &str) -> Option<Arc<Job>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(reference).cloned()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.job.log.end();
        // What still works for a client that has left stops.
        self.job.cancelled.send_replace(true);
        self.job.results.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut ended = self.jobs.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push_front(Arc::clone(&self.job));
        ended.truncate(ENDED);
        self.jobs.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.job.reference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_comes_late_hears_all_and_then_the_end() {
        let jobs = Jobs::default();
        let running = jobs.enter("a", "s", Wishes::default()).unwrap();
        assert!(jobs.enter("a", "s", Wishes::default()).is_none());
        running.job.work("one").ended(Ok(())).unwrap();
        let mut reader = running.job.log.reader();
        drop(running);
        assert_eq!(reader.next().await.unwrap().vertexes[0].name, "one");
        assert!(reader.next().await.unwrap().vertexes[0].completed.is_some());
        assert!(reader.next().await.is_none());
        assert!(jobs.get("a").is_none());
    }

    #[tokio::test]
    async fn who_comes_after_the_end_still_hears_it() {
        let jobs = Jobs::default();
        let running = jobs.enter("short", "s", Wishes::default()).unwrap();
        running.job.work("one").ended(Ok(())).unwrap();
        drop(running);
        let mut reader = jobs.follow("short").await.unwrap().log.reader();
        assert_eq!(reader.next().await.unwrap().vertexes[0].name, "one");
    }

    #[tokio::test]
    async fn who_waits_for_a_build_that_is_over_at_once_hears_it_too() {
        let jobs = Jobs::default();
        let follower = jobs.follow("short");
        let build = async {
            // The follower has looked and waits; it is not asked again before the build is over.
            tokio::task::yield_now().await;
            drop(jobs.enter("short", "s", Wishes::default()).unwrap());
        };
        let (found, ()) = tokio::join!(follower, build);
        assert_eq!(found.unwrap().reference, "short");
    }

    #[test]
    fn output_is_clipped_once() {
        let log = Log::default();
        for _ in 0..20 {
            log.output("v", 1, vec![b'x'; 1 << 20]);
        }
        let told = log.all();
        assert_eq!(told.len(), 9);
        assert_eq!(told[8].logs[0].msg, CLIPPED);
    }
}
