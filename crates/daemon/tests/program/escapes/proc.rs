//! `/proc`, `/sys`, `/dev`: what an image puts in their place, and what is refused to those who find the real ones.

use std::os::unix::fs::{MetadataExt, symlink};

use super::{hostile_image, run};
use crate::harness::Engine;

/// CVE-2023-27561, CVE-2023-28642, CVE-2019-19921: an image whose `/proc` or `/sys` is a link would have masks and
/// labels written where it says.
#[test]
fn an_image_whose_proc_or_sys_is_a_link_does_not_start() {
    let engine = Engine::start();
    for name in ["proc", "sys"] {
        hostile_image(&engine, name, &[], |root| {
            std::fs::create_dir_all(root.join("fake/self/attr")).unwrap();
            symlink("fake", root.join(name)).unwrap();
        });
        let said = engine.docker([
            "run",
            "--rm",
            "--network",
            "none",
            name,
            "sh",
            "-c",
            "cat /proc/1/comm; ls -l /",
        ]);
        let really = said.code != 0 && said.stderr.contains("must be mounted on ordinary directory");
        assert!(really, "{name}: {said:?}");
    }
}

/// CVE-2019-16884: a volume over `/proc` hides the files that labels are written to.
#[test]
fn a_volume_over_proc_is_refused() {
    let engine = Engine::start();
    hostile_image(&engine, "over", &["VOLUME /proc"], |root| std::fs::create_dir(root.join("proc")).unwrap());
    let said = engine.docker(["run", "--rm", "--network", "none", "over", "cat", "/proc/self/attr/current"]);
    assert_ne!(said.code, 0, "{said:?}");
    for place in
        ["/proc", "/proc/self", "/proc/self/attr", "/proc/sys", "/proc/sys/kernel", "/proc/1", "/proc/acpi"]
    {
        let volume = format!("vol:{place}");
        let said = run(&engine, &["-v", &volume], "true");
        assert_ne!(said.code, 0, "{place}: {said:?}");
    }
    // CVE-2025-52881: the same by a link of the image.
    hostile_image(&engine, "linked", &[], |root| {
        std::fs::create_dir(root.join("proc")).unwrap();
        symlink("/proc/self/attr", root.join("here")).unwrap();
        symlink("/proc/sys", root.join("there")).unwrap();
    });
    for place in ["vol:/here", "vol:/there/kernel"] {
        let said = engine.docker(["run", "--rm", "--network", "none", "-v", place, "linked", "true"]);
        assert_ne!(said.code, 0, "{place}: {said:?}");
    }
}

/// CVE-2025-52881: a sysctl is written through a procfs nobody in the container can cover: it lands where it belongs,
/// and nowhere on the host.
#[test]
fn a_sysctl_lands_in_the_containers_namespace() {
    let engine = Engine::start();
    let host = std::fs::read_to_string("/proc/sys/kernel/shm_rmid_forced").unwrap();
    let other = if host.trim() == "0" { "1" } else { "0" };
    let flag = format!("kernel.shm_rmid_forced={other}");
    assert_eq!(run(&engine, &["--sysctl", &flag], "cat /proc/sys/kernel/shm_rmid_forced").ok(), other);
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/shm_rmid_forced").unwrap(), host);
    for key in [
        "kernel.core_pattern=|/x",
        "vm.overcommit_memory=1",
        "kernel/../vm/swappiness=1",
        "net/../kernel/core_pattern=|/x",
    ] {
        let said = run(&engine, &["--sysctl", key], "true");
        assert_ne!(said.code, 0, "{key}: {said:?}");
    }
}

/// CVE-2025-31133: an image's own `/dev/null` is what masked paths would be covered with.
#[test]
fn masks_are_made_of_the_hosts_null() {
    let engine = Engine::start();
    hostile_image(&engine, "null", &[], |root| {
        for name in ["proc", "dev"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        symlink("/proc/sys/kernel/core_pattern", root.join("dev/null")).unwrap();
    });
    let look = "stat -c '%F %t:%T' /dev/null /proc/keys /proc/timer_list && cat /proc/keys";
    let said = engine.docker(["run", "--rm", "--network", "none", "null", "sh", "-c", look]).ok();
    for line in said.lines() {
        assert_eq!(line, "character special file 1:3", "{said}");
    }
    assert!(said.lines().count() >= 3, "{said}");
}

/// The mask is the host's own node: who may change its mode or owner by `/proc/keys` has changed the host's `/dev/null`.
#[test]
fn a_mask_does_not_lend_the_hosts_null() {
    let engine = Engine::start();
    let before = std::fs::metadata("/dev/null").unwrap();
    // Each leaves the node as it is where it is not refused.
    let probe = "for f in $(cut -d' ' -f2,3 /proc/self/mounts | sed -n 's/ devtmpfs//p'); do
            chmod 666 $f 2>/dev/null && echo CHANGED $f
            chown 0:0 $f 2>/dev/null && echo OWNED $f
            echo text >$f && [ \"$(wc -c <$f)\" = 0 ] && echo works
        done; chmod 600 /dev/null && stat -c %a /dev/null";
    let said = run(&engine, &[], probe).ok();
    assert!(said.contains("works") && !said.contains("CHANGED") && !said.contains("OWNED"), "{said}");
    assert!(said.ends_with("600"), "its own is its own: {said}");
    let after = std::fs::metadata("/dev/null").unwrap();
    assert_eq!((after.mode(), after.uid(), after.ctime()), (before.mode(), before.uid(), before.ctime()));
}

/// CVE-2025-52565: `/dev/console` of the image leads elsewhere, so that the terminal is attached there, or what it
/// leads to is shown in its place.
#[test]
fn a_console_is_not_led_astray() {
    let engine = Engine::start();
    for (name, to) in
        [("attr", "/proc/self/attr/exec"), ("core", "/proc/sys/kernel/core_pattern"), ("pts", "/etc")]
    {
        hostile_image(&engine, name, &[], |root| {
            for folder in ["proc", "dev"] {
                std::fs::create_dir(root.join(folder)).unwrap();
            }
            symlink(to, root.join("dev/console")).unwrap();
            std::fs::create_dir_all(root.join("dev/pts")).unwrap();
            symlink("/proc/sysrq-trigger", root.join("dev/ptmx")).unwrap();
            symlink("/proc/self/fd/0", root.join("dev/pts/ptmx")).unwrap();
        });
        // A `/dev` of the engine's own covers the image's: the terminal is a real one.
        let said = engine.docker(["run", "--rm", "-t", "--network", "none", name, "sh", "-c",
            "readlink -f /dev/console; stat -c %F /dev/console; grep -c ' /proc/sys/kernel/core_pattern ' /proc/self/mounts"]);
        assert!(said.stdout.contains("/dev/console\r\ncharacter special file\r\n0"), "{name}: {said:?}");
    }
    // A volume over `/dev/pts` or the whole of `/dev`: there is no devpts to make a terminal in.
    let said = run(&engine, &["-t", "-v", "vol:/dev/pts"], "true");
    assert_ne!(said.code, 0, "{said:?}");
}

/// Kernel files that would give the host away: none can be written, the worst cannot even be read.
#[test]
fn writes_to_the_kernels_files_are_refused() {
    let engine = Engine::start();
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let probe = "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug \
        /proc/sys/vm/panic_on_oom /proc/sys/fs/binfmt_misc/register /proc/sysrq-trigger /proc/irq/default_smp_affinity \
        /proc/latency_stats /proc/kcore /proc/kmem /proc/mem /dev/mem /sys/kernel/uevent_helper /sys/kernel/mm/ksm/run \
        /sys/kernel/security/apparmor/.load /sys/power/state /sys/module/printk/parameters/time \
        /sys/kernel/debug/tracing/trace /sys/firmware/efi/vars/new_var /proc/1/oom_score_adj_ /sys/class/net/lo/mtu; do
          [ -e $f ] || continue
          if { echo x >>$f; } 2>/dev/null && [ \"$(stat -c %t:%T $f)\" != 1:3 ]; then echo WRITTEN $f; else echo refused; fi
        done; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | grep .";
    let said = run(&engine, &[], probe).stdout;
    assert!(!said.contains("WRITTEN") && said.matches("refused").count() >= 5, "{said}");
    assert_eq!(said.lines().filter(|line| *line != "refused").count(), 0, "{said}");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

/// CVE-2022-0492: `release_agent` of a cgroup hierarchy, and a hierarchy mounted anew in a new user namespace.
#[test]
fn release_agent_cannot_be_written() {
    let engine = Engine::start();
    let probe = "for f in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name cgroup.procs 2>/dev/null); do
            { echo /x >$f; } 2>/dev/null && echo WRITTEN $f; done
        mkdir /tmp/c
        mount -t cgroup -o rdma cgroup /tmp/c 2>/dev/null && echo MOUNTED
        mount -t tmpfs none /tmp/c 2>/dev/null && echo MOUNTED
        mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo REMOUNTED
        unshare -UrmC sh -c 'mount -t cgroup -o rdma cgroup /tmp/c && echo MOUNTED' 2>/dev/null
        grep -c ' /sys/fs/cgroup' /proc/self/mounts; echo probed";
    let said = run(&engine, &[], probe).ok();
    assert!(!said.contains("WRITTEN") && !said.contains("MOUNTED"), "{said}");
    assert!(said.ends_with("probed") && !said.starts_with("0\n"), "cgroups were mounted, and tried: {said}");
}
