//! A whole engine for one test.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Longer than anything here takes on a slow machine; a test that hangs must end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An engine. Dropping it removes its containers, stops it, and removes its folders.
pub struct Engine {
    dir: tempfile::TempDir,
    flags: Vec<String>,
    /// Without bridges and rules, in the network everybody is in.
    shared: bool,
    /// Names it knows: the text of its own `/etc/hosts`.
    hosts: String,
    /// Variables it is started with.
    variables: Vec<(String, String)>,
    /// The file of the network namespace to run in; a fresh one without.
    namespace: Option<String>,
    process: Option<Child>,
}

/// What a command has said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Its output, if it went well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.trim_end().to_owned()
    }

    /// Its complaint, if it did not.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_ne!(self.code, 0, "{self:?}");
        self.stderr.trim_end().to_owned()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders below the root")
        .to_path_buf()
}

/// The program that was built beside this test.
pub fn gantry() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its file");
    let built = own.ancestors().nth(2).expect("target/profile/deps").join("gantry");
    assert!(built.exists(), "{} is not built: run `make test`", built.display());
    built
}

/// A docker-archive of busybox, made once from the distribution's package.
pub fn busybox() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| archive("busybox"))
}

/// One of the distribution's base system: with bash, tar and what else a person expects.
pub fn debian() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| archive("debian"))
}

fn archive(image: &str) -> PathBuf {
    let folder = root().join(".test-images");
    let made = Command::new(root().join("tests/images.sh")).arg(&folder).arg(image).status();
    assert!(made.expect("the script runs").success());
    folder.join(format!("{image}.tar"))
}

impl Engine {
    /// An engine with the busybox image in it.
    pub fn start() -> Engine {
        Engine::with(&[])
    }

    /// The same with further flags.
    pub fn with(flags: &[&str]) -> Engine {
        Engine::empty(flags).with_busybox()
    }

    /// With the busybox image in it.
    pub fn with_busybox(self) -> Engine {
        self.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
        self
    }

    /// An engine without an image.
    pub fn empty(flags: &[&str]) -> Engine {
        let dir = tempfile::Builder::new().prefix("gantry-test-").tempdir().expect("a folder can be made");
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut engine = Engine {
            dir,
            flags,
            shared: false,
            hosts: String::new(),
            variables: Vec::new(),
            namespace: None,
            process: None,
        };
        engine.launch();
        engine
    }

    /// An engine without an image that shares this machine's network, so that it reaches a registry here, and makes no
    /// networks of its own.
    pub fn shared(flags: &[&str]) -> Engine {
        Engine::shared_with_hosts(flags, "")
    }

    /// The same with names for addresses.
    pub fn shared_with_hosts(flags: &[&str], hosts: &str) -> Engine {
        Engine::shared_with(flags, hosts, &[])
    }

    /// The same with variables in its environment.
    pub fn shared_with(flags: &[&str], hosts: &str, variables: &[(&str, &str)]) -> Engine {
        let dir = tempfile::Builder::new().prefix("gantry-test-").tempdir().expect("a folder can be made");
        let quiet = ["--bridge=none", "--iptables=false", "--ip-forward=false"];
        let flags = quiet.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut engine = Engine {
            dir,
            flags,
            shared: true,
            hosts: hosts.to_owned(),
            variables: variables.collect(),
            namespace: None,
            process: None,
        };
        engine.launch();
        engine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("gantry.sock")
    }

    /// The engine's address, as clients take it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where the engine runs from and logs to; every engine has a network namespace of its own, so that bridges and
    /// rules of one test are not another's.
    pub fn command(&self) -> Command {
        let mut command = Command::new(if self.namespace.is_some() { "nsenter" } else { "unshare" });
        match (&self.namespace, self.shared, self.hosts.as_str()) {
            (Some(file), ..) => command.arg(format!("--net={file}")).arg("--"),
            (None, false, _) => command.arg("--net").arg("--"),
            (None, true, "") => command.arg("--"),
            (None, true, _) => command.args(["--mount", "--", "sh", "-c"]).args([
                "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
                &self.path("hosts").display().to_string(),
            ]),
        };
        command.arg(gantry()).arg("daemon");
        command.arg("-H").arg(format!("unix://{}", self.socket().display()));
        command.arg("--data-root").arg(self.path("data")).arg("--exec-root").arg(self.path("run"));
        command.arg("--pidfile").arg(self.path("pid")).arg("--group").arg("0");
        command.arg("--config-file").arg(self.path("daemon.json"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(&self.flags).env_remove("DOCKER_HOST").env_remove("DOCKER_CERT_PATH");
        command
    }

    /// Starts the engine again, in a network namespace that is there already, with these further flags.
    pub fn relaunch_in(&mut self, namespace: &str, flags: &[&str]) {
        self.namespace = Some(namespace.to_owned());
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.launch();
    }

    /// Starts the engine and waits until it says that it is ready.
    pub fn launch(&mut self) {
        let config = self.path("daemon.json");
        if !config.exists() {
            std::fs::write(&config, "{}").expect("a file can be written");
        }
        std::fs::write(self.path("hosts"), &self.hosts).expect("a file can be written");
        let notify = self.path("notify");
        if notify.exists() {
            std::fs::remove_file(&notify).expect("the old socket goes");
        }
        let ready = UnixDatagram::bind(&notify).expect("a socket can be made");
        ready.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a log");
        let child = self.command().env("NOTIFY_SOCKET", &notify).stdin(Stdio::null()).stderr(log).spawn();
        self.process = Some(child.expect("unshare(1) runs"));
        let mut word = [0; 64];
        match ready.recv(&mut word) {
            Ok(n) => assert_eq!(&word[..n], b"READY=1"),
            Err(err) => panic!("the engine is not ready: {err}\n{}", self.log()),
        }
    }

    /// Takes an engine that was started by other means.
    pub fn adopt(&mut self, child: Child) {
        self.process = Some(child);
    }

    /// What the engine has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> rustix::process::Pid {
        let id = self.process.as_ref().expect("it runs").id();
        rustix::process::Pid::from_raw(id.cast_signed()).expect("a living process has a number")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it can be signalled");
    }

    /// `kill -9`, as a crash would.
    pub fn crash(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.process.take().expect("it runs").wait().expect("it ends");
    }

    /// SIGTERM, and the end.
    pub fn stop(&mut self) -> i32 {
        self.signal(rustix::process::Signal::TERM);
        self.process.take().expect("it runs").wait().expect("it ends").code().unwrap_or(-1)
    }

    /// Docker's client on this engine.
    pub fn client(&self) -> Command {
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.socket().display()));
        command.env("DOCKER_CONFIG", self.path("client")).env("HOME", self.dir.path());
        command.env("DOCKER_CLI_HINTS", "false").env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
        command
    }

    /// A command of Docker's client, without input.
    pub fn docker<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        self.docker_with(args, b"")
    }

    /// A command of Docker's client with this input.
    pub fn docker_with<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &[u8]) -> Said {
        let mut command = self.client();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("docker is installed");
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = input.to_vec();
        // A client that fails early does not read: what it says counts.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().expect("docker ends");
        writer.join().expect("the writer ends");
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A connection to the engine.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("the engine answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// One request by hand: the status and the body's JSON.
    pub fn http(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let mut stream = self.connect();
        let len = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n"
        );
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).expect("the engine reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the engine answers");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// One thing of a container's inspect.
    pub fn inspect(&self, name: &str, format: &str) -> String {
        self.docker(["inspect", "-f", format, name]).ok()
    }

    /// Waits until a command prints what is wanted. Every look is a whole round trip, so it needs no pause.
    #[track_caller]
    pub fn until(&self, args: &[&str], wanted: &str) {
        let begun = std::time::Instant::now();
        loop {
            let said = self.docker(args);
            if said.stdout.trim() == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{args:?} is not {wanted:?}: {said:?}\n{}", self.log());
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.is_none() {
            return;
        }
        let ids = self.docker(["ps", "-aq"]).stdout;
        if !ids.trim().is_empty() {
            self.docker(["rm", "-fv"].into_iter().chain(ids.split_whitespace()));
        }
        self.stop();
        if std::thread::panicking() {
            eprintln!("the engine's log:\n{}", self.log());
        }
        // The folder's own removal would not survive what a hostile container has dug.
        let _deep = gantry_sys::tree::remove_dir_all(&self.path("data"));
    }
}
