//! Progress as a picture that changes: every line of work with its time, the newest output below what runs.

use gantry_buildkit::proto::Timestamp;

use super::plain::text_of;
use super::story::{Line, Story};
use crate::terminal;

/// Lines of output shown below a running line of work.
const OUTPUT: usize = 6;

/// Blue: done. Red: failed.
const DONE: &str = "\x1b[34m";
const FAILED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// The picture on the terminal.
#[derive(Debug, Default)]
pub struct Tty {
    rows: usize,
    /// Without colours: <https://no-color.org>.
    grey: bool,
}

impl Tty {
    /// An empty one, with colours unless the person has `NO_COLOR`.
    pub fn new() -> Tty {
        Tty { rows: 0, grey: std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty()) }
    }

    /// What to write so that the picture is the story's.
    pub fn draw(&mut self, story: &Story, width: usize, last: bool) -> String {
        let rows = picture(story, Timestamp::now(), last);
        let height = terminal::size().map_or(usize::MAX, |(rows, _)| usize::from(rows).saturating_sub(1));
        // What scrolled away cannot be drawn again; the whole picture stays when it is the last one.
        let shown = if last { rows.len() } else { rows.len().min(height.max(2)) };
        let skipped = rows.len() - shown;
        let mut out = String::new();
        if self.rows > 0 {
            out.push_str(&format!("\x1b[{}A\r", self.rows));
        }
        out.push_str("\x1b[J");
        for (at, row) in rows.iter().enumerate() {
            if at == 0 || at > skipped {
                out.push_str(&row.fit(width, self.grey));
                out.push('\n');
            }
        }
        self.rows = shown.max(usize::from(!rows.is_empty()));
        out
    }
}

/// One row: a text, what stands at the right, a colour.
struct Row {
    text: String,
    right: String,
    colour: &'static str,
}

impl Row {
    fn fit(&self, width: usize, grey: bool) -> String {
        let room = width.saturating_sub(self.right.len() + 1);
        let mut text: String = self.text.chars().filter(|c| !c.is_control()).take(room).collect();
        if !self.right.is_empty() {
            let pad = room.saturating_sub(text.chars().count());
            text.push_str(&" ".repeat(pad + 1));
        }
        match self.colour {
            _ if grey => format!("{text}{}", self.right),
            "" => format!("{text}{}", self.right),
            colour => format!("{colour}{text}{}{PLAIN}", self.right),
        }
    }
}

fn picture(story: &Story, now: Timestamp, last: bool) -> Vec<Row> {
    let begun = story.lines().iter().filter_map(|line| line.vertex.started).map(|time| time.ns()).min();
    let spent = begun.map_or(0.0, |begun| (now.ns() - begun).max(0) as f64 / 1e9);
    let done = story.lines().iter().filter(|line| line.vertex.completed.is_some()).count();
    let all = story.lines().len();
    let state = if last && done == all { " FINISHED" } else { "" };
    let mut rows = vec![Row {
        text: format!("[+] Building {spent:.1}s ({done}/{all}){state}"),
        right: String::new(),
        colour: if last && done == all { DONE } else { "" },
    }];
    for line in story.lines().iter().filter(|line| line.vertex.started.is_some() || line.vertex.cached) {
        rows.push(row(line, now));
        if line.vertex.completed.is_none() && !last {
            rows.extend(below(line));
        }
    }
    rows
}

fn row(line: &Line, now: Timestamp) -> Row {
    let vertex = &line.vertex;
    let (word, colour) = match (&vertex.completed, vertex.cached, vertex.error.as_str()) {
        (_, true, _) => ("CACHED ", DONE),
        (Some(_), _, "") => ("", DONE),
        (Some(_), _, error) if error.ends_with("context canceled") => ("CANCELED ", ""),
        (Some(_), ..) => ("ERROR ", FAILED),
        (None, ..) => ("", ""),
    };
    Row { text: format!(" => {word}{}", vertex.name), right: format!("{:.1}s", line.seconds(now)), colour }
}

/// Parts and the newest output of what is under way.
fn below(line: &Line) -> Vec<Row> {
    let parts = line.parts.iter().map(|part| format!(" => => {}", text_of(part)));
    let output = String::from_utf8_lossy(&line.output);
    let lines: Vec<&str> = output.lines().filter(|text| !text.trim().is_empty()).collect();
    let newest = lines.iter().skip(lines.len().saturating_sub(OUTPUT)).map(|text| format!(" => => # {text}"));
    parts.chain(newest).map(|text| Row { text, right: String::new(), colour: "" }).collect()
}

#[cfg(test)]
mod tests {
    use gantry_buildkit::proto::control::{StatusResponse, Vertex};

    use super::*;

    #[test]
    fn the_picture_is_drawn_over_the_one_before() {
        let mut story = Story::default();
        let vertex = Vertex {
            digest: "a".into(),
            name: "RUN\x1b[2Jx".into(),
            started: Some(Timestamp { seconds: 5, nanos: 0 }),
            completed: Some(Timestamp { seconds: 7, nanos: 0 }),
            ..Vertex::default()
        };
        story.take(&StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() });
        let mut tty = Tty::default();
        let first = tty.draw(&story, 80, false);
        assert!(
            first.contains("(1/1)") && first.contains(" => RUN[2Jx") && first.contains("2.0s"),
            "{first:?}"
        );
        let last = tty.draw(&story, 80, true);
        assert!(last.starts_with("\x1b[2A\r\x1b[J") && last.contains(DONE), "{last:?}");
        let grey = Tty { grey: true, ..Tty::default() }.draw(&story, 80, true);
        assert!(!grey.contains("\x1b[3") && grey.contains("2.0s"), "{grey:?}");
    }
}
