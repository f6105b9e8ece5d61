//! Ways out of a container that others have had, and seccomp.

use std::os::unix::fs::symlink;

use gantry_runtime_lib::spec::{Seccomp, SeccompArg, SeccompRule};

use crate::bundle::{Bundle, Expect, strings};
use crate::excuse;

fn rule(names: &[&str], action: &str, args: Vec<SeccompArg>) -> SeccompRule {
    SeccompRule { names: strings(names), action: action.into(), errno_ret: None, args }
}

#[test]
fn seccomp_decides_on_calls_and_arguments() {
    let mut bundle = Bundle::script(
        "mkdir /tmp/x 2>&1; chmod 777 /etc/passwd 2>&1; uname -s; grep Seccomp: /proc/self/status",
    );
    bundle.linux().seccomp = Some(Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        syscalls: vec![
            SeccompRule { errno_ret: Some(30), ..rule(&["mkdir", "mkdirat"], "SCMP_ACT_ERRNO", vec![]) },
            rule(&["chmod", "fchmodat", "fchmodat2"], "SCMP_ACT_ERRNO", vec![]),
        ],
        ..Default::default()
    });
    let output = bundle.run();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("Read-only file system") && told.contains("Operation not permitted"), "{told}");
    assert!(told.contains("Linux\n") && told.contains("Seccomp:\t2"), "{told}");
}

#[test]
fn seccomp_holds_for_an_exec_and_with_and_without_new_privileges() {
    for no_new_privileges in [true, false] {
        let bundle = Bundle::running(|b| {
            b.process().no_new_privileges = no_new_privileges;
            b.process().user.uid = 1000;
            b.linux().seccomp = Some(Seccomp {
                default_action: "SCMP_ACT_ALLOW".into(),
                architectures: strings(&["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
                syscalls: vec![rule(&["mkdir", "mkdirat"], "SCMP_ACT_ERRNO", vec![])],
                ..Default::default()
            });
        });
        let told = bundle.exec_told("mkdir /tmp/y 2>&1; grep Seccomp: /proc/self/status; grep CapBnd /proc/self/status /proc/1/status");
        assert!(told.contains("Operation not permitted") && told.contains("Seccomp:\t2"), "{told}");
    }
}

#[test]
fn a_seccomp_profile_nobody_understands_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.linux().seccomp = Some(Seccomp { default_action: "SCMP_ACT_NOPE".into(), ..Default::default() });
    assert!(!bundle.run().status.success());
}

/// CVE-2021-30465, CVE-2019-16884: the image's links decide where a mount goes.
#[test]
fn a_link_in_the_image_cannot_lead_a_mount_out() {
    let mut bundle = Bundle::script("ls /victim 2>/dev/null; grep -c victim /proc/mounts; true");
    let victim = bundle.dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    symlink(&victim, bundle.rootfs().join("abs")).unwrap();
    symlink("../../../../../../../../../../../..", bundle.rootfs().join("up")).unwrap();
    bundle.mount("tmpfs", "tmpfs", "/abs/inner", &[]);
    bundle.mount("tmpfs", "tmpfs", "/up/out-of-it", &[]);
    let _ = bundle.run();
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    assert!(!std::path::Path::new("/out-of-it").exists());
}

/// CVE-2019-16884, CVE-2019-19921: `/proc` of the image is a link.
#[test]
fn proc_is_only_mounted_on_an_ordinary_folder() {
    let bundle = Bundle::script("true");
    std::fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    symlink("/tmp", bundle.rootfs().join("proc")).unwrap();
    assert!(!bundle.run().status.success());
}

#[test]
fn nothing_covers_what_is_inside_proc() {
    excuse!("nothing_covers_what_is_inside_proc");
    let mut bundle = Bundle::script("true");
    bundle.mount("tmpfs", "tmpfs", "/proc/self/attr", &[]);
    assert!(!bundle.run().status.success());
    let mut allowed = Bundle::script("cat /proc/uptime");
    let file = allowed.dir.path().join("uptime");
    std::fs::write(&file, "1.00 1.00\n").unwrap();
    let path = file.to_str().unwrap().to_owned();
    allowed.mount("bind", &path, "/proc/uptime", &["bind", "ro"]);
    assert_eq!(allowed.told(), "1.00 1.00\n");
}

/// CVE-2025-52881: a link of the image leads a mount into `/proc`.
#[test]
fn a_link_to_proc_is_inside_proc_too() {
    excuse!("a_link_to_proc_is_inside_proc_too");
    let mut bundle = Bundle::script("true");
    symlink("/proc", bundle.rootfs().join("innocent")).unwrap();
    bundle.mount("tmpfs", "tmpfs", "/innocent/self/attr", &[]);
    assert!(!bundle.run().status.success());
}

/// CVE-2019-5736: the container opens the runtime's file through the process that execs into it.
#[test]
fn the_runtimes_own_file_cannot_be_written_from_inside() {
    let bundle = Bundle::running(|b| {
        b.process().capabilities = Some(crate::bundle::caps(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]));
    });
    let script = "#!/proc/self/exe\n";
    let path = bundle.rootfs().join("bin/trap");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // The runtime becomes the interpreter of the script: it runs itself inside and fails in its own words.
    let watcher = bundle.command(&[
        "exec",
        &bundle.id,
        "sh",
        "-c",
        "n=0; while [ $n -lt 3000 ]; do for p in /proc/[0-9]*; do \
           if ! cmp -s $p/exe /bin/busybox 2>/dev/null && (: >> $p/exe) 2>/dev/null; then echo WRITTEN $p; exit; fi; \
         done; n=$((n+100)); done; echo safe",
    ])
    .stdout(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    for _ in 0..20 {
        let _ = bundle.exec(&["trap", "--version"]);
    }
    let told = String::from_utf8_lossy(&watcher.wait_with_output().unwrap().stdout).into_owned();
    assert!(!told.contains("WRITTEN"), "{told}");
}

/// CVE-2024-21626: the working folder is a descriptor of the host.
#[test]
fn a_working_folder_behind_a_descriptor_is_refused() {
    for number in 3..12 {
        let mut bundle = Bundle::script("cat ../../../../../../etc/hostname 2>/dev/null; pwd");
        bundle.process().cwd = format!("/proc/self/fd/{number}");
        let output = bundle.run();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            !output.status.success() || told.trim().is_empty() || told.starts_with("/proc"),
            "{number}: {told}"
        );
    }
}

/// CVE-2025-31133: the image's `/dev/null` is a link to what is to be written.
#[test]
fn a_null_device_of_the_image_masks_nothing() {
    excuse!("a_null_device_of_the_image_masks_nothing");
    let mut bundle = Bundle::script("cat /proc/kcore | wc -c; stat -c '%F' /dev/null");
    bundle.spec.mounts.retain(|m| !m.destination.starts_with("/dev"));
    symlink("/etc/passwd", bundle.rootfs().join("dev/null")).unwrap();
    assert_eq!(bundle.told(), "0\ncharacter special file\n");
}

#[test]
fn a_process_cannot_be_looked_into_while_it_enters() {
    let bundle = Bundle::running(|_| {});
    // What runs after the entry is dumpable again: the mark is only for the way in.
    assert_eq!(bundle.exec_told("stat -c %u /proc/self/status"), "0\n");
    bundle.exec(&["true"]).expect_success("exec");
}
