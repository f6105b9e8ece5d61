//! On a terminal: a line for each thing, redrawn as it goes on.

use std::cell::RefCell;
use std::time::Instant;

use super::{Event, Progress, Stage, warn};

/// The widest line that is drawn when the terminal does not say.
const WIDTH: usize = 100;

/// A screen on standard error.
pub struct Screen {
    title: &'static str,
    dry_run: bool,
    color: bool,
    size: fn() -> Option<(u16, u16)>,
    drawn: RefCell<Drawn>,
}

#[derive(Default)]
struct Drawn {
    rows: Vec<Row>,
    lines: usize,
}

struct Row {
    event: Event,
    begun: Instant,
    ended: Option<Instant>,
}

impl Screen {
    /// A screen with `title` above (`Running`, `Building`); `size` tells rows and columns.
    pub fn new(title: &'static str, dry_run: bool, color: bool, size: fn() -> Option<(u16, u16)>) -> Screen {
        Screen { title, dry_run, color, size, drawn: RefCell::default() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn draw(&self, drawn: &mut Drawn) {
        let (height, width) =
            (self.size)().map_or((1000, WIDTH), |(rows, columns)| (rows.into(), columns.into()));
        let mut out = String::new();
        if drawn.lines > 0 {
            out.push_str(&format!("\x1b[{}A\r", drawn.lines));
        }
        let top = drawn.rows.iter().filter(|r| r.event.part_of.is_none());
        let done = top.clone().filter(|r| r.event.stage != Stage::Working).count();
        let all = top.count();
        let head = format!("[+] {} {done}/{all}", self.title);
        out.push_str(&format!("\x1b[2K{}\n", if done == all { self.paint("34", &head) } else { head }));
        let parts = drawn.rows.len() + 2 < height;
        let wide = drawn.rows.iter().map(|r| r.event.what.chars().count()).max().unwrap_or(0);
        let mut lines = 1;
        for row in &drawn.rows {
            if row.event.part_of.is_some() && (!parts || row.event.stage != Stage::Working) {
                continue;
            }
            if lines + 1 >= height {
                break;
            }
            out.push_str("\x1b[2K");
            out.push_str(&self.line(row, wide, width));
            out.push('\n');
            lines += 1;
        }
        out.push_str("\x1b[J");
        drawn.lines = lines;
        use std::io::Write;
        // Nobody is left to be told that standard error is closed.
        let _ = std::io::stderr().lock().write_all(out.as_bytes());
    }

    fn line(&self, row: &Row, wide: usize, width: usize) -> String {
        let event = &row.event;
        let (mark, color) = match event.stage {
            Stage::Working => ("⠿", "33"),
            Stage::Done => ("✔", "32"),
            Stage::Warning => ("!", "33"),
            Stage::Error => ("✘", "31"),
        };
        let indent = if event.part_of.is_some() { "  " } else { "" };
        let dry = if self.dry_run { "DRY-RUN MODE - " } else { "" };
        let seconds = row.ended.unwrap_or_else(Instant::now).duration_since(row.begun).as_secs_f32();
        let timer = format!("{seconds:.1}s ");
        let status = if event.text.is_empty() {
            event.status.clone()
        } else {
            format!("{} {}", event.status, event.text)
        };
        let status = status.lines().next().unwrap_or_default();
        let head = format!(" {indent}{mark} {dry}{:<wide$} ", event.what);
        let room = width.saturating_sub(head.chars().count() + timer.len());
        // A registry's words may be in it.
        let status: String = status.chars().filter(|c| !c.is_control()).take(room).collect();
        let gap = room - status.chars().count();
        let head = head.replacen(mark, &self.paint(color, mark), 1);
        let status = if event.stage == Stage::Working { status } else { self.paint(color, &status) };
        format!("{head}{status}{}{}", " ".repeat(gap), self.paint("34", &timer))
    }
}

impl Progress for Screen {
    fn tell(&self, event: Event) {
        let mut drawn = self.drawn.borrow_mut();
        let now = Instant::now();
        let ended = (event.stage != Stage::Working).then_some(now);
        match drawn.rows.iter_mut().find(|row| row.event.what == event.what) {
            Some(row) => {
                // Time stands still once a thing is done.
                row.ended = ended.map(|at| row.ended.unwrap_or(at));
                row.event = event;
            }
            None => drawn.rows.push(Row { event, begun: now, ended }),
        }
        self.draw(&mut drawn);
    }

    fn warn(&self, text: &str) {
        self.finish();
        warn(text);
    }

    fn finish(&self) {
        *self.drawn.borrow_mut() = Drawn::default();
    }
}
