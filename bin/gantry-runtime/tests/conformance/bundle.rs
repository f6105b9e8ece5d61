//! A bundle of its own for each test, and the runtime under test as an object.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use gantry_runtime_lib::spec::*;

/// A container of one test. Dropping it takes everything away.
pub struct Bundle {
    pub dir: tempfile::TempDir,
    pub id: String,
    pub spec: Spec,
    pub root: PathBuf,
}

/// Applets that the scripts of the tests use.
const APPLETS: &[&str] = &[
    "sh", "cat", "ls", "id", "mount", "umount", "sleep", "true", "false", "touch", "stat", "ps", "env",
    "pwd", "echo", "grep", "hostname", "readlink", "mkdir", "mknod", "dd", "wc", "head", "tail", "sort",
    "kill", "chmod", "chown", "ln", "rm", "test", "tty", "stty", "uname", "cut", "printf", "ip", "find",
    "awk", "nproc", "chroot", "unshare", "date", "tr", "sync",
];

fn runtime() -> String {
    std::env::var("GANTRY_CONFORMANCE_RUNTIME")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_gantry-runtime").to_owned())
}

/// Whether the runtime under test is excused from this test.
pub fn skipped(test: &str) -> bool {
    std::env::var("GANTRY_CONFORMANCE_SKIP").is_ok_and(|list| list.split(',').any(|name| name == test))
}

/// Leaves a test that the runtime is excused from.
#[macro_export]
macro_rules! excuse {
    ($name:literal) => {
        if $crate::bundle::skipped($name) {
            eprintln!("{} is skipped for this runtime", $name);
            return;
        }
    };
}

fn busybox() -> PathBuf {
    ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|p| p.exists())
        .expect("busybox-static is installed")
}

impl Bundle {
    pub fn new() -> Bundle {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::Builder::new().prefix("gantry-conformance-").tempdir().expect("a folder");
        let rootfs = dir.path().join("rootfs");
        for folder in ["bin", "etc", "tmp", "root", "proc", "sys", "dev", "var"] {
            std::fs::create_dir_all(rootfs.join(folder)).unwrap();
        }
        std::fs::copy(busybox(), rootfs.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        std::fs::write(
            rootfs.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .unwrap();
        let id = format!("conf-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = dir.path().join("state");
        let mut spec = spec();
        spec.linux.as_mut().unwrap().cgroups_path = Some(format!("/gantry-conformance-{id}"));
        Bundle { dir, id, spec, root }
    }

    /// A bundle whose process runs this script.
    pub fn script(script: &str) -> Bundle {
        let mut bundle = Bundle::new();
        bundle.process().args = ["sh", "-c", script].map(str::to_owned).to_vec();
        bundle
    }

    /// A container that is running, for tests from outside.
    pub fn running(change: impl FnOnce(&mut Bundle)) -> Bundle {
        let mut bundle = Bundle::script("sleep 1000");
        change(&mut bundle);
        bundle.create().expect_success("create");
        bundle.cmd(&["start", &bundle.id]).expect_success("start");
        bundle
    }

    pub fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().unwrap()
    }

    pub fn linux(&mut self) -> &mut Linux {
        self.spec.linux.as_mut().unwrap()
    }

    pub fn resources(&mut self) -> &mut Resources {
        self.linux().resources.get_or_insert_with(Resources::default)
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    pub fn mount(&mut self, kind: &str, source: &str, destination: &str, options: &[&str]) {
        self.spec.mounts.push(mount(kind, source, destination, options));
    }

    pub fn write(&self) {
        std::fs::write(self.dir.path().join("config.json"), serde_json::to_vec_pretty(&self.spec).unwrap())
            .unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(runtime());
        command.arg("--root").arg(&self.root).args(args).stdin(Stdio::null());
        command
    }

    pub fn cmd(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the runtime runs")
    }

    /// `run`, in the foreground.
    pub fn run(&self) -> Output {
        self.write();
        self.cmd(&["run", "--bundle", self.dir.path().to_str().unwrap(), &self.id])
    }

    /// `run`, and what it printed.
    pub fn told(&self) -> String {
        let output = self.run();
        output.expect_success("run");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `create`; the container's output goes to `out` beside the configuration.
    pub fn create(&self) -> Output {
        self.write();
        let out = std::fs::File::create(self.dir.path().join("out")).unwrap();
        let log = self.dir.path().join("log");
        let bundle = self.dir.path().to_str().unwrap();
        let status = self
            .command(&["--log", log.to_str().unwrap(), "create", "--bundle", bundle, &self.id])
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .status()
            .unwrap();
        Output { status, stdout: Vec::new(), stderr: std::fs::read(log).unwrap_or_default() }
    }

    pub fn out(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default()
    }

    pub fn exec(&self, args: &[&str]) -> Output {
        let mut all = vec!["exec", &self.id];
        all.extend(args);
        self.cmd(&all)
    }

    pub fn exec_told(&self, script: &str) -> String {
        let output = self.exec(&["sh", "-c", script]);
        output.expect_success("exec");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn state(&self) -> serde_json::Value {
        let output = self.cmd(&["state", &self.id]);
        output.expect_success("state");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// Until the container is in this state; the deadline is for a runtime that never gets there.
    pub fn wait_for(&self, status: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while self.status() != status {
            assert!(std::time::Instant::now() < deadline, "it never becomes {status}: {}", self.state());
            std::thread::yield_now();
        }
    }

    /// A file of the container's cgroup in the hierarchy of this controller.
    pub fn cgroup_file(&self, controller: &str, file: &str) -> String {
        std::fs::read_to_string(cgroup_folder(controller, &self.id).join(file))
            .unwrap_or_default()
            .trim()
            .to_owned()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = self.cmd(&["delete", "--force", &self.id]);
    }
}

/// Where the suite's containers are in a hierarchy.
pub fn cgroup_folder(controller: &str, id: &str) -> PathBuf {
    let v1 = Path::new("/sys/fs/cgroup").join(controller);
    let base = if v1.exists() { v1 } else { PathBuf::from("/sys/fs/cgroup") };
    base.join(format!("gantry-conformance-{id}"))
}

/// Whether this host has version 1.
pub fn is_v1() -> bool {
    Path::new("/sys/fs/cgroup/memory").exists()
}

pub trait Expect {
    fn expect_success(&self, what: &str);
    fn expect_failure(&self, words: &str);
}

impl Expect for Output {
    #[track_caller]
    fn expect_success(&self, what: &str) {
        assert!(self.status.success(), "{what}: {} {}", self.status, String::from_utf8_lossy(&self.stderr));
    }

    #[track_caller]
    fn expect_failure(&self, words: &str) {
        // A log line may have its quotes escaped.
        let told = String::from_utf8_lossy(&self.stderr).replace("\\\"", "\"");
        assert!(!self.status.success(), "it should have failed");
        assert!(told.contains(words), "it should have said {words:?} and said {told:?}");
    }
}

pub fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

pub fn mount(kind: &str, source: &str, destination: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(source.into()),
        options: strings(options),
        ..Default::default()
    }
}

pub fn caps(names: &[&str]) -> Capabilities {
    let names = strings(names);
    Capabilities { bounding: names.clone(), effective: names.clone(), permitted: names, ..Default::default() }
}

/// What every test starts from: Docker's defaults without seccomp.
fn spec() -> Spec {
    let plain = ["nosuid", "noexec", "nodev"];
    Spec {
        oci_version: "1.0.2".into(),
        process: Some(Process {
            args: strings(&["true"]),
            env: strings(&["PATH=/bin", "TERM=xterm"]),
            cwd: "/".into(),
            capabilities: Some(caps(&[
                "CAP_CHOWN",
                "CAP_KILL",
                "CAP_SETUID",
                "CAP_SETGID",
                "CAP_MKNOD",
                "CAP_NET_BIND_SERVICE",
            ])),
            ..Default::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        hostname: Some("conformance".into()),
        mounts: vec![
            mount("proc", "proc", "/proc", &plain),
            mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "devpts",
                "devpts",
                "/dev/pts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("mqueue", "mqueue", "/dev/mqueue", &plain),
            mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        linux: Some(Linux {
            namespaces: ["pid", "network", "ipc", "uts", "mount"]
                .iter()
                .map(|k| Namespace { kind: k.to_string(), path: None })
                .collect(),
            resources: Some(Resources {
                devices: vec![DeviceRule { allow: false, access: Some("rwm".into()), ..Default::default() }],
                ..Default::default()
            }),
            masked_paths: strings(&[
                "/proc/kcore",
                "/proc/keys",
                "/proc/timer_list",
                "/sys/firmware",
                "/proc/scsi",
            ]),
            readonly_paths: strings(&[
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ]),
            ..Default::default()
        }),
        ..Default::default()
    }
}
