//! Other people's engines with our runtime below: podman and containerd, as Debian has them, each with folders and
//! sockets of its own. An engine that is not installed is told and left out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const RUNTIME: &str = env!("CARGO_BIN_EXE_gantry-runtime");

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("{program} is not installed: left out");
    }
    found
}

/// A root file system with a busybox in it.
fn rootfs(dir: &Path) -> PathBuf {
    let root = dir.join("rootfs");
    for folder in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].iter().find(|p| Path::new(p).exists()).expect("busybox-static");
    std::fs::copy(busybox, root.join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "id", "ps", "grep", "cat", "tty"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    root
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

struct Podman(tempfile::TempDir);

impl Podman {
    fn run(&self, args: &[&str]) -> Output {
        let dir = self.0.path();
        Command::new("podman")
            .arg("--root")
            .arg(dir.join("root"))
            .arg("--runroot")
            .arg(dir.join("run"))
            .args([
                "--cgroup-manager",
                "cgroupfs",
                "--storage-driver",
                "vfs",
                "--events-backend",
                "file",
                "--runtime",
                RUNTIME,
            ])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// `run` with what every container of the test needs: limits that this user may set, no network.
    fn container(&self, flags: &[&str], command: &[&str]) -> Output {
        let rootfs = self.0.path().join("rootfs");
        let mut args = vec![
            "run",
            "--network",
            "none",
            "--ulimit",
            "nofile=20000:20000",
            "--ulimit",
            "nproc=32768:32768",
        ];
        args.extend(flags);
        args.extend(["--rootfs", rootfs.to_str().unwrap()]);
        args.extend(command);
        self.run(&args)
    }
}

#[test]
fn podman_runs_its_containers() {
    if !installed("podman") {
        return;
    }
    let podman = Podman(tempfile::tempdir().unwrap());
    rootfs(podman.0.path());
    let told = podman.container(&["--rm"], &["sh", "-c", "id -u; grep Seccomp: /proc/self/status; exit 7"]);
    assert_eq!(told.status.code(), Some(7), "{}", text(&told));
    assert!(text(&told).contains("Seccomp:\t2"), "{}", text(&told));
    assert_eq!(podman.container(&["--rm"], &["no-such-command"]).status.code(), Some(127));
    let told = podman.container(&["--rm", "-t"], &["tty"]);
    assert!(text(&told).contains("/dev/pts/0"), "{}", text(&told));

    let name = format!("gantry-podman-{}", std::process::id());
    let begun = podman
        .container(&["-d", "--name", &name, "--memory", "64m", "--pids-limit", "50"], &["sleep", "1000"]);
    assert!(begun.status.success(), "{}", text(&begun));
    let exec = podman.run(&["exec", &name, "sh", "-c", "ps; exit 3"]);
    assert_eq!(exec.status.code(), Some(3), "{}", text(&exec));
    assert!(text(&exec).contains("sleep 1000"));
    for verb in ["pause", "unpause"] {
        let done = podman.run(&[verb, &name]);
        assert!(done.status.success(), "{verb}: {}", text(&done));
    }
    let done = podman.run(&["rm", "-f", "-t", "0", &name]);
    assert!(done.status.success(), "{}", text(&done));
}

struct Containerd {
    dir: tempfile::TempDir,
    daemon: Child,
}

impl Containerd {
    fn start() -> Containerd {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path().display();
        let config = format!(
            "version = 2\nroot = \"{d}/root\"\nstate = \"{d}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{d}/sock\"\n[ttrpc]\naddress = \"{d}/ttrpc\"\n"
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let daemon = Command::new("containerd")
            .arg("-c")
            .arg(dir.path().join("config.toml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let containerd = Containerd { dir, daemon };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !containerd.ctr(&["version"]).status.success() {
            assert!(std::time::Instant::now() < deadline, "containerd does not come up");
            std::thread::yield_now();
        }
        containerd
    }

    fn ctr(&self, args: &[&str]) -> Output {
        let socket = self.dir.path().join("sock");
        Command::new("ctr").arg("-a").arg(socket).args(args).stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn containerd_runs_its_containers() {
    if !installed("containerd") || !installed("ctr") {
        return;
    }
    let containerd = Containerd::start();
    let root = rootfs(containerd.dir.path());
    let root = root.to_str().unwrap();
    let id = format!("gantry-ctr-{}", std::process::id());
    let run =
        ["run", "--rm", "--runc-binary", RUNTIME, "--rootfs", root, &id, "/bin/sh", "-c", "id -u; exit 7"];
    let told = containerd.ctr(&run);
    assert_eq!(told.status.code(), Some(7), "{}", text(&told));

    let begun =
        containerd.ctr(&["run", "-d", "--runc-binary", RUNTIME, "--rootfs", root, &id, "/bin/sleep", "1000"]);
    assert!(begun.status.success(), "{}", text(&begun));
    let exec = containerd.ctr(&["task", "exec", "--exec-id", "e", &id, "/bin/sh", "-c", "ps; exit 5"]);
    assert_eq!(exec.status.code(), Some(5), "{}", text(&exec));
    assert!(text(&exec).contains("sleep 1000"), "{}", text(&exec));
    for step in [
        &["task", "pause", &id][..],
        &["task", "resume", &id],
        &["task", "metrics", &id],
        &["task", "rm", "--force", &id],
        &["container", "rm", &id],
    ] {
        let done = containerd.ctr(step);
        assert!(done.status.success(), "{step:?}: {}", text(&done));
    }
}
