//! A build's events as BuildKit's lines of work, and its failure as BuildKit tells it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_build::files::FileError;
use gantry_build::progress::{Event, Started, StepNumber, Transfer};
use gantry_build::{BuildError, Cause};
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{StatusResponse, Vertex, VertexStatus, VertexWarning};
use gantry_buildkit::proto::errdefs;
use gantry_dockerfile::Span;
use gantry_errdefs::{Class, Classified, chain};
use gantry_names::{Digest, Reference};
use serde_json::json;

use crate::job::Job;

/// Tells one build's events to its job.
pub(crate) struct Story<'a> {
    job: &'a Job,
    /// `linux/arm64`, when several platforms are built at once.
    platform: Option<String>,
    /// The file has one stage: its name says nothing.
    one_stage: bool,
    /// Steps say why the cache had them not.
    explain: bool,
    steps: Mutex<HashMap<StepNumber, Line>>,
}

#[derive(Default)]
struct Line {
    vertex: Vertex,
    cached: bool,
    /// It stands for a base image: at once there, or pulled.
    base: bool,
}

impl<'a> Story<'a> {
    pub(crate) fn new(job: &'a Job, platform: Option<String>, one_stage: bool, explain: bool) -> Self {
        Self { job, platform, one_stage, explain, steps: Mutex::default() }
    }

    /// Tells one event.
    pub(crate) fn tell(&self, event: Event) {
        match event {
            Event::Started(started) => self.started(started),
            Event::Cached { step } => self.with(step, |line| line.cached = true),
            Event::Output { step, stderr, bytes } => {
                if let Some(digest) = self.digest(step) {
                    self.job.log.output(&digest, if stderr { 2 } else { 1 }, bytes);
                }
            }
            Event::Transfer { step, what } => self.transfer(step, &what),
            Event::Done { step, .. } => self.ended(step, ""),
            Event::Warning { text } => self.warn(&text),
            Event::Missed { step, because } if self.explain => {
                self.part(step, &format!("not cached: {because}"))
            }
            // A failure is told with its cause.
            Event::Missed { .. } | Event::Running { .. } | Event::Removed { .. } | Event::Failed { .. } => {}
        }
    }

    fn started(&self, started: Started) {
        let words: Vec<&str> = started.text.split_whitespace().collect();
        let base = started.place.is_some_and(|(number, _)| number == 1) && started.within.is_none();
        let trigger = started.within.is_some()
            && words.first().is_some_and(|word| {
                ["RUN", "COPY", "ADD", "WORKDIR"].iter().any(|verb| word.eq_ignore_ascii_case(verb))
            });
        // Standing on another stage, or on nothing, is no work.
        let idle = base && (!started.after.is_empty() || base_of(&words) == "scratch");
        if idle || (started.place.is_none() && !trigger) {
            return;
        }
        let mut name = String::from("[");
        let mut word = |word: &str| {
            if name.len() > 1 {
                name.push(' ');
            }
            name.push_str(word);
        };
        if let Some(platform) = &self.platform {
            word(platform);
        }
        if !self.one_stage {
            word(&started.stage);
        }
        match started.place {
            Some((number, of)) => word(&format!("{number:>width$}/{of}", width = of.to_string().len())),
            None => word("onbuild"),
        }
        name.push_str("] ");
        if base {
            let image = base_of(&words);
            name.push_str("FROM ");
            match Reference::parse(image) {
                Ok(reference) => name.push_str(&reference.or_latest().to_string()),
                Err(_) => name.push_str(image),
            }
        } else {
            name.push_str(&started.text);
        }
        let vertex = Vertex {
            digest: self.name_of(started.step),
            inputs: started.after.iter().filter_map(|step| self.digest(*step)).collect(),
            name,
            started: Some(Timestamp::now()),
            ..Vertex::default()
        };
        self.job.log.vertex(vertex.clone());
        let line = Line { vertex, cached: base, base };
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).insert(started.step, line);
    }

    fn name_of(&self, step: StepNumber) -> String {
        let platform = self.platform.as_deref().unwrap_or_default();
        Digest::sha256_of(format!("{}/{platform}/{step}", self.job.reference).as_bytes()).to_string()
    }

    fn with(&self, step: StepNumber, change: impl FnOnce(&mut Line)) {
        if let Some(line) = self.steps.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&step) {
            change(line);
        }
    }

    fn digest(&self, step: StepNumber) -> Option<String> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.get(&step).map(|line| line.vertex.digest.clone())
    }

    fn transfer(&self, step: StepNumber, what: &Transfer) {
        let Some(digest) = self.digest(step) else { return };
        self.with(step, |line| line.cached = false);
        let now = Timestamp::now();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let done = ["Pull complete", "Already exists", "Download complete"].contains(&what.status.as_str());
        let id =
            if what.id.is_empty() { what.status.clone() } else { format!("{} {}", what.status, what.id) };
        let status = VertexStatus {
            id,
            vertex: digest,
            current: number(what.current),
            total: number(what.total),
            timestamp: Some(now),
            started: Some(now),
            completed: (done || what.id.is_empty()).then_some(now),
            ..VertexStatus::default()
        };
        self.job.log.put(StatusResponse { statuses: vec![status], ..StatusResponse::default() });
    }

    /// A part of a step that takes no time.
    fn part(&self, step: StepNumber, text: &str) {
        let Some(digest) = self.digest(step) else { return };
        let now = Some(Timestamp::now());
        let status = VertexStatus {
            id: text.to_owned(),
            vertex: digest,
            timestamp: now,
            started: now,
            completed: now,
            ..VertexStatus::default()
        };
        self.job.log.put(StatusResponse { statuses: vec![status], ..StatusResponse::default() });
    }

    fn ended(&self, step: StepNumber, error: &str) {
        let mut ended = None;
        self.with(step, |line| {
            line.vertex.completed = Some(Timestamp::now());
            line.vertex.cached = line.cached && error.is_empty();
            error.clone_into(&mut line.vertex.error);
            ended = Some(line.vertex.clone());
        });
        if let Some(vertex) = ended {
            self.job.log.vertex(vertex);
        }
    }

    fn warn(&self, text: &str) {
        let vertex = {
            let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            steps.values().find(|line| line.base).map(|line| line.vertex.digest.clone())
        };
        let warning = VertexWarning {
            vertex: vertex.unwrap_or_else(|| self.name_of(0)),
            level: 1,
            short: text.as_bytes().to_vec(),
            ..VertexWarning::default()
        };
        self.job.log.put(StatusResponse { warnings: vec![warning], ..StatusResponse::default() });
    }

    /// Tells that the build failed, and gives what the client is told: the text, the line of work, the place in the file.
    pub(crate) fn failed(&self, error: &BuildError, dockerfile: &str) -> Status {
        // A step that ended badly is nobody's wrong argument: clients show any other code in front of the text.
        let code = match &*error.cause {
            Cause::Exit(_) | Cause::Syntax(_) | Cause::Value(_) | Cause::Denied(_) | Cause::File { .. } => {
                Code::Unknown
            }
            _ => code(error.class()),
        };
        let status = Status::new(code, sentence(&error.cause));
        if let Cause::Exit(failed) = &*error.cause
            && let (Some(state), Some(digest)) = (&failed.state, self.digest(error.step))
        {
            let text = format!(
                "The step's state is kept: gantry build debug, or docker run --rm -it {}\n",
                state.0.short()
            );
            self.job.log.output(&digest, 2, text.into_bytes());
        }
        self.ended(error.step, &status.message);
        for step in self.unfinished() {
            self.ended(step, "context canceled");
        }
        let status = match self.digest(error.step) {
            Some(digest) => with_vertex(status, &digest),
            None => status,
        };
        with_source(status, &error.file, dockerfile, error.span)
    }

    fn unfinished(&self) -> Vec<StepNumber> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.iter().filter(|(_, line)| line.vertex.completed.is_none()).map(|(step, _)| *step).collect()
    }
}

/// The image a FROM names.
fn base_of<'w>(words: &[&'w str]) -> &'w str {
    words.iter().skip(1).find(|word| !word.starts_with("--")).copied().unwrap_or_default()
}

/// BuildKit's sentence for a cause.
fn sentence(cause: &Cause) -> String {
    match cause {
        Cause::Exit(failed) => {
            let (command, code) = (&failed.command, failed.code);
            format!("process {command:?} did not complete successfully: exit code: {code}")
        }
        Cause::File { error: FileError::NotFound(path), .. } => {
            let path = path.trim_start_matches('/');
            format!("failed to calculate checksum of the build context: \"/{path}\": not found")
        }
        other => chain(other),
    }
}

/// The code of a class.
pub(crate) fn code(class: Class) -> Code {
    match class {
        Class::NotFound => Code::NotFound,
        Class::InvalidArgument => Code::InvalidArgument,
        Class::Conflict => Code::AlreadyExists,
        Class::Unauthorized => Code::Unauthenticated,
        Class::Forbidden => Code::PermissionDenied,
        Class::Unavailable => Code::Unavailable,
        Class::NotImplemented => Code::Unimplemented,
        _ => Code::Unknown,
    }
}

/// What the engine or the client would not do, as a status.
pub(crate) fn refusal(refusal: crate::Refusal) -> Status {
    Status::new(code(refusal.class), refusal.message)
}

/// A failure of some class as a status.
pub(crate) fn refused<E: Classified + 'static>(error: &E) -> Status {
    Status::new(code(error.class()), chain(error))
}

/// Names the line of work that failed.
pub(crate) fn with_vertex(status: Status, digest: &str) -> Status {
    status.with_detail(errdefs::VERTEX, json!({ "digest": digest }).to_string())
}

/// Shows the place in the file.
pub(crate) fn with_source(status: Status, file: &str, text: &str, span: Span) -> Status {
    if span.first == 0 {
        return status;
    }
    let source = json!({
        "info": { "filename": file, "data": STANDARD.encode(text), "language": "Dockerfile" },
        "ranges": [{ "start": { "line": span.first }, "end": { "line": span.last } }],
    });
    status.with_detail(errdefs::SOURCE, source.to_string())
}
