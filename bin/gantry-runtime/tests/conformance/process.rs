//! `process` of the configuration, seen from inside.

use gantry_runtime_lib::spec::{Capabilities, Rlimit};

use crate::bundle::{Bundle, Expect, caps, strings};
use crate::excuse;

#[test]
fn environment_and_folder_are_as_asked() {
    let mut bundle = Bundle::script("echo $A; pwd; echo $HOME");
    bundle.process().env.push("A=b c".into());
    bundle.process().cwd = "/tmp".into();
    assert_eq!(bundle.told(), "b c\n/tmp\n/root\n");
}

#[test]
fn a_working_folder_that_is_missing_is_made() {
    let mut bundle = Bundle::script("pwd");
    bundle.process().cwd = "/made/for/me".into();
    assert_eq!(bundle.told(), "/made/for/me\n");
}

#[test]
fn user_group_and_further_groups_are_as_asked() {
    let mut bundle = Bundle::script("id -u; id -g; grep Groups /proc/self/status; echo $HOME");
    let user = &mut bundle.process().user;
    (user.uid, user.gid, user.additional_gids) = (1000, 1001, vec![5, 7]);
    let told = bundle.told();
    let words: Vec<&str> = told.split_whitespace().collect();
    assert_eq!(words, ["1000", "1001", "Groups:", "5", "7", "/home/user"]);
}

#[test]
fn the_umask_is_as_asked() {
    let mut bundle = Bundle::script("umask");
    bundle.process().user.umask = Some(0o27);
    assert_eq!(bundle.told(), "0027\n");
}

#[test]
fn capabilities_are_exactly_those_named() {
    let mut bundle = Bundle::script("grep -E '^Cap' /proc/self/status");
    bundle.process().capabilities = Some(caps(&["CAP_CHOWN", "CAP_KILL"]));
    let told = bundle.told();
    for (set, bits) in [("CapInh", 0u64), ("CapPrm", 0x21), ("CapEff", 0x21), ("CapBnd", 0x21), ("CapAmb", 0)]
    {
        assert!(told.contains(&format!("{set}:\t{bits:016x}")), "{set}: {told}");
    }
}

#[test]
fn no_capabilities_are_none() {
    let mut bundle = Bundle::script("grep -E '^Cap(Eff|Bnd)' /proc/self/status");
    bundle.process().capabilities = Some(Capabilities::default());
    let told = bundle.told();
    assert!(
        told.contains("CapEff:\t0000000000000000") && told.contains("CapBnd:\t0000000000000000"),
        "{told}"
    );
}

#[test]
fn another_user_has_only_ambient_capabilities() {
    let mut bundle = Bundle::script("grep -E '^Cap(Eff|Amb)' /proc/self/status");
    bundle.process().user.uid = 1000;
    let mut asked = caps(&["CAP_NET_BIND_SERVICE", "CAP_CHOWN"]);
    asked.inheritable = strings(&["CAP_NET_BIND_SERVICE"]);
    asked.ambient = strings(&["CAP_NET_BIND_SERVICE"]);
    bundle.process().capabilities = Some(asked);
    let told = bundle.told();
    assert!(
        told.contains("CapEff:\t0000000000000400") && told.contains("CapAmb:\t0000000000000400"),
        "{told}"
    );
}

#[test]
fn limits_are_as_asked() {
    let mut bundle = Bundle::script("ulimit -n; ulimit -H -n; ulimit -c");
    bundle.process().rlimits = vec![
        Rlimit { kind: "RLIMIT_NOFILE".into(), soft: 512, hard: 1024 },
        Rlimit { kind: "RLIMIT_CORE".into(), soft: 0, hard: 0 },
    ];
    assert_eq!(bundle.told(), "512\n1024\n0\n");
}

#[test]
fn an_unknown_limit_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.process().rlimits = vec![Rlimit { kind: "RLIMIT_NOPE".into(), soft: 1, hard: 1 }];
    assert!(!bundle.run().status.success());
}

#[test]
fn no_new_privileges_is_set() {
    for (asked, seen) in [(true, "NoNewPrivs:\t1\n"), (false, "NoNewPrivs:\t0\n")] {
        let mut bundle = Bundle::script("grep NoNewPrivs /proc/self/status");
        bundle.process().no_new_privileges = asked;
        assert_eq!(bundle.told(), seen);
    }
}

#[test]
fn the_oom_score_is_adjusted() {
    let mut bundle = Bundle::script("cat /proc/self/oom_score_adj");
    bundle.process().oom_score_adj = Some(321);
    assert_eq!(bundle.told(), "321\n");
}

#[test]
fn io_priority_is_set() {
    excuse!("io_priority_is_set");
    let mut bundle = Bundle::script("true");
    bundle.process().io_priority =
        Some(gantry_runtime_lib::spec::IoPriority { class: "IOPRIO_CLASS_NOPE".into(), priority: 1 });
    assert!(!bundle.run().status.success());
    bundle.process().io_priority =
        Some(gantry_runtime_lib::spec::IoPriority { class: "IOPRIO_CLASS_BE".into(), priority: 6 });
    bundle.run().expect_success("run");
}

#[test]
fn the_scheduler_is_set() {
    excuse!("the_scheduler_is_set");
    let mut bundle = Bundle::script("cut -d' ' -f19 /proc/self/stat");
    bundle.process().scheduler = Some(gantry_runtime_lib::spec::Scheduler {
        policy: "SCHED_OTHER".into(),
        nice: 7,
        ..Default::default()
    });
    assert_eq!(bundle.told(), "7\n");
}

#[test]
fn a_command_that_is_missing_is_told_as_docker_tells_it() {
    let mut bundle = Bundle::new();
    bundle.process().args = strings(&["no-such-command"]);
    bundle.run().expect_failure("exec: \"no-such-command\": executable file not found in $PATH");
    bundle.process().args = strings(&["/no/such/file"]);
    bundle.run().expect_failure("exec: \"/no/such/file\": stat /no/such/file: no such file or directory");
}

#[test]
fn a_command_that_cannot_be_executed_is_told_as_docker_tells_it() {
    let mut bundle = Bundle::new();
    bundle.process().args = strings(&["/etc/passwd"]);
    bundle.run().expect_failure("exec: \"/etc/passwd\": permission denied");
}

#[test]
fn no_arguments_are_refused() {
    let mut bundle = Bundle::new();
    bundle.process().args = Vec::new();
    assert!(!bundle.run().status.success());
}

#[test]
fn a_relative_folder_is_refused() {
    let mut bundle = Bundle::new();
    bundle.process().cwd = "tmp".into();
    assert!(!bundle.run().status.success());
}

#[test]
fn the_process_leads_its_session() {
    assert_eq!(Bundle::script("cut -d' ' -f6 /proc/1/stat").told(), "1\n");
}

#[test]
fn no_signal_is_blocked_or_ignored() {
    excuse!("no_signal_is_blocked_or_ignored");
    let mut bundle = Bundle::new();
    bundle.process().args = strings(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    assert_eq!(bundle.told(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

#[test]
fn nothing_is_open_but_the_three() {
    let mut bundle = Bundle::new();
    bundle.process().args = strings(&["ls", "/proc/self/fd"]);
    // And the folder that ls itself reads.
    assert_eq!(bundle.told(), "0\n1\n2\n3\n");
}
