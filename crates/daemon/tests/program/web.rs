//! A web server of a folder, and a repository that it can hand out.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A web server of a folder; it ends with this.
pub struct Web(Child, String);

impl Web {
    /// On a port of its own.
    pub fn of(folder: &str) -> Web {
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        Web(child, format!("http://127.0.0.1:{port}"))
    }

    /// `http://127.0.0.1:port`.
    pub fn address(&self) -> &str {
        &self.1
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // Our own child; gone is gone.
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Commits what is in a folder to the branch `main`, and puts the repository where a web server without git finds it.
pub fn repository(work: &str, at: &str) {
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .args(["-C", work, "-c", "user.name=a", "-c", "user.email=a@b"])
            .args(args)
            .output()
            .expect("git is there");
        assert!(done.status.success(), "{args:?} {done:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["update-server-info"]);
    std::fs::rename(format!("{work}/.git"), at).unwrap();
}
