//! Runs OCI runtimes side by side on one bundle with Docker's whole feature set and prints what each needs:
//! `runtime-bench ROUNDS NAME=PATH...`; the first is the one that the others are compared with. Called by
//! `bench/runtime.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gantry_runtime_lib::spec::*;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(rounds), true) = (args.first().and_then(|a| a.parse::<usize>().ok()), args.len() > 1) else {
        eprintln!("usage: runtime-bench ROUNDS NAME=PATH...");
        std::process::exit(2);
    };
    let runtimes: Vec<(&str, &str)> = args[1..].iter().filter_map(|a| a.split_once('=')).collect();
    let dir = tempfile::tempdir().expect("a folder");
    prepare(dir.path());
    type Step = fn(&str, &Path, &str);
    let cases: [(&str, Step); 3] = [
        ("run true (create, start, delete in one)", |r, d, id| {
            ok(runtime(r, d).args(["run", "-b"]).arg(d).arg(id))
        }),
        ("create + start + delete, a call each", |r, d, id| {
            ok(runtime(r, d).args(["create", "-b"]).arg(d).arg(id));
            ok(runtime(r, d).args(["start", id]));
            wait_stopped(r, d, id);
            ok(runtime(r, d).args(["delete", id]));
        }),
        ("fork and exec of true, the floor", |_, _, _| ok(&mut Command::new("/bin/true"))),
    ];
    for (name, step) in cases {
        compare(name, rounds, &runtimes, |r, n| {
            step(r, dir.path(), &format!("bench-{}-{n}", std::process::id()))
        });
    }
    let ids: Vec<String> =
        runtimes.iter().map(|(name, _)| format!("bench-exec-{}-{name}", std::process::id())).collect();
    let sleeper = tempfile::tempdir().expect("a folder");
    prepare_with(sleeper.path(), &["sleep", "1000"]);
    for ((_, r), id) in runtimes.iter().zip(&ids) {
        ok(runtime(r, sleeper.path()).args(["run", "-d", "-b"]).arg(sleeper.path()).arg(id));
    }
    compare("exec true", rounds, &runtimes, |r, _| {
        let at = runtimes.iter().position(|(_, path)| *path == r).expect("one of them");
        ok(runtime(r, sleeper.path()).args(["exec", &ids[at], "true"]));
    });
    for ((_, r), id) in runtimes.iter().zip(&ids) {
        ok(runtime(r, sleeper.path()).args(["delete", "-f", id]));
    }
}

fn compare(what: &str, rounds: usize, runtimes: &[(&str, &str)], step: impl Fn(&str, usize)) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); runtimes.len()];
    for round in 0..rounds + 2 {
        for (at, (_, path)) in runtimes.iter().enumerate() {
            let begun = Instant::now();
            step(path, round * 10 + at);
            // The first two rounds warm the caches.
            if round >= 2 {
                times[at].push(begun.elapsed());
            }
        }
    }
    println!("{what}");
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let mut first = None;
    for ((name, _), all) in runtimes.iter().zip(&mut times) {
        all.sort();
        let median = ms(all[all.len() / 2]);
        let ratio = *first.get_or_insert(median) / median;
        println!(
            "  {name:10} median {median:7.2} ms  min {:7.2}  max {:7.2}  first/this {ratio:.3}",
            ms(all[0]),
            ms(all[all.len() - 1]),
        );
    }
}

fn runtime(path: &str, dir: &Path) -> Command {
    let name = Path::new(path).file_name().unwrap_or_default();
    let mut command = Command::new(path);
    command.arg("--root").arg(dir.join("state").join(name));
    command
}

fn ok(command: &mut Command) {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()
        .expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
}

fn wait_stopped(path: &str, dir: &Path, id: &str) {
    loop {
        let output = runtime(path, dir).args(["state", id]).output().expect("it runs");
        if String::from_utf8_lossy(&output.stdout).contains("\"stopped\"") {
            return;
        }
    }
}

fn prepare(dir: &Path) {
    prepare_with(dir, &["true"]);
}

fn prepare_with(dir: &Path, args: &[&str]) {
    let bin = dir.join("rootfs/bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    for folder in ["proc", "sys", "dev", "etc"] {
        std::fs::create_dir_all(dir.join("rootfs").join(folder)).expect("a folder");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().map(PathBuf::from).find(|p| p.exists());
    std::fs::copy(busybox.expect("busybox-static is installed"), bin.join("busybox")).expect("a copy");
    for name in ["true", "sleep", "sh"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).expect("a link");
    }
    std::fs::create_dir_all(dir.join("state")).expect("a folder");
    std::fs::write(dir.join("config.json"), serde_json::to_vec(&spec(args)).expect("JSON")).expect("a file");
}

/// What Docker asks for when nothing is said.
fn spec(args: &[&str]) -> Spec {
    let words = |list: &[&str]| list.iter().map(|w| w.to_string()).collect::<Vec<_>>();
    let caps = words(&[
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ]);
    let mount = |kind: &str, destination: &str, options: &[&str]| Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(kind.into()),
        options: words(options),
        ..Default::default()
    };
    let plain = ["nosuid", "noexec", "nodev"];
    let facts = gantry_seccomp::docker::Facts::of_host(&caps);
    let mut seccomp = gantry_seccomp::docker::default().resolve(&facts).expect("Docker's profile");
    // runc 1.1 knows no calls younger than itself and is asked for none; the others do not mind.
    seccomp.flags.clear();
    Spec {
        oci_version: "1.0.2".into(),
        process: Some(Process {
            args: words(args),
            env: words(&["PATH=/bin", "HOME=/root"]),
            cwd: "/".into(),
            capabilities: Some(Capabilities {
                bounding: caps.clone(),
                effective: caps.clone(),
                permitted: caps.clone(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        hostname: Some("bench".into()),
        mounts: vec![
            mount("proc", "/proc", &plain),
            mount("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "devpts",
                "/dev/pts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
            mount("mqueue", "/dev/mqueue", &plain),
            mount("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
        ],
        linux: Some(Linux {
            namespaces: ["mount", "network", "uts", "pid", "ipc"]
                .iter()
                .map(|k| Namespace { kind: k.to_string(), path: None })
                .collect(),
            resources: Some(Resources {
                devices: vec![DeviceRule { allow: false, access: Some("rwm".into()), ..Default::default() }],
                memory: Some(Memory { limit: Some(256 << 20), ..Default::default() }),
                pids: Some(Pids { limit: Some(100) }),
                ..Default::default()
            }),
            seccomp: Some(seccomp),
            masked_paths: words(&[
                "/proc/asound",
                "/proc/acpi",
                "/proc/kcore",
                "/proc/keys",
                "/proc/latency_stats",
                "/proc/timer_list",
                "/proc/timer_stats",
                "/proc/sched_debug",
                "/proc/scsi",
                "/sys/firmware",
            ]),
            readonly_paths: words(&[
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
