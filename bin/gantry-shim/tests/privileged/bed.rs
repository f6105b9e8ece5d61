//! A place for one test's containers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gantry_logs::{Driver, ReadOptions, Reader};
use gantry_names::{ContainerId, ExecId};
use gantry_shim_client::{
    AttachTo, Attachment, ExecSpec, Exit, ExitRecord, LogSpec, RootMount, RuntimeSpec, Shim, ShimConfig,
    Shims, SpawnError, Stream,
};
use serde_json::{Value, json};

const APPLETS: [&str; 22] = [
    "sh", "cat", "echo", "sleep", "yes", "head", "true", "false", "env", "kill", "dd", "seq", "tty", "stty",
    "id", "test", "grep", "ps", "rm", "mkdir", "trap", "printf",
];

/// How long anything may take before the test says that it hangs.
pub const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Own,
    Runc,
    Crun,
}

/// A folder with a root file system, bundles, logs; and the shims.
pub struct Bed {
    dir: tempfile::TempDir,
    pub shims: Shims,
    runtime: Runtime,
}

/// What a container is made from; change it before the spawn.
pub struct Wanted {
    pub config: ShimConfig,
    pub spec: Value,
}

impl Bed {
    pub fn new(runtime: Runtime) -> Bed {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let dir = tempfile::Builder::new().prefix("gantry-shim-").tempdir().unwrap();
        let bin = dir.path().join("lower/bin");
        fs::create_dir_all(&bin).unwrap();
        for folder in ["proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir(dir.path().join("lower").join(folder)).unwrap();
        }
        fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_gantry-shim"), bin.join("docker-init")).unwrap();
        copy_libraries(Path::new(env!("CARGO_BIN_EXE_gantry-shim")), &dir.path().join("lower"));
        for applet in APPLETS {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        fs::write(dir.path().join("lower/etc/not-executable"), "#!/bin/sh\n").unwrap();
        let shims =
            Shims::new(Path::new(env!("CARGO_BIN_EXE_gantry-shim")), &dir.path().join("run")).unwrap();
        Bed { dir, shims, runtime }
    }

    /// Debian's crun 1.8 refuses a hybrid of both cgroup versions: it gets a view of the machine without version 2.
    fn crun(&self) -> PathBuf {
        let script = self.path("crun");
        let text = "#!/bin/sh\nexec unshare -m sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun \"$@\"' crun \"$@\"\n";
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        script
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A container with these arguments, an overlay root and a json-file log.
    pub fn wanted(&self, args: &[&str]) -> Wanted {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = ContainerId::random();
        let layer = |name: &str| {
            let path = self.path(&format!("{}-{name}", id.short()));
            fs::create_dir_all(&path).unwrap();
            path
        };
        let root = RootMount::Overlay {
            lower: vec![self.path("lower")],
            upper: Some(layer("upper")),
            work: Some(layer("work")),
            options: Vec::new(),
        };
        let cgroup = format!("/gantry-shim-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let state = self.path("state");
        let runtime = match self.runtime {
            Runtime::Own => RuntimeSpec::Own { root: state },
            Runtime::Runc => {
                RuntimeSpec::Foreign { path: "/usr/sbin/runc".into(), args: Vec::new(), root: state }
            }
            Runtime::Crun => RuntimeSpec::Foreign { path: self.crun(), args: Vec::new(), root: state },
        };
        let log = LogSpec {
            driver: "json-file".into(),
            path: self.path(&format!("{}.log", id.short())),
            options: Default::default(),
            attributes: Default::default(),
        };
        let config = ShimConfig {
            images: Vec::new(),
            id,
            tty: false,
            open_stdin: false,
            stdin_once: false,
            console_size: None,
            root,
            log,
            runtime,
            cgroup: cgroup.clone(),
            oom_score_adj: None,
            soft_descriptors: None,
            start: false,
        };
        Wanted { config, spec: spec(args, &cgroup) }
    }

    pub async fn try_spawn(&self, wanted: &Wanted) -> Result<Shim, SpawnError> {
        let spec = serde_json::to_vec(&wanted.spec).unwrap();
        let bundle = self.shims.bundle(&wanted.config.id);
        tokio::time::timeout(LONG, self.shims.spawn(&bundle, &wanted.config, &spec)).await.unwrap()
    }

    pub async fn spawn(&self, wanted: &Wanted) -> Shim {
        self.try_spawn(wanted).await.unwrap_or_else(|err| panic!("{err}: {:?}", self.shim_log(wanted)))
    }

    /// Created, attached to, started.
    pub async fn run(&self, wanted: &Wanted) -> (Shim, Attachment) {
        let shim = self.spawn(wanted).await;
        let attachment = shim.attach(None, AttachTo::all()).await.unwrap();
        shim.start().await.unwrap();
        (shim, attachment)
    }

    /// Runs to the end; standard output, standard error, how it ended. And nothing is left.
    pub async fn output(&self, wanted: &Wanted) -> (String, String, ExitRecord) {
        let (shim, attachment) = self.run(wanted).await;
        let (out, err) = everything(attachment).await;
        let record = exit(&shim).await;
        self.end(wanted, shim).await;
        (out, err, record)
    }

    /// Ends a container, however it stands, and looks for leftovers.
    pub async fn end(&self, wanted: &Wanted, shim: Shim) {
        let shim_pid = shim.shim_pid();
        let pid = shim.pid();
        tokio::time::timeout(LONG, shim.shutdown()).await.unwrap().unwrap();
        drop(shim);
        gone(shim_pid).await;
        self.nothing_left(wanted, pid);
        self.shims.remove(&self.shims.bundle(&wanted.config.id)).await.unwrap();
    }

    pub fn nothing_left(&self, wanted: &Wanted, pid: u32) {
        assert!(pid == 0 || !runs(pid), "process {pid} is left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(wanted.config.id.as_str()), "a mount is left");
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap() {
            let left = hierarchy.unwrap().path().join(wanted.config.cgroup.trim_start_matches('/'));
            assert!(!left.exists(), "{} is left", left.display());
        }
        let bundle = self.shims.bundle(&wanted.config.id);
        let known = ["config.json", "shim.json", "shim.log", "exit.json", "runtime.log"];
        for file in fs::read_dir(bundle).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name.as_str()), "{name} is left in the bundle");
        }
    }

    pub fn shim_log(&self, wanted: &Wanted) -> String {
        fs::read_to_string(self.shims.bundle(&wanted.config.id).join("shim.log")).unwrap_or_default()
    }

    /// The container's log as text.
    pub fn logged(&self, wanted: &Wanted) -> String {
        let driver = Driver::parse(&wanted.config.log.driver).unwrap();
        let mut reader = Reader::open(driver, &wanted.config.log.path, ReadOptions::default()).unwrap();
        let mut text = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            text.extend(entry.line);
        }
        assert_eq!(reader.damage(), Default::default());
        String::from_utf8(text).unwrap()
    }
}

/// Whether a process runs. A dead one whose new parent has not looked yet does not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Installed, the program is static; as a test's binary it is not, and is to run inside the container nevertheless.
fn copy_libraries(program: &Path, root: &Path) {
    let listed = std::process::Command::new("ldd").arg(program).output().unwrap();
    for word in
        String::from_utf8(listed.stdout).unwrap().split_whitespace().filter(|word| word.starts_with('/'))
    {
        let to = root.join(word.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(word, to).unwrap();
    }
}

/// Reads an attachment to its end.
pub async fn everything(attachment: Attachment) -> (String, String) {
    let Attachment { mut output, input } = attachment;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = tokio::time::timeout(LONG, output.next()).await.unwrap().unwrap() {
        match piece.stream {
            Stream::Stdout => out.extend_from_slice(&piece.bytes),
            Stream::Stderr => err.extend_from_slice(&piece.bytes),
        }
    }
    drop(input);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Reads standard output until it contains a text.
pub async fn until(attachment: &mut Attachment, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let piece = tokio::time::timeout(LONG, attachment.output.next()).await;
        let piece = piece.unwrap_or_else(|_| panic!("{:?} came", String::from_utf8_lossy(&seen))).unwrap();
        seen.extend_from_slice(
            &piece.unwrap_or_else(|| panic!("only {:?} came", String::from_utf8_lossy(&seen))).bytes,
        );
    }
    String::from_utf8(seen).unwrap()
}

pub async fn exit(shim: &Shim) -> ExitRecord {
    match tokio::time::timeout(LONG, shim.wait()).await.unwrap().unwrap() {
        Exit::Recorded(record) => record,
        Exit::Lost => panic!("the shim is lost"),
    }
}

/// Waits until a process that is not ours to wait for (or whose parent reaps it) is gone.
pub async fn gone(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return };
    let readable = tokio::task::spawn_blocking(move || {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let timeout = Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 };
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).unwrap()
    });
    assert_eq!(readable.await.unwrap(), 1, "process {pid:?} does not end");
}

/// A session that runs these arguments.
pub fn session(args: &[&str], tty: bool, stdin: bool) -> ExecSpec {
    let process = json!({
        "args": args, "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 }, "terminal": tty,
    });
    ExecSpec { session: ExecId::random(), process, tty, stdin }
}

fn spec(args: &[&str], cgroup: &str) -> Value {
    let caps = json!(["CAP_KILL", "CAP_CHOWN", "CAP_SYS_ADMIN"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "bed",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" },
            ],
        },
    })
}
