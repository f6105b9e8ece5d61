//! Seccomp: the default profile as data, and profiles in Docker's format resolved for one container.
//!
//! A profile has more than the OCI spec can say: rules that hold only with certain capabilities, architectures or
//! kernels. [`resolve`] decides those and leaves plain OCI rules.

use std::collections::BTreeSet;

use gantry_runtime_lib::spec::{Seccomp, SeccompArg, SeccompRule};
use serde::Deserialize;

/// What a profile's conditions ask for.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// Capabilities of the container, with the prefix.
    pub capabilities: &'a BTreeSet<String>,
    /// Go's name of the machine: `amd64`.
    pub architecture: &'a str,
    /// The kernel's version.
    pub kernel: (u32, u32),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    listener_path: Option<String>,
    listener_metadata: Option<String>,
    #[serde(default)]
    syscalls: Option<Vec<ProfileRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileRule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<SeccompArg>>,
    #[serde(default)]
    includes: Filter,
    #[serde(default)]
    excludes: Filter,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Resolves a profile in Docker's JSON format.
pub fn resolve(json: &str, when: Conditions<'_>) -> Result<Seccomp, serde_json::Error> {
    let profile: Profile = serde_json::from_str(json)?;
    let native = native_architecture(when.architecture);
    let architectures = match (profile.architectures, profile.arch_map) {
        (Some(list), _) if !list.is_empty() => list,
        (_, Some(map)) => map
            .into_iter()
            .find(|entry| Some(entry.architecture.as_str()) == native)
            .map(|entry| {
                let mut all = vec![entry.architecture];
                all.extend(entry.sub_architectures.unwrap_or_default());
                all
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    let rules = profile.syscalls.unwrap_or_default();
    let syscalls = rules.into_iter().filter(|rule| holds(rule, when)).map(|rule| {
        let mut names = rule.names.unwrap_or_default();
        names.extend(rule.name);
        SeccompRule {
            names,
            action: rule.action,
            errno_ret: rule.errno_ret,
            args: rule.args.unwrap_or_default(),
        }
    });
    Ok(Seccomp {
        default_action: profile.default_action,
        default_errno_ret: profile.default_errno_ret,
        architectures,
        flags: profile.flags.unwrap_or_default(),
        listener_path: profile.listener_path,
        listener_metadata: profile.listener_metadata,
        syscalls: syscalls.collect(),
    })
}

fn holds(rule: &ProfileRule, when: Conditions<'_>) -> bool {
    let has = |cap: &String| when.capabilities.contains(cap);
    let arch = |arch: &String| arch == when.architecture;
    let kernel =
        |text: &Option<String>| text.as_deref().and_then(kernel_version).is_none_or(|min| when.kernel >= min);
    let included = rule.includes.caps.as_ref().is_none_or(|caps| caps.iter().all(has))
        && rule.includes.arches.as_ref().is_none_or(|arches| arches.iter().any(arch))
        && kernel(&rule.includes.min_kernel);
    let excluded = rule.excludes.caps.as_ref().is_some_and(|caps| caps.iter().any(has))
        || rule.excludes.arches.as_ref().is_some_and(|arches| arches.iter().any(arch))
        || rule.excludes.min_kernel.is_some() && kernel(&rule.excludes.min_kernel);
    included && !excluded
}

/// The first two numbers of `6.1.0-13-amd64`.
pub fn kernel_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn native_architecture(go: &str) -> Option<&'static str> {
    Some(match go {
        "amd64" => "SCMP_ARCH_X86_64",
        "386" => "SCMP_ARCH_X86",
        "arm64" => "SCMP_ARCH_AARCH64",
        "arm" => "SCMP_ARCH_ARM",
        "riscv64" => "SCMP_ARCH_RISCV64",
        "ppc64le" => "SCMP_ARCH_PPC64LE",
        "s390x" => "SCMP_ARCH_S390X",
        _ => return None,
    })
}

/// Docker's default profile for one container.
pub fn default_profile(when: Conditions<'_>) -> Seccomp {
    let allow = |names: &str, args: Vec<SeccompArg>| SeccompRule {
        names: names.split_whitespace().map(str::to_owned).collect(),
        action: "SCMP_ACT_ALLOW".to_owned(),
        errno_ret: None,
        args,
    };
    let arg = |index, op: &str, value, value_two| SeccompArg { index, value, value_two, op: op.to_owned() };
    let has = |cap: &str| when.capabilities.contains(cap);
    let arch = |names: &[&str]| names.contains(&when.architecture);

    let mut rules = vec![allow(ALWAYS, Vec::new())];
    if when.kernel >= (4, 8) {
        rules.push(allow("process_vm_readv process_vm_writev ptrace", Vec::new()));
    }
    // Everything but AF_VSOCK, which reaches the hypervisor past every namespace.
    rules.push(allow("socket", vec![arg(0, "SCMP_CMP_NE", 40, 0)]));
    for persona in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
        rules.push(allow("personality", vec![arg(0, "SCMP_CMP_EQ", persona, 0)]));
    }
    for (arches, names) in BY_ARCHITECTURE {
        if arch(arches) {
            rules.push(allow(names, Vec::new()));
        }
    }
    for (cap, names) in BY_CAPABILITY {
        if has(cap) {
            rules.push(allow(names, Vec::new()));
        }
    }
    if !has("CAP_SYS_ADMIN") {
        // No clone flag that makes a namespace; the argument's place differs on s390.
        const NEW_NAMESPACES: u64 = 0x7e02_0000;
        let place = if arch(&["s390", "s390x"]) { 1 } else { 0 };
        rules.push(allow("clone", vec![arg(place, "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES, 0)]));
        // clone3's flags cannot be seen by a filter: ENOSYS makes C libraries fall back to clone.
        let refused = SeccompRule {
            action: "SCMP_ACT_ERRNO".to_owned(),
            errno_ret: Some(38),
            ..allow("clone3", vec![])
        };
        rules.push(refused);
    }
    let architectures = match when.architecture {
        "amd64" => vec!["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "arm64" => vec!["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "s390x" => vec!["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
        other => native_architecture(other).into_iter().collect(),
    };
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".to_owned(),
        default_errno_ret: Some(1),
        architectures: architectures.into_iter().map(str::to_owned).collect(),
        syscalls: rules,
        ..Seccomp::default()
    }
}

const BY_ARCHITECTURE: &[(&[&str], &str)] = &[
    (&["ppc64le"], "sync_file_range2 swapcontext"),
    (
        &["arm", "arm64"],
        "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    ),
    (&["amd64"], "arch_prctl modify_ldt"),
    (&["386"], "modify_ldt"),
    (&["s390", "s390x"], "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    (&["riscv64"], "riscv_flush_icache riscv_hwprobe"),
];

const BY_CAPABILITY: &[(&str, &str)] = &[
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules \
         lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare listmount statmount",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

const ALWAYS: &str = "\
accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime \
clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 \
close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old \
epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 \
fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 \
fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync \
ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents \
getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid \
getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list \
getrusage getsid getsockname getsockopt get_thread_area gettid gettimeofday getuid getuid32 getxattr getxattrat \
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents \
io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule landlock_create_ruleset \
landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr listxattrat llistxattr _llseek lremovexattr \
lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod \
mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 \
mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap \
name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 \
pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease \
pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg \
recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq \
rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max \
sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity \
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop \
semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid \
setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid \
setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid \
setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn \
socketcall socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee \
tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 \
timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 \
ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid \
waitpid write writev";

#[cfg(test)]
mod tests {
    use super::*;

    fn when<'a>(capabilities: &'a BTreeSet<String>) -> Conditions<'a> {
        Conditions { capabilities, architecture: "amd64", kernel: (6, 1) }
    }

    fn allows(profile: &Seccomp, name: &str) -> bool {
        profile.syscalls.iter().any(|rule| {
            rule.action == "SCMP_ACT_ALLOW"
                && rule.args.is_empty()
                && rule.names.iter().any(|known| known == name)
        })
    }

    #[test]
    fn the_default_profile_follows_the_capabilities() {
        let none = BTreeSet::new();
        let plain = default_profile(when(&none));
        assert!(allows(&plain, "openat") && allows(&plain, "ptrace"));
        for refused in [
            "mount",
            "unshare",
            "clone",
            "clone3",
            "bpf",
            "reboot",
            "io_uring_setup",
            "kexec_load",
            "add_key",
        ] {
            assert!(!allows(&plain, refused), "{refused}");
        }
        let admin = BTreeSet::from(["CAP_SYS_ADMIN".to_owned()]);
        let strong = default_profile(when(&admin));
        for allowed in ["mount", "unshare", "clone", "clone3", "setns"] {
            assert!(allows(&strong, allowed), "{allowed}");
        }
    }

    #[test]
    fn a_profile_in_dockers_format_is_resolved() {
        let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":null}],
            "syscalls":[{"name":"chmod","action":"SCMP_ACT_ERRNO"},
            {"names":["mount"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["x"],"action":"SCMP_ACT_ERRNO","includes":{"minKernel":"99.0"}}]}"#;
        let none = BTreeSet::new();
        let resolved = resolve(json, when(&none)).unwrap();
        assert_eq!(resolved.architectures, ["SCMP_ARCH_X86_64"]);
        assert_eq!(resolved.syscalls.len(), 2);
        let admin = BTreeSet::from(["CAP_SYS_ADMIN".to_owned()]);
        assert_eq!(resolve(json, when(&admin)).unwrap().syscalls.len(), 1);
        assert!(resolve("{", when(&none)).is_err());
    }

    #[test]
    fn kernel_versions_are_read() {
        assert_eq!(kernel_version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(kernel_version("x"), None);
    }
}
