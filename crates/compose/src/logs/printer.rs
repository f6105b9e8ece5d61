//! Lines with names before them.

use std::cell::RefCell;
use std::io::Write;

/// The colours in the order in which containers get them.
const COLORS: [&str; 10] = ["36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1"];

/// Where merged lines go.
pub struct Printer {
    color: bool,
    prefix: bool,
    timestamps: bool,
    terminal: bool,
    names: RefCell<Vec<String>>,
}

impl Printer {
    /// A printer on standard output and standard error.
    pub fn new(color: bool, prefix: bool, timestamps: bool, terminal: bool) -> Printer {
        Printer { color, prefix, timestamps, terminal, names: RefCell::default() }
    }

    /// Makes room for a name and gives it its colour.
    pub fn register(&self, name: &str) -> usize {
        let mut names = self.names.borrow_mut();
        match names.iter().position(|known| known == name) {
            Some(at) => at,
            None => {
                names.push(name.to_owned());
                names.len() - 1
            }
        }
    }

    fn paint(&self, at: usize, text: &str) -> String {
        match self.color {
            true => format!("\x1b[{}m{text}\x1b[0m", COLORS[at % COLORS.len()]),
            false => text.to_owned(),
        }
    }

    /// A whole line of a container.
    pub fn line(&self, name: &str, line: &str, error: bool) {
        let at = self.register(name);
        let mut out = String::with_capacity(line.len() + 32);
        if self.prefix {
            let wide = self.names.borrow().iter().map(String::len).max().unwrap_or(0) + 1;
            out.push_str(&self.paint(at, &format!("{name:<wide$} | ")));
        }
        if self.timestamps {
            let now = jiff::Timestamp::now();
            out.push_str(&format!("{now:.9} "));
        }
        out.push_str(line);
        out.push('\n');
        write(&out, error);
    }

    /// A sentence about a container.
    pub fn status(&self, name: &str, text: &str) {
        let at = self.register(name);
        let clean = if self.terminal { "\r\x1b[K" } else { "" };
        write(&format!("{clean}{}\n", self.paint(at, &format!("{name} {text}"))), false);
    }

    /// A container ended.
    pub fn exited(&self, name: &str, code: i64, restarting: bool) {
        let again = if restarting { " (restarting)" } else { "" };
        self.status(name, &format!("exited with code {code}{again}"));
    }

    /// A sentence about the whole.
    pub fn say(&self, text: &str) {
        write(&format!("{text}\n"), false);
    }
}

/// A reader that went away (`logs | head -1`) ends the program quietly, as it does everywhere in this client.
fn write(text: &str, error: bool) {
    let done = match error {
        true => std::io::stderr().lock().write_all(text.as_bytes()),
        false => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
    };
    if done.is_err_and(|err| err.kind() == std::io::ErrorKind::BrokenPipe) {
        // 128 and the signal's number.
        std::process::exit(141);
    }
}
