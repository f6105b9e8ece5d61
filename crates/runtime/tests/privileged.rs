//! The library as the shim uses it: gate in this process, overlay root, pipes and terminals, several sessions.
//! Needs root and busybox-static. It has a `main` of its own because the library wants a single thread.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_runtime_lib::spec::*;
use gantry_runtime_lib::{Container, Create, Error, Exec, Gate, RootMount, Session, Status, Stdio, create};
use rustix::process::{WaitId, WaitIdOptions, waitid};

type Test = (&'static str, fn());

fn main() {
    let tests: &[Test] = &[
        ("an_overlay_is_mounted_inside_and_nothing_is_left_outside", an_overlay_is_mounted_inside),
        ("sessions_have_pipes_and_codes_of_their_own", sessions_have_pipes_and_codes_of_their_own),
        ("a_terminal_is_handed_back", a_terminal_is_handed_back),
        ("a_command_that_is_missing_is_told_and_nothing_is_left", a_missing_command_is_told),
        ("a_container_is_found_again_by_its_record", a_container_is_found_again_by_its_record),
        ("a_precompiled_seccomp_program_is_taken", a_precompiled_seccomp_program_is_taken),
        ("a_container_never_started_ends_with_its_handle", a_container_never_started_ends),
        ("an_overlay_works_in_a_user_namespace", an_overlay_works_in_a_user_namespace),
    ];
    let wanted = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    for (name, test) in tests.iter().filter(|(n, _)| wanted.as_ref().is_none_or(|w| n.contains(w.as_str()))) {
        test();
        println!("test {name} ... ok");
    }
}

struct Bundle {
    dir: tempfile::TempDir,
    spec: Spec,
    id: String,
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

fn bundle(command: &[&str]) -> Bundle {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let lower = dir.path().join("lower");
    for folder in ["bin", "proc", "dev", "etc", "tmp"] {
        std::fs::create_dir_all(lower.join(folder)).unwrap();
    }
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].iter().find(|p| Path::new(p).exists()).expect("busybox-static");
    std::fs::copy(busybox, lower.join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "cat", "touch", "tty", "grep", "true", "id", "mkdir"] {
        std::os::unix::fs::symlink("busybox", lower.join("bin").join(applet)).unwrap();
    }
    for folder in ["upper", "work"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let id = format!("lib-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mount = |kind: &str, destination: &str, options: &[&str]| Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(kind.into()),
        options: strings(options),
        ..Default::default()
    };
    let spec = Spec {
        oci_version: "1.2.0".into(),
        process: Some(Process {
            args: strings(command),
            env: strings(&["PATH=/bin"]),
            cwd: "/".into(),
            capabilities: Some(Capabilities::default()),
            ..Default::default()
        }),
        mounts: vec![
            mount("proc", "/proc", &[]),
            mount("tmpfs", "/dev", &["mode=755"]),
            mount("devpts", "/dev/pts", &["newinstance", "ptmxmode=0666", "mode=0620"]),
        ],
        linux: Some(Linux {
            namespaces: ["pid", "network", "ipc", "uts", "mount"]
                .iter()
                .map(|k| Namespace { kind: k.to_string(), path: None })
                .collect(),
            cgroups_path: Some(format!("/gantry-lib-test-{id}")),
            ..Default::default()
        }),
        ..Default::default()
    };
    Bundle { dir, spec, id }
}

impl Bundle {
    fn overlay(&self) -> RootMount {
        RootMount::Overlay {
            lower: vec![self.dir.path().join("lower")],
            upper: Some(self.dir.path().join("upper")),
            work: Some(self.dir.path().join("work")),
            options: Vec::new(),
        }
    }

    fn create(&self, stdio: Stdio, seccomp: Option<&[u8]>) -> Result<Container, Error> {
        create(Create {
            id: &self.id,
            bundle: self.dir.path(),
            spec: &self.spec,
            root: &self.overlay(),
            stdio,
            gate: Gate::Here,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            seccomp,
        })
    }

    fn cgroup(&self) -> PathBuf {
        let v1 = Path::new("/sys/fs/cgroup/pids");
        let base = if v1.exists() { v1 } else { Path::new("/sys/fs/cgroup") };
        base.join(format!("gantry-lib-test-{}", self.id))
    }
}

/// Standard streams: nothing in, one pipe out.
fn piped() -> (Stdio, File) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let stdin: OwnedFd = File::open("/dev/null").unwrap().into();
    (Stdio::Files { stdin, stdout: write.try_clone().unwrap(), stderr: write }, read.into())
}

fn told(mut pipe: File) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

fn reap(pidfd: std::os::fd::BorrowedFd<'_>) -> Option<i32> {
    waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).unwrap().unwrap().exit_status()
}

fn code(session: &Session) -> Option<i32> {
    reap(session.pidfd())
}

fn an_overlay_is_mounted_inside() {
    let bundle = bundle(&["sh", "-c", "touch /made; echo out; exit 4"]);
    let (stdio, out) = piped();
    let mut container = bundle.create(stdio, None).unwrap();
    assert_eq!(container.status().unwrap(), Status::Created);
    let here = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!here.contains(bundle.dir.path().to_str().unwrap()), "nothing is mounted on the host");
    container.start().unwrap();
    assert_eq!(told(out), "out\n");
    assert_eq!(reap(container.pidfd()), Some(4));
    assert_eq!(container.status().unwrap(), Status::Stopped);
    assert!(bundle.dir.path().join("upper/made").exists() && !bundle.dir.path().join("lower/made").exists());
    container.delete().unwrap();
    container.delete().expect("twice is no error");
    assert!(!bundle.cgroup().exists());
}

fn session(container: &Container, script: &str) -> (Session, File) {
    let (stdio, out) = piped();
    let mut process = container.record().process.clone();
    process.args = strings(&["sh", "-c", script]);
    let exec = Exec { process: &process, stdio, seccomp: None, preserve_fds: 0, sub_cgroup: None };
    (container.exec(exec).unwrap(), out)
}

fn sessions_have_pipes_and_codes_of_their_own() {
    let bundle = bundle(&["sleep", "1000"]);
    let (stdio, _out) = piped();
    let mut container = bundle.create(stdio, None).unwrap();
    container.start().unwrap();
    let all: Vec<(Session, File)> =
        (0..5).map(|n| session(&container, &format!("echo {n}; exit {n}"))).collect();
    for (n, (session, out)) in all.into_iter().enumerate() {
        assert_eq!((told(out), code(&session)), (format!("{n}\n"), Some(n as i32)));
    }
    // Our own children are not in the container's pid namespace afterwards.
    let (session, out) = session(&container, "cat /proc/self/stat");
    assert_ne!(told(out).split(' ').next().unwrap(), session.pid().to_string());
    assert_eq!(code(&session), Some(0));
    assert_eq!(container.processes().unwrap(), [container.pid()]);
    container.pause().unwrap();
    assert_eq!(container.status().unwrap(), Status::Paused);
    container.resume().unwrap();
    container.delete().unwrap();
    assert_eq!(reap(container.pidfd()), None, "killed");
    assert!(!bundle.cgroup().exists());
}

fn a_terminal_is_handed_back() {
    let mut bundle = bundle(&["sh", "-c", "tty; read x; echo got $x"]);
    bundle.spec.process.as_mut().unwrap().terminal = true;
    let mut container = bundle.create(Stdio::Terminal, None).unwrap();
    let mut master: File = container.take_console().expect("a terminal").into();
    assert!(container.take_console().is_none());
    container.start().unwrap();
    master.write_all(b"word\n").unwrap();
    let (mut text, mut buffer) = (String::new(), [0u8; 256]);
    while let Ok(n @ 1..) = master.read(&mut buffer) {
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    assert!(text.contains("/dev/pts/0") && text.contains("got word"), "{text}");
    reap(container.pidfd());
    container.delete().unwrap();
}

fn a_missing_command_is_told() {
    for (command, exit) in [("no-such", 127), ("/etc", 126), ("/no/such", 127)] {
        let bundle = bundle(&[command]);
        let (stdio, _out) = piped();
        let error = bundle.create(stdio, None).unwrap_err();
        assert_eq!(error.exit_code(), exit, "{error}");
        assert!(!bundle.cgroup().exists());
    }
    // A script whose interpreter is missing is only found out by execve itself.
    let bundle = bundle(&["/bin/script"]);
    let script = bundle.dir.path().join("lower/bin/script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (stdio, _out) = piped();
    let mut container = bundle.create(stdio, None).unwrap();
    let error = container.start().unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string().as_str()),
        (127, "exec /bin/script: no such file or directory")
    );
    reap(container.pidfd());
    container.delete().unwrap();
}

fn a_container_is_found_again_by_its_record() {
    let bundle = bundle(&["sleep", "1000"]);
    let gate = bundle.dir.path().join("gate");
    std::fs::create_dir(&gate).unwrap();
    let (stdio, _out) = piped();
    let mut created = create(Create {
        id: &bundle.id,
        bundle: bundle.dir.path(),
        spec: &bundle.spec,
        root: &bundle.overlay(),
        stdio,
        gate: Gate::Folder(&gate),
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        seccomp: None,
    })
    .unwrap();
    let record = serde_json::to_vec(created.record()).unwrap();
    created.keep().unwrap();
    drop(created);
    let mut found = Container::attach(serde_json::from_slice(&record).unwrap(), Some(&gate)).unwrap();
    assert_eq!(found.status().unwrap(), Status::Created);
    found.start().unwrap();
    assert_eq!(found.status().unwrap(), Status::Running);
    assert!(matches!(found.start(), Err(Error::WrongState(_))));
    found.kill(9).unwrap();
    reap(found.pidfd());
    let mut gone = Container::attach(serde_json::from_slice(&record).unwrap(), Some(&gate)).unwrap();
    assert_eq!(gone.status().unwrap(), Status::Stopped);
    assert!(gone.kill(9).is_err());
    gone.delete().unwrap();
    assert!(!bundle.cgroup().exists());
}

fn a_precompiled_seccomp_program_is_taken() {
    let mut bundle = bundle(&["sh", "-c", "mkdir /x 2>/dev/null || echo refused"]);
    let profile = Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        syscalls: vec![SeccompRule {
            names: strings(&["mkdir", "mkdirat"]),
            action: "SCMP_ACT_ERRNO".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let program = gantry_seccomp::compile(&profile).unwrap().to_bytes();
    bundle.spec.process.as_mut().unwrap().no_new_privileges = true;
    let (stdio, out) = piped();
    let mut container = bundle.create(stdio, Some(&program)).unwrap();
    assert_eq!(container.seccomp_program(), Some(program.as_slice()));
    container.start().unwrap();
    assert_eq!(told(out), "refused\n");
    reap(container.pidfd());
    container.delete().unwrap();
}

fn a_container_never_started_ends() {
    let bundle = bundle(&["sleep", "1000"]);
    let (stdio, _out) = piped();
    let container = bundle.create(stdio, None).unwrap();
    let pidfd = container.pidfd().try_clone_to_owned().unwrap();
    let record = container.record().clone();
    drop(container);
    assert_eq!(reap(std::os::fd::AsFd::as_fd(&pidfd)), Some(1));
    Container::attach(record, None).unwrap().delete().unwrap();
    assert!(!bundle.cgroup().exists());
}

fn an_overlay_works_in_a_user_namespace() {
    let mut bundle = bundle(&["sh", "-c", "id -u; touch /made && echo made"]);
    let map = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65_536 }];
    let linux = bundle.spec.linux.as_mut().unwrap();
    linux.namespaces.push(Namespace { kind: "user".into(), path: None });
    (linux.uid_mappings, linux.gid_mappings) = (map.clone(), map);
    for folder in ["lower", "upper"] {
        let mut chown = std::process::Command::new("chown");
        chown.args(["-R", "100000:100000"]).arg(bundle.dir.path().join(folder));
        assert!(chown.status().unwrap().success());
    }
    let (stdio, out) = piped();
    let mut container = bundle.create(stdio, None).unwrap();
    container.start().unwrap();
    assert_eq!(told(out), "0\nmade\n");
    reap(container.pidfd());
    container.delete().unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(bundle.dir.path().join("upper/made")).unwrap().uid(), 100_000);
}
