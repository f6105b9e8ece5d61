//! A registry for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::gantry;

/// `gantry registry serve` on a port of its own. Dropping it stops it.
pub struct Registry {
    _dir: tempfile::TempDir,
    process: Child,
    /// `127.0.0.1:<port>`.
    pub address: String,
}

impl Registry {
    pub fn start() -> Registry {
        Registry::with(&[])
    }

    pub fn with(flags: &[&str]) -> Registry {
        let dir = tempfile::Builder::new().prefix("gantry-reg-").tempdir().unwrap();
        let mut command = Command::new(gantry());
        command.args(["registry", "serve", "--addr", "127.0.0.1:0", "--root"]).arg(dir.path()).args(flags);
        let piped = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = piped.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("it says where it listens").unwrap();
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.trim().to_owned();
            }
        };
        // Somebody must read on, or it stops at a full pipe.
        std::thread::spawn(move || log.map_while(Result::ok).count());
        Registry { _dir: dir, process, address }
    }

    /// `<address>/<name>`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is our own child; one that is gone already needs no stopping.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}
