//! Root, mounts, devices, masks.

use std::os::unix::fs::symlink;

use gantry_runtime_lib::spec::{Device, Root};

use crate::bundle::{Bundle, Expect};
use crate::excuse;

#[test]
fn the_root_is_the_bundles_and_nothing_else() {
    let bundle = Bundle::script("ls /; cat /proc/mounts | wc -l");
    let told = bundle.told();
    assert!(told.contains("bin\n") && !told.contains("home"), "{told}");
}

#[test]
fn a_read_only_root_is_read_only() {
    let mut bundle = Bundle::script("touch /x && echo written; touch /dev/shm/x && echo shm");
    bundle.spec.root = Some(Root { path: "rootfs".into(), readonly: true });
    assert_eq!(bundle.told(), "shm\n");
}

#[test]
fn the_default_devices_and_links_are_there() {
    let bundle = Bundle::script(
        "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$d; done; \
         for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x > /dev/null; head -c 1 /dev/zero | wc -c",
    );
    let told = bundle.told();
    for line in [
        "/dev/null character special file 1:3 666",
        "/dev/zero character special file 1:5 666",
        "/dev/full character special file 1:7 666",
        "/dev/random character special file 1:8 666",
        "/dev/urandom character special file 1:9 666",
        "/dev/tty character special file 5:0 666",
        "/proc/self/fd",
        "/proc/self/fd/0",
        "/proc/self/fd/1",
        "/proc/self/fd/2",
        "pts/ptmx",
    ] {
        assert!(told.lines().any(|l| l == line), "{line}: {told}");
    }
}

#[test]
fn further_devices_are_made_with_mode_and_owner() {
    let mut bundle = Bundle::script("stat -c '%F %t:%T %a %u %g' /dev/mine /dev/sub/pipe");
    bundle.linux().devices = vec![
        Device {
            path: "/dev/mine".into(),
            kind: "c".into(),
            major: 10,
            minor: 229,
            file_mode: Some(0o640),
            uid: Some(1000),
            gid: Some(5),
        },
        Device {
            path: "/dev/sub/pipe".into(),
            kind: "p".into(),
            file_mode: Some(0o600),
            ..Default::default()
        },
    ];
    assert_eq!(bundle.told(), "character special file a:e5 640 1000 5\nfifo 0:0 600 0 0\n");
}

#[test]
fn masked_paths_are_empty_and_read_only_paths_cannot_be_written() {
    let mut bundle = Bundle::script(
        "cat /masked/file | wc -c; ls /masked/folder | wc -l; touch /masked/folder/x 2>/dev/null || echo no; \
         echo 1 > /ro/file 2>/dev/null || echo no; cat /ro/file; (echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo no",
    );
    for (path, text) in [("masked/file", "secret"), ("masked/folder/inner", "secret"), ("ro/file", "text\n")]
    {
        let path = bundle.rootfs().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    bundle.linux().masked_paths.extend(["/masked/file", "/masked/folder", "/not/there"].map(str::to_owned));
    bundle.linux().readonly_paths.extend(["/ro", "/not/there"].map(str::to_owned));
    assert_eq!(bundle.told(), "0\n0\nno\nno\ntext\nno\n");
}

#[test]
fn a_folder_and_a_file_are_bound_and_their_places_made() {
    let mut bundle = Bundle::script("cat /new/place/file; cat /etc/new-file; echo changed > /new/place/file");
    let source = bundle.dir.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "from the host\n").unwrap();
    let path = source.to_str().unwrap().to_owned();
    bundle.mount("bind", &path, "/new/place", &["rbind", "rprivate"]);
    bundle.mount("bind", &format!("{path}/file"), "/etc/new-file", &["bind", "ro"]);
    assert_eq!(bundle.told(), "from the host\nfrom the host\n");
    assert_eq!(std::fs::read_to_string(source.join("file")).unwrap(), "changed\n");
}

#[test]
fn a_bind_with_options_has_them() {
    let mut bundle = Bundle::script("touch /m/x 2>/dev/null || echo ro; grep ' /m ' /proc/mounts");
    let source = bundle.dir.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let path = source.to_str().unwrap().to_owned();
    bundle.mount("bind", &path, "/m", &["bind", "ro", "nosuid", "nodev", "noexec"]);
    let told = bundle.told();
    assert!(told.starts_with("ro\n"), "{told}");
    for option in ["ro,", "nosuid", "nodev", "noexec"] {
        assert!(told.contains(option), "{option}: {told}");
    }
}

#[test]
fn a_missing_source_is_refused_and_named() {
    let mut bundle = Bundle::script("true");
    bundle.mount("bind", "/no/such/source", "/m", &["bind"]);
    bundle.run().expect_failure("/no/such/source");
}

#[test]
fn recursively_read_only_reaches_below() {
    excuse!("recursively_read_only_reaches_below");
    let mut bundle = Bundle::script("touch /m/below/x 2>/dev/null && echo written; true");
    let source = bundle.dir.path().join("source");
    std::fs::create_dir_all(source.join("below")).unwrap();
    let below = source.join("below");
    let status = std::process::Command::new("mount").args(["-t", "tmpfs", "t"]).arg(&below).status().unwrap();
    assert!(status.success());
    let path = source.to_str().unwrap().to_owned();
    bundle.mount("bind", &path, "/m", &["rbind", "rro"]);
    let output = bundle.run();
    std::process::Command::new("umount").arg(&below).status().unwrap();
    output.expect_success("run");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn a_tmpfs_has_its_size_and_mode() {
    let mut bundle = Bundle::script("grep ' /t ' /proc/mounts; stat -c %a /t");
    bundle.mount("tmpfs", "tmpfs", "/t", &["nosuid", "size=1m", "mode=0711"]);
    let told = bundle.told();
    assert!(told.contains("size=1024k") && told.ends_with("711\n"), "{told}");
}

#[test]
fn tmpcopyup_brings_what_was_there() {
    let mut bundle = Bundle::script(
        "cat /etc/sub/file; stat -c '%a %u' /etc/sub/file; readlink /etc/link; grep -c ' /etc ' /proc/mounts",
    );
    let etc = bundle.rootfs().join("etc");
    std::fs::create_dir(etc.join("sub")).unwrap();
    std::fs::write(etc.join("sub/file"), "kept\n").unwrap();
    std::os::unix::fs::chown(etc.join("sub/file"), Some(1000), None).unwrap();
    std::fs::set_permissions(etc.join("sub/file"), std::os::unix::fs::PermissionsExt::from_mode(0o640))
        .unwrap();
    symlink("passwd", etc.join("link")).unwrap();
    bundle.mount("tmpfs", "tmpfs", "/etc", &["tmpcopyup"]);
    assert_eq!(bundle.told(), "kept\n640 1000\npasswd\n1\n");
}

#[test]
fn mounts_are_made_in_order() {
    let mut bundle = Bundle::script("ls -d /t/inner && grep -c ' /t' /proc/mounts");
    bundle.mount("tmpfs", "a", "/t", &[]);
    bundle.mount("tmpfs", "b", "/t/inner", &[]);
    assert_eq!(bundle.told(), "/t/inner\n2\n");
}

#[test]
fn a_mount_of_the_container_never_reaches_the_host() {
    let mut bundle = Bundle::script("mount -t tmpfs x /tmp && grep -c ' /tmp ' /proc/mounts");
    bundle.process().capabilities = Some(crate::bundle::caps(&["CAP_SYS_ADMIN"]));
    assert_eq!(bundle.told(), "1\n");
    let here = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!here.contains(bundle.dir.path().to_str().unwrap()));
}

#[test]
fn the_roots_propagation_is_as_asked() {
    excuse!("the_roots_propagation_is_as_asked");
    for (asked, seen) in [("shared", "shared:"), ("private", "")] {
        let mut bundle =
            Bundle::script("grep ' / / ' /proc/self/mountinfo || grep ' / rw' /proc/self/mountinfo");
        bundle.linux().rootfs_propagation = Some(asked.into());
        bundle.process().args[2] = "awk '$5 == \"/\"' /proc/self/mountinfo".into();
        let told = bundle.told();
        let line = told.lines().last().unwrap_or_default();
        assert_eq!(line.contains("shared:"), !seen.is_empty(), "{asked}: {told}");
    }
}

#[test]
fn the_cgroup_mount_shows_the_containers_own() {
    let mut bundle =
        Bundle::script("ls /sys/fs/cgroup | wc -l; touch /sys/fs/cgroup/x 2>/dev/null || echo ro");
    bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]);
    let told = bundle.told();
    assert!(told.ends_with("ro\n") && !told.starts_with("0\n"), "{told}");
}

#[test]
fn preserved_devices_folder_of_the_host_is_left_as_it_is() {
    excuse!("preserved_devices_folder_of_the_host_is_left_as_it_is");
    let mut bundle = Bundle::script("test -e /dev/marker && echo same");
    let dev = bundle.dir.path().join("dev");
    std::fs::create_dir(&dev).unwrap();
    std::fs::write(dev.join("marker"), "").unwrap();
    let path = dev.to_str().unwrap().to_owned();
    bundle.spec.mounts.retain(|m| !m.destination.starts_with("/dev"));
    bundle.mount("bind", &path, "/dev", &["rbind"]);
    assert_eq!(bundle.told(), "same\n");
    assert_eq!(std::fs::read_dir(&dev).unwrap().count(), 1, "nothing was made in the host's folder");
}
