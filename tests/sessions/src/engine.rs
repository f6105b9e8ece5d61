//! A whole engine of its own for one document: own root, own socket, stopped and swept at the end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    daemon: Child,
    folder: tempfile::TempDir,
    gantry: PathBuf,
}

impl Engine {
    /// Starts the `gantry` at `program`, and waits until it answers.
    pub fn start(program: &Path) -> Self {
        let folder =
            tempfile::Builder::new().prefix("gantry-session-").tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("bin")).expect("a folder can be made");
        for name in ["gantry", "docker"] {
            std::os::unix::fs::symlink(program, at("bin").join(name)).expect("a link can be made");
        }
        let log = std::fs::File::create(at("daemon.log")).expect("a log can be made");
        let daemon = Command::new(program)
            .arg("daemon")
            .args(["--data-root".as_ref(), at("data").as_os_str()])
            .args(["--exec-root".as_ref(), at("exec").as_os_str()])
            .args(["--pidfile".as_ref(), at("pid").as_os_str()])
            .args(["-H", &format!("unix://{}", at("gantry.sock").display())])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor can be copied"))
            .stderr(log)
            .spawn()
            .expect("the engine starts");
        let mut engine = Self { daemon, folder, gantry: program.to_owned() };
        engine.wait();
        engine
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let socket = self.folder.path().join("gantry.sock");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            let ended = self.daemon.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the engine did not start:\n{}",
                self.log()
            );
            std::thread::yield_now();
        }
    }

    /// The client's variables, the path with `gantry` and `docker`, and a folder to work in.
    pub fn environment(&self) -> Vec<(String, String)> {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        vec![
            ("DOCKER_HOST".into(), format!("unix://{}", at("gantry.sock"))),
            ("DOCKER_CONFIG".into(), at("config")),
            ("PATH".into(), format!("{}:{path}", at("bin"))),
            ("HOME".into(), self.folder.path().display().to_string()),
        ]
    }

    /// Loads an archive by our client.
    pub fn load(&self, archive: &Path) {
        let status = Command::new(&self.gantry)
            .args(["load", "-q", "-i"])
            .arg(archive)
            .envs(self.environment())
            .stdout(Stdio::null())
            .status()
            .expect("the client runs");
        assert!(status.success(), "loading {}:\n{}", archive.display(), self.log());
    }

    /// What the engine has told so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _all = Command::new("sh")
            .args(["-c", "gantry ps -aq | xargs -r gantry rm -fv >/dev/null 2>&1; gantry network prune -f >/dev/null 2>&1"])
            .envs(self.environment())
            .status();
        let _asked = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ended = self.daemon.wait();
    }
}
