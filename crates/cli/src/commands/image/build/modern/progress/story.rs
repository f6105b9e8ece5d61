//! What is known of a build: its lines of work in the order in which they began.

use std::collections::HashMap;

use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{StatusResponse, Vertex, VertexStatus, VertexWarning};

/// Output that is kept of every line of work, for the case that it fails.
const KEPT: usize = 32 * 1024;

/// One line of work.
#[derive(Debug, Default)]
pub struct Line {
    /// As the engine tells it.
    pub vertex: Vertex,
    /// Its parts by their ids, in order.
    pub parts: Vec<VertexStatus>,
    /// The end of its output.
    pub output: Vec<u8>,
}

impl Line {
    /// Seconds that it took, or takes until `now`.
    pub fn seconds(&self, now: Timestamp) -> f64 {
        let Some(begun) = self.vertex.started else { return 0.0 };
        seconds(begun, self.vertex.completed.unwrap_or(now))
    }
}

/// Seconds between two times; never less than none.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.ns().saturating_sub(from.ns())).max(0) as f64 / 1e9
}

/// Everything that was told.
#[derive(Debug, Default)]
pub struct Story {
    lines: Vec<Line>,
    by_digest: HashMap<String, usize>,
    warnings: Vec<VertexWarning>,
}

impl Story {
    /// Takes news in.
    pub fn take(&mut self, news: &StatusResponse) {
        for vertex in &news.vertexes {
            let at = *self.by_digest.entry(vertex.digest.clone()).or_insert(self.lines.len());
            if at == self.lines.len() {
                self.lines.push(Line::default());
            }
            self.lines[at].vertex = vertex.clone();
        }
        for status in &news.statuses {
            let Some(line) = self.line_mut(&status.vertex) else { continue };
            match line.parts.iter_mut().find(|part| part.id == status.id) {
                Some(part) => *part = status.clone(),
                None => line.parts.push(status.clone()),
            }
        }
        for log in &news.logs {
            let Some(line) = self.line_mut(&log.vertex) else { continue };
            line.output.extend_from_slice(&log.msg);
            let over = line.output.len().saturating_sub(KEPT);
            line.output.drain(..over);
        }
        self.warnings.extend(news.warnings.iter().cloned());
    }

    fn line_mut(&mut self, digest: &str) -> Option<&mut Line> {
        let at = *self.by_digest.get(digest)?;
        self.lines.get_mut(at)
    }

    /// All lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// A line and its number from 1.
    pub fn line(&self, digest: &str) -> Option<(usize, &Line)> {
        let at = *self.by_digest.get(digest)?;
        Some((at + 1, &self.lines[at]))
    }

    /// The warnings for a person; nothing when there are none.
    pub fn warnings(&self) -> String {
        let mut out = match self.warnings.len() {
            0 => return String::new(),
            1 => "\n 1 warning found:\n".to_owned(),
            many => format!("\n {many} warnings found:\n"),
        };
        for warning in &self.warnings {
            out.push_str(&format!(" - {}", String::from_utf8_lossy(&warning.short)));
            let line = warning.ranges.first().and_then(|range| range.start.as_ref()).map(|start| start.line);
            if let Some(line) = line {
                out.push_str(&format!(" (line {line})"));
            }
            out.push('\n');
        }
        out
    }
}
