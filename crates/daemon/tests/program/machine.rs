//! A shell on the machine of an engine, for what a book has its readers type.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Engine, PATIENCE};

/// In the engine's network, with Docker's client and without a password for `sudo`. `$PWD` and `$HOME` are the engine's folder.
pub struct Machine<'a>(pub &'a Engine);

impl Machine<'_> {
    /// Where programs of this machine alone are.
    fn bin(&self) -> PathBuf {
        let bin = self.0.path("bin");
        if !bin.exists() {
            std::fs::create_dir(&bin).unwrap();
            self.has_program("sudo", "#!/bin/sh\nexec \"$@\"\n");
        }
        bin
    }

    /// Puts a script on its `PATH`.
    pub fn has_program(&self, name: &str, text: &str) {
        let path = self.bin().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// A line of its shell, to be run.
    pub fn line(&self, line: &str) -> Command {
        let path = format!("{}:{}", self.bin().display(), std::env::var("PATH").unwrap());
        let net = format!("--net=/proc/{}/ns/net", self.0.pid().as_raw_nonzero());
        let mut command = Command::new("nsenter");
        command.args([&net, "--", "bash", "-c", line]).current_dir(self.0.path(""));
        command
            .env("PATH", path)
            .env("HOME", self.0.path(""))
            .env("DOCKER_HOST", self.0.host())
            .env("DOCKER_CONFIG", self.0.path("client"));
        command
    }

    /// What a line that goes well prints.
    #[track_caller]
    pub fn types(&self, line: &str) -> String {
        let told = self.line(line).output().unwrap();
        assert!(told.status.success(), "{line}: {told:?}");
        String::from_utf8_lossy(&told.stdout).trim_end().to_owned()
    }

    /// What a line prints on a terminal where `keys` are typed.
    #[track_caller]
    pub fn types_on_a_terminal(&self, line: &str, keys: &str) -> String {
        self.types(&format!("printf '{keys}' | script -qec '{line}' /dev/null")).replace('\r', "")
    }

    /// Types it again until it prints this.
    #[track_caller]
    pub fn until(&self, line: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            let said = self.types(line);
            if said.contains(wanted) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{line} does not print {wanted:?}: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
