//! A person before a terminal: keys, and a memory of what was shown.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::command;
use crate::harness::{Engine, PATIENCE, gantry};

/// Our client on a terminal that script(1) made, with a keyboard and a memory of what was shown.
pub struct Seat {
    /// script(1) itself; its exit code is the program's.
    pub child: Child,
    keyboard: ChildStdin,
    shown: Arc<Mutex<String>>,
    pid: PathBuf,
}

impl Seat {
    /// Sits down before `gantry WORDS` on this engine; the terminal's settings are shown when it has ended.
    pub fn at(engine: &Engine, words: &str) -> Seat {
        // Whoever runs the tests in the background may have them ignore Ctrl-C, and all that they start.
        let line =
            format!("env --default-signal=INT,HUP {} -H {} {words}", gantry().display(), engine.host());
        let pid = engine.path("seat.pid");
        let line = format!(
            "trap : INT HUP; stty rows 24 cols 150; sh -c 'echo $$ > {}; exec {line}'; code=$?; stty -a; exit $code",
            pid.display()
        );
        let mut script = command(Path::new("script"), engine, &["-qefc", &line, "/dev/null"]);
        let mut child =
            script.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut output, memory) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                memory.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..len]));
            }
        });
        let keyboard = child.stdin.take().unwrap();
        Seat { child, keyboard, shown, pid }
    }

    /// Types, and forgets what was shown until then.
    pub fn types(&mut self, keys: &str) {
        self.shown.lock().unwrap().clear();
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until what was shown since the last key fits.
    pub fn until(&self, what: &str, fits: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !fits(&self.shown.lock().unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.shown.lock().unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types again and again until a text is shown: what is typed before anybody listens is lost.
    pub fn until_typed(&mut self, keys: &str, text: &str) {
        let begun = Instant::now();
        while !self.shown.lock().unwrap().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{text}: {:?}", self.shown.lock().unwrap());
            self.keyboard.write_all(keys.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Another program sends it a signal.
    pub fn is_told(&self, signal: Signal) {
        let pid = std::fs::read_to_string(&self.pid).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until a text is shown.
    pub fn sees(&self, text: &str) {
        self.until(text, |shown| shown.contains(text));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // It is our own child; one that is gone already needs no stopping.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
