//! An engine over folders of its own, and an image made of the host's busybox.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use gantry_content::ContentStore;
use gantry_engine::spec::{ContainerSpec, NetworkMode};
use gantry_engine::{Engine, EngineConfig, ImportRequest, Networking, WaitCondition};
use gantry_images::ImageStore;
use gantry_names::Reference;
use gantry_store::Store;

/// How long anything in these tests may take before the test is a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something of another process that tells nobody.
pub const GLANCE: Duration = Duration::from_millis(5);

/// The shim's program.
pub fn shim() -> PathBuf {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        if let Some(named) = std::env::var_os("GANTRY_SHIM") {
            return named.into();
        }
        let exe = std::env::current_exe().unwrap();
        let built = exe.parent().and_then(Path::parent).unwrap().join("gantry-shim");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let done =
            std::process::Command::new(cargo).args(["build", "-q", "-p", "gantry-shim"]).status().unwrap();
        assert!(done.success() && built.is_file(), "the shim is built at {}", built.display());
        built
    })
    .clone()
}

/// An engine and its folders; what runs when it is dropped is ended.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub engine: Engine,
}

pub fn open(dir: &Path) -> Engine {
    open_with(dir, |_| ())
}

pub fn open_with(dir: &Path, change: impl FnOnce(&mut EngineConfig)) -> Engine {
    open_on(dir, change, |_| Networking::plain())
}

pub fn open_on(
    dir: &Path,
    change: impl FnOnce(&mut EngineConfig),
    network: impl FnOnce(Store) -> Networking,
) -> Engine {
    let data = dir.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let store = Store::open(&data.join("store.db")).unwrap();
    let content = ContentStore::open(&data).unwrap();
    let snapshots = gantry_snapshots::best(&data.join("snapshots")).unwrap().0;
    let images = ImageStore::open(store.clone(), content, snapshots).unwrap();
    let mut config = EngineConfig::new(data, dir.join("run"), shim());
    // A cgroup parent of this run alone: what is left in it can be seen.
    config.cgroup_parent =
        format!("/gantry-test-{}", dir.file_name().unwrap().to_string_lossy().replace('.', ""));
    change(&mut config);
    let network = network(store.clone());
    Engine::open(config, store, images, network).unwrap()
}

impl Home {
    pub async fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        Home::of(dir, engine).await
    }

    pub async fn of(dir: tempfile::TempDir, engine: Engine) -> Home {
        let home = Home { dir, engine };
        home.engine.restore().await.unwrap();
        home.import("busybox").await;
        home
    }

    /// The root of the test image: busybox and a few files.
    async fn import(&self, name: &str) {
        let request = ImportRequest {
            reference: Some(Reference::parse(name).unwrap()),
            changes: vec!["ENV FROM=image".into(), "CMD [\"sh\"]".into()],
            ..ImportRequest::default()
        };
        self.engine.image_import(request, Box::new(std::io::Cursor::new(root_tar()))).await.unwrap();
    }

    /// Creates a container of a command.
    pub async fn create(&self, command: &[&str], change: impl FnOnce(&mut ContainerSpec)) -> String {
        let mut spec = spec(command);
        change(&mut spec);
        self.engine.container_create(spec, None).await.unwrap().id.to_string()
    }

    /// Creates and starts it.
    pub async fn run(&self, command: &[&str], change: impl FnOnce(&mut ContainerSpec)) -> String {
        let id = self.create(command, change).await;
        self.engine.container_start(&id).await.unwrap();
        id
    }

    /// Waits for its end.
    pub async fn wait(&self, id: &str) -> i32 {
        let waited = self.engine.container_wait(id, WaitCondition::NotRunning).await.unwrap();
        tokio::time::timeout(PATIENCE, waited).await.expect("it ends").unwrap().code
    }

    /// Creates, starts, waits, reads its log.
    pub async fn output(&self, command: &[&str], change: impl FnOnce(&mut ContainerSpec)) -> (i32, String) {
        let id = self.run(command, change).await;
        let code = self.wait(&id).await;
        (code, self.log(&id).await)
    }

    /// All of its log.
    pub async fn log(&self, id: &str) -> String {
        let request = gantry_engine::LogsRequest { stdout: true, stderr: true, ..Default::default() };
        let mut logs = self.engine.container_logs(id, request).await.unwrap();
        let mut text = String::new();
        while let Some(line) = logs.lines.recv().await {
            text.push_str(&String::from_utf8_lossy(&line.unwrap().line));
        }
        text
    }

    /// Removes every container and asserts that nothing is left of any.
    pub async fn close(self) {
        for listed in self
            .engine
            .container_list(gantry_engine::ListRequest { all: true, ..Default::default() })
            .await
            .unwrap()
        {
            self.engine.container_remove(listed.record.id.as_str(), true, true, false).await.unwrap();
        }
        let entries = |path: PathBuf| std::fs::read_dir(path).unwrap().count();
        assert_eq!(entries(self.dir.path().join("data/containers")), 0, "folders are left");
        let bundles = std::fs::read_dir(self.dir.path().join("run")).unwrap();
        let bundles: Vec<_> = bundles.flatten().filter(|e| e.file_name().len() == 64).collect();
        assert!(bundles.is_empty(), "bundles are left: {bundles:?}");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&*self.dir.path().to_string_lossy()), "mounts are left");
        let parent = &self.engine.config().cgroup_parent;
        for controller in ["memory", "pids", "cpu", ""] {
            let place = PathBuf::from("/sys/fs/cgroup").join(controller).join(parent.trim_start_matches('/'));
            if !controller.is_empty() && place.is_dir() {
                let left = std::fs::read_dir(&place).unwrap().flatten().filter(|e| e.path().is_dir()).count();
                assert_eq!(left, 0, "cgroups are left in {}", place.display());
            }
        }
        sweep_cgroups(parent);
    }
}

/// Takes away the empty parents this run has made.
fn sweep_cgroups(parent: &str) {
    for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let _ = std::fs::remove_dir(controller.path().join(parent.trim_start_matches('/')));
    }
    let _ = std::fs::remove_dir(PathBuf::from("/sys/fs/cgroup").join(parent.trim_start_matches('/')));
}

pub fn spec(command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        image: "busybox".into(),
        command: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        network_mode: NetworkMode::None,
        ..ContainerSpec::default()
    }
}

/// A root file system as a tar: the host's static busybox, links for its programs, a user, a folder with content.
fn root_tar() -> Vec<u8> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    let busybox = busybox.expect("the host has busybox-static");
    let mut writer = gantry_archive::Writer::new(Vec::new());
    let mut add = |mut entry: gantry_archive::Entry, mode: u32, bytes: &[u8]| {
        entry.mode = mode;
        writer.append_bytes(&entry, bytes).unwrap();
    };
    use gantry_archive::Entry;
    for dir in ["bin", "etc", "tmp", "data", "proc", "sys", "dev", "root"] {
        add(Entry::dir(dir), if dir == "tmp" { 0o1777 } else { 0o755 }, b"");
    }
    add(Entry::file("bin/busybox", busybox.len() as u64), 0o755, &busybox);
    for tool in "sh cat echo sleep true false id ls env kill mkdir touch rm test hostname mount grep wc trap ps nc chmod stat head tail dd pwd tty stty seq".split(' ') {
        add(Entry::symlink(format!("bin/{tool}"), "busybox"), 0o777, b"");
    }
    for (name, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n"),
        ("etc/group", "root:x:0:\nweb:x:34:\nlog:x:50:web\n"),
        ("data/content", "from the image\n"),
        ("etc/plain", "no program\n"),
    ] {
        add(Entry::file(name, text.len() as u64), 0o644, text.as_bytes());
    }
    let mut bytes = writer.finish().unwrap();
    bytes.flush().unwrap();
    bytes
}
