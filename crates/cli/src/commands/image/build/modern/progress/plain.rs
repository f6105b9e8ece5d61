//! Progress as lines that stay: `#5 [2/3] RUN make`, `#5 0.123 output`, `#5 DONE 1.2s`. Scripts read them, so they are
//! BuildKit's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{StatusResponse, VertexStatus};

use super::story::{Story, seconds};
use crate::parse::size;

/// Lines that stay.
#[derive(Debug, Default)]
pub struct Plain {
    /// The line of work that was told last, and whether it is still under way.
    current: Option<(usize, bool)>,
    told: BTreeSet<usize>,
    ended: BTreeSet<usize>,
    parts: BTreeSet<(usize, String)>,
    /// Output without a line's end yet.
    rests: BTreeMap<usize, String>,
}

impl Plain {
    /// What the news add.
    pub fn news(&mut self, news: &StatusResponse, story: &Story) -> String {
        let mut out = String::new();
        for vertex in news.vertexes.iter().filter(|vertex| vertex.started.is_some() || vertex.cached) {
            if let Some((number, line)) = story.line(&vertex.digest)
                && !self.told.contains(&number)
            {
                self.turn_to(number, &line.vertex.name, &mut out);
            }
        }
        for part in &news.statuses {
            let Some((number, line)) = story.line(&part.vertex) else { continue };
            if part.completed.is_some() && self.parts.insert((number, part.id.clone())) {
                self.turn_to(number, &line.vertex.name, &mut out);
                put(&mut out, number, &text_of(part));
            }
        }
        for log in &news.logs {
            let Some((number, line)) = story.line(&log.vertex) else { continue };
            self.turn_to(number, &line.vertex.name, &mut out);
            let since = match (line.vertex.started, log.timestamp) {
                (Some(begun), Some(now)) => seconds(begun, now),
                _ => 0.0,
            };
            let mut rest = self.rests.remove(&number).unwrap_or_default();
            rest.push_str(&String::from_utf8_lossy(&log.msg));
            while let Some(at) = rest.find('\n') {
                let whole: String = rest.drain(..=at).collect();
                put(&mut out, number, &format!("{since:.3} {}", whole.trim_end_matches(['\n', '\r'])));
            }
            if !rest.is_empty() {
                self.rests.insert(number, rest);
            }
        }
        for vertex in &news.vertexes {
            let Some((number, line)) = story.line(&vertex.digest) else { continue };
            if vertex.completed.is_some() && self.ended.insert(number) {
                self.end(number, line, &mut out);
            }
        }
        out
    }

    /// Says which line of work the next words are of.
    fn turn_to(&mut self, number: usize, name: &str, out: &mut String) {
        if self.current.is_some_and(|(current, _)| current == number) {
            return;
        }
        if let Some((current, true)) = self.current {
            put(out, current, "...");
        }
        if self.current.is_some() {
            out.push('\n');
        }
        put(out, number, if self.told.insert(number) { name } else { "..." });
        self.current = Some((number, true));
    }

    fn end(&mut self, number: usize, line: &super::story::Line, out: &mut String) {
        self.turn_to(number, &line.vertex.name, out);
        if let Some(rest) = self.rests.remove(&number) {
            put(out, number, &format!("{:.3} {rest}", line.seconds(Timestamp::now())));
        }
        let error = &line.vertex.error;
        let text = match error.as_str() {
            "" if line.vertex.cached => "CACHED".to_owned(),
            "" => format!("DONE {:.1}s", line.seconds(Timestamp::now())),
            error if error.ends_with("context canceled") => "CANCELED".to_owned(),
            error => format!("ERROR: {error}"),
        };
        put(out, number, &text);
        self.current = Some((number, false));
    }
}

fn put(out: &mut String, number: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "#{number} {text}");
}

/// `transferring context: 2.1kB 0.1s done`.
pub(super) fn text_of(part: &VertexStatus) -> String {
    let mut text = if part.id.is_empty() { part.name.clone() } else { part.id.clone() };
    match (part.current, part.total) {
        (0, 0) => {}
        (current, 0) => text.push_str(&format!(" {}", size::human(current as f64))),
        (current, total) => {
            text.push_str(&format!(" {} / {}", size::human(current as f64), size::human(total as f64)));
        }
    }
    if let (Some(begun), Some(ended)) = (part.started, part.completed) {
        let spent = seconds(begun, ended);
        if spent >= 0.05 {
            text.push_str(&format!(" {spent:.1}s"));
        }
    }
    if part.completed.is_some() {
        text.push_str(" done");
    }
    text
}

#[cfg(test)]
mod tests {
    use gantry_buildkit::proto::control::{Vertex, VertexLog};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn vertex(digest: &str, completed: Option<Timestamp>, error: &str) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: format!("work {digest}"),
            started: at(10),
            completed,
            error: error.into(),
            ..Vertex::default()
        }
    }

    #[test]
    fn two_lines_of_work_take_turns() {
        let (mut plain, mut story) = (Plain::default(), Story::default());
        let log = |vertex: &str, msg: &str| VertexLog {
            vertex: vertex.into(),
            timestamp: at(11),
            stream: 1,
            msg: msg.into(),
        };
        let mut out = String::new();
        for news in [
            StatusResponse { vertexes: vec![vertex("a", None, "")], ..StatusResponse::default() },
            StatusResponse { vertexes: vec![vertex("b", None, "")], ..StatusResponse::default() },
            StatusResponse { logs: vec![log("a", "one\ntw"), log("a", "o\n")], ..StatusResponse::default() },
            StatusResponse {
                vertexes: vec![vertex("a", at(12), ""), vertex("b", at(12), "it broke")],
                ..StatusResponse::default()
            },
        ] {
            story.take(&news);
            out.push_str(&plain.news(&news, &story));
        }
        assert_eq!(
            out,
            "#1 work a\n#1 ...\n\n#2 work b\n#2 ...\n\n#1 ...\n#1 1.000 one\n#1 1.000 two\n#1 DONE 2.0s\n\n#2 ...\n#2 ERROR: it broke\n"
        );
    }
}
