//! Progress messages: bars that move on a terminal, lines that stay elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gantry_client::JsonStream;
use serde_json::Value;

use crate::failure::Failure;
use crate::parse::size;
use crate::print;
use crate::terminal;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// To standard output.
    Stdout,
    /// To standard error.
    Stderr,
    /// Nowhere; failures are still told.
    Nowhere,
}

/// The widest a bar gets.
const BAR: usize = 50;

/// Shows messages until the stream ends; answers the `aux` values that came with them.
pub async fn show(mut stream: JsonStream, out: Out) -> Result<Vec<Value>, Failure> {
    let terminal = match out {
        Out::Stdout => terminal::stdout_is(),
        Out::Stderr => terminal::stderr_is(),
        Out::Nowhere => false,
    };
    let mut screen = Screen { out, terminal, lines: Vec::new(), begun: HashMap::new() };
    let mut aux = Vec::new();
    while let Some(message) = stream.next().await? {
        if let Some(failure) = failure_in(&message) {
            return Err(failure);
        }
        if !message["aux"].is_null() {
            aux.push(message["aux"].clone());
            continue;
        }
        screen.show(&message);
    }
    Ok(aux)
}

/// The failure that a message carries, if it does.
pub fn failure_in(message: &Value) -> Option<Failure> {
    let detail = &message["errorDetail"];
    let text = detail["message"].as_str().or_else(|| message["error"].as_str())?;
    let code = detail["code"].as_i64().filter(|c| *c > 0).unwrap_or(1);
    // 401 is an HTTP status in this place, not an exit code.
    let code = u8::try_from(code).unwrap_or(1);
    Some(Failure::text(code, text))
}

/// Where messages are drawn: on a terminal each id has a line of its own that changes.
pub struct Screen {
    out: Out,
    terminal: bool,
    lines: Vec<String>,
    /// Since when each id counts in its status, and from which number.
    begun: HashMap<(String, String), (Instant, f64)>,
}

impl Screen {
    /// A screen on standard output, or none.
    pub fn stdout(quiet: bool) -> Screen {
        let out = if quiet { Out::Nowhere } else { Out::Stdout };
        Screen { out, terminal: !quiet && terminal::stdout_is(), lines: Vec::new(), begun: HashMap::new() }
    }

    fn width(&self) -> usize {
        let width = match self.out {
            Out::Stderr => terminal::error_width(),
            Out::Stdout | Out::Nowhere => terminal::size().map(|(_, columns)| usize::from(columns)),
        };
        width.unwrap_or(usize::MAX)
    }

    fn write(&self, text: &str) {
        match self.out {
            Out::Stdout => print::out(text),
            Out::Stderr => {
                use std::io::Write;
                // Nobody is left to be told that standard error is closed.
                let _ = std::io::stderr().lock().write_all(text.as_bytes());
            }
            Out::Nowhere => {}
        }
    }

    /// How fast an id moves in its status and how long that still takes: `  12MB/s  3s`; nothing as long as it cannot be said.
    fn pace(&mut self, id: &str, status: &str, detail: &Value) -> String {
        let (Some(current), Some(total)) = (detail["current"].as_f64(), detail["total"].as_f64()) else {
            return String::new();
        };
        let key = (id.to_owned(), status.to_owned());
        let (since, from) = *self.begun.entry(key).or_insert((Instant::now(), current));
        pace(since.elapsed(), current - from, total - current)
    }

    /// Draws one message.
    pub fn show(&mut self, message: &Value) {
        if let Some(text) = message["stream"].as_str() {
            self.write(text);
            return;
        }
        let id = message["id"].as_str().unwrap_or_default();
        let status = message["status"].as_str().unwrap_or_default();
        let bar = bar(&message["progressDetail"]);
        if !self.terminal {
            // Without a terminal only what stays true is worth a line.
            if bar.is_none() {
                self.write(&line(id, status, ""));
                self.write("\n");
            }
            return;
        }
        if id.is_empty() {
            self.lines.clear();
            self.write(&format!("{}\n", terminal::harmless(status)));
            return;
        }
        let pace = self.pace(id, status, &message["progressDetail"]);
        let text = line(id, status, &format!("{}{pace}", bar.as_deref().unwrap_or_default()));
        // A line that breaks takes two, and the ones above could not be found again.
        let text: String =
            terminal::harmless(&text).chars().filter(|c| *c != '\n').take(self.width()).collect();
        match self.lines.iter().position(|known| known == id) {
            None => {
                self.lines.push(id.to_owned());
                self.write(&format!("{text}\n"));
            }
            Some(at) => {
                let up = self.lines.len() - at;
                self.write(&format!("\x1b[{up}A\x1b[2K\r{text}\x1b[{up}B\r"));
            }
        }
    }
}

fn line(id: &str, status: &str, bar: &str) -> String {
    let head = if id.is_empty() { String::new() } else { format!("{id}: ") };
    let tail = if bar.is_empty() { String::new() } else { format!(" {bar}") };
    format!("{head}{status}{tail}")
}

/// Rate and time left of `done` units in `spent`, with `left` to go.
fn pace(spent: Duration, done: f64, left: f64) -> String {
    /// Before so long a rate is a guess.
    const EARLIEST: Duration = Duration::from_millis(300);
    if spent < EARLIEST || done <= 0.0 || left <= 0.0 {
        return String::new();
    }
    let rate = done / spent.as_secs_f64();
    let seconds = (left / rate).ceil() as u64;
    let time =
        if seconds < 60 { format!("{seconds}s") } else { format!("{}m{:02}s", seconds / 60, seconds % 60) };
    format!("  {}/s  {time}", size::human(rate))
}

/// `[=====>     ]  12MB/40MB`, or nothing when there is nothing to count.
fn bar(detail: &Value) -> Option<String> {
    let current = detail["current"].as_f64()?;
    let total = detail["total"].as_f64().unwrap_or(0.0);
    if current <= 0.0 && total <= 0.0 {
        return None;
    }
    let unit = |n: f64| match detail["units"].as_str() {
        Some(units) if !units.is_empty() => format!("{n} {units}"),
        _ => size::human(n),
    };
    if total <= 0.0 {
        return Some(format!("{:>8}", unit(current)));
    }
    let full = ((current / total).clamp(0.0, 1.0) * BAR as f64) as usize;
    let head = if full < BAR { ">" } else { "" };
    let rest = BAR - full - head.len();
    Some(format!("[{}{head}{}]  {}/{}", "=".repeat(full), " ".repeat(rest), unit(current), unit(total)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_and_failures() {
        let half = bar(&json!({"current": 5_000_000, "total": 10_000_000})).unwrap();
        assert!(half.starts_with("[=========================>") && half.ends_with("]  5MB/10MB"));
        assert_eq!(bar(&json!({})), None);
        assert_eq!(pace(Duration::from_secs(2), 4e6, 130e6), "  2MB/s  1m05s");
        assert_eq!(pace(Duration::from_millis(10), 4e6, 1.0), "");
        let failed =
            failure_in(&json!({"errorDetail": {"code": 7, "message": "no"}, "error": "no"})).unwrap();
        assert_eq!((failed.code(), failed.to_string()), (7, "no".to_owned()));
    }
}
