//! Registries to travel to: ours inside this process, ours as a program, Docker's.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gantry_registry::Running;
use gantry_registry::config::Config;

/// Ours, inside this process.
pub struct Place {
    pub running: Running,
    pub root: PathBuf,
    pub dir: tempfile::TempDir,
}

impl Place {
    pub async fn open() -> Self {
        Self::configured("").await
    }

    /// With more configuration; `ROOT` in it is the place's directory.
    pub async fn configured(more: &str) -> Self {
        Self::prepared(more, |_| {}).await
    }

    pub async fn prepared(more: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let root = dir.path().join("data");
        let running = serve(dir.path(), more).await;
        Self { running, root, dir }
    }

    pub fn at(&self, image: &str) -> String {
        format!("{}/{image}", self.running.address())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }
}

/// Starts ours over a directory that may hold something already.
pub async fn serve(dir: &Path, more: &str) -> Running {
    let more = more.replace("ROOT", &dir.display().to_string());
    let text = format!(
        "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}/data}}}}\n{}{more}\n",
        dir.display(),
        if more.contains("\nhttp:") || more.starts_with("http:") {
            ""
        } else {
            "http: {addr: 127.0.0.1:0}\n"
        },
    );
    gantry_registry::start(Config::from_text(&text, Vec::new()).unwrap()).await.unwrap()
}

/// A registry that is a program of its own.
pub struct Program {
    pub child: Child,
    pub address: SocketAddr,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Ours as a program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_gantry-registry");

/// Ours as a program over `root`.
pub fn program(root: &Path) -> Program {
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--addr", "127.0.0.1:0", "--root"])
        .arg(root)
        .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().expect("the program says where it listens").unwrap();
    let address = line.rsplit_once("address=").unwrap().1.parse().unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    Program { child, address }
}

/// Docker's own registry, where it is installed.
pub fn dockers(dir: &Path) -> Option<Program> {
    dockers_on(dir, &format!("filesystem: {{rootdirectory: {}}}", dir.join("docker").display()))
}

/// Docker's own registry on this storage.
pub fn dockers_on(dir: &Path, storage: &str) -> Option<Program> {
    let binary =
        ["/usr/bin/docker-registry", "/usr/bin/registry"].iter().find(|path| Path::new(path).exists())?;
    // It does not say which port it got, so it is given one that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = dir.join("docker-registry.yml");
    let text = format!(
        "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nstorage:\n  {storage}\n  delete: {{enabled: true}}\n  redirect: {{disable: true}}\nhttp: {{addr: \"{address}\"}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new(binary)
        .arg("serve")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let program = Program { child, address };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert!(std::time::Instant::now() < deadline, "docker-registry does not listen");
        std::thread::yield_now();
    }
    Some(program)
}
