//! Progress messages: bars that move on a terminal, lines that stay elsewhere.

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
    let mut screen = Screen { out, terminal, lines: Vec::new() };
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
}

impl Screen {
    /// A screen on standard output, or none.
    pub fn stdout(quiet: bool) -> Screen {
        let out = if quiet { Out::Nowhere } else { Out::Stdout };
        Screen { out, terminal: !quiet && terminal::stdout_is(), lines: Vec::new() }
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
            self.write(&format!("{status}\n"));
            return;
        }
        let text = line(id, status, bar.as_deref().unwrap_or_default());
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
        let failed =
            failure_in(&json!({"errorDetail": {"code": 7, "message": "no"}, "error": "no"})).unwrap();
        assert_eq!((failed.code(), failed.to_string()), (7, "no".to_owned()));
    }
}
