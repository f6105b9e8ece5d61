//! The compiled program against a plain reading of the profile, by an interpreter of its instructions.

use gantry_sys::seccomp::Instruction;
use proptest::prelude::*;

use crate::rules::Family;
use crate::spec::{Arg, Rule, Seccomp};
use crate::{compile_for, docker, syscalls};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

/// Runs a filter as the kernel does.
fn run(code: &[Instruction], arch: u32, number: u32, args: [u64; 6]) -> u32 {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&arch.to_ne_bytes());
    for (at, arg) in args.iter().enumerate() {
        data[16 + at * 8..24 + at * 8].copy_from_slice(&arg.to_ne_bytes());
    }
    let (mut a, mut pc) = (0u32, 0usize);
    loop {
        let i = code[pc];
        pc += 1;
        let jump = |holds: bool| if holds { i.jt as usize } else { i.jf as usize };
        match i.code {
            0x20 => a = u32::from_ne_bytes(data[i.k as usize..i.k as usize + 4].try_into().unwrap()),
            0x54 => a &= i.k,
            0x05 => pc += i.k as usize,
            0x15 => pc += jump(a == i.k),
            0x25 => pc += jump(a > i.k),
            0x35 => pc += jump(a >= i.k),
            0x06 => return i.k,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

fn holds(arg: &Arg, args: [u64; 6]) -> bool {
    let (x, v) = (args[arg.index as usize], arg.value);
    match arg.op.as_str() {
        "SCMP_CMP_NE" => x != v,
        "SCMP_CMP_LT" => x < v,
        "SCMP_CMP_LE" => x <= v,
        "SCMP_CMP_EQ" => x == v,
        "SCMP_CMP_GE" => x >= v,
        "SCMP_CMP_GT" => x > v,
        "SCMP_CMP_MASKED_EQ" => x & v == arg.value_two,
        other => panic!("{other}"),
    }
}

fn value(action: &str, errno: Option<u32>) -> u32 {
    match action {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | errno.unwrap_or(1),
        other => panic!("{other}"),
    }
}

/// The profile read word by word, for x86-64 alone.
fn plainly(profile: &Seccomp, number: u32, args: [u64; 6]) -> u32 {
    let default = value(&profile.default_action, profile.default_errno_ret);
    let of = |name: &String| syscalls::number(name, syscalls::X86_64);
    let newest = profile.syscalls.iter().flat_map(|r| &r.names).filter_map(of).max().unwrap_or(0);
    if number >= 0x4000_0000 {
        return 0;
    }
    if number > newest {
        return if default == ALLOW || default == 0x7ffc_0000 { default } else { ENOSYS };
    }
    let meant: Vec<&Rule> = profile
        .syscalls
        .iter()
        .filter(|r| value(&r.action, r.errno_ret) != default && r.names.iter().any(|n| of(n) == Some(number)))
        .collect();
    if let Some(rule) = meant.iter().find(|r| r.args.is_empty()) {
        return value(&rule.action, rule.errno_ret);
    }
    let fits = |rule: &&&Rule| {
        let twice = rule.args.iter().any(|a| rule.args.iter().filter(|b| a.index == b.index).count() > 1);
        if twice {
            rule.args.iter().any(|a| holds(a, args))
        } else {
            rule.args.iter().all(|a| holds(a, args))
        }
    };
    meant.iter().find(fits).map_or(default, |r| value(&r.action, r.errno_ret))
}

fn docker_default(caps: &[&str]) -> Seccomp {
    let caps: Vec<String> = caps.iter().map(|c| c.to_string()).collect();
    let facts = docker::Facts { capabilities: &caps, kernel: (6, 18), architecture: "amd64" };
    docker::default().resolve(&facts).unwrap()
}

#[test]
fn dockers_default_profile_decides_as_docker_does() {
    let program = compile_for(&docker_default(&[]), Family::X86).unwrap();
    let ask = |arch, number, first: u64| run(&program.instructions, arch, number, [first, 0, 0, 0, 0, 0]);
    assert_eq!(ask(X86_64, 0, 0), ALLOW, "read");
    assert_eq!(ask(X86_64, 165, 0), EPERM, "mount");
    assert_eq!(ask(X86_64, 435, 0), ENOSYS, "clone3");
    assert_eq!(ask(X86_64, 56, 0x0002_0000), EPERM, "clone with a mount namespace");
    assert_eq!(ask(X86_64, 56, 0x11), ALLOW, "fork");
    assert_eq!(ask(X86_64, 41, 2), ALLOW, "socket AF_INET");
    for family in 0..64 {
        let wanted = if matches!(family, 38 | 40) { EPERM } else { ALLOW };
        assert_eq!(ask(X86_64, 41, family), wanted, "socket {family}");
        assert_eq!(ask(X86_64, 41, (1 << 32) | family), EPERM, "the kernel would take it for {family}");
    }
    assert_eq!([ask(X86_64, 41, 38), ask(X86_64, 41, 40)], [EPERM, EPERM], "AF_ALG, AF_VSOCK");
    assert_eq!([ask(X86_64, 135, 0xffff_ffff), ask(X86_64, 135, 0x40_0000)], [ALLOW, EPERM], "personality");
    assert_eq!([ask(X86_64, 600, 0), ask(I386, 3, 0), ask(I386, 21, 0)], [ENOSYS, ALLOW, EPERM]);
    assert_eq!(
        [ask(X86_64, 0x4000_0000, 0), ask(X86_64, 0x4000_00a5, 0)],
        [ALLOW, EPERM],
        "x32 read and mount"
    );
    assert_eq!(ask(0xc000_00b7, 0, 0), 0, "an architecture of another machine");
    assert!(program.instructions.len() < 1200, "{}", program.instructions.len());
}

#[test]
fn the_arm_family_compiles_too() {
    let profile = Seccomp { architectures: vec!["SCMP_ARCH_ARM".into()], ..docker_default(&[]) };
    let program = compile_for(&profile, Family::Arm).unwrap();
    assert_eq!(run(&program.instructions, 0xc000_00b7, 63, [0; 6]), ALLOW, "arm64 read");
    assert_eq!(run(&program.instructions, 0xc000_00b7, 40, [0; 6]), EPERM, "arm64 mount");
    assert_eq!(run(&program.instructions, 0x4000_0028, 3, [0; 6]), ALLOW, "arm read");
}

#[test]
fn what_nobody_knows_is_refused() {
    let with = |change: fn(&mut Seccomp)| {
        let mut profile = Seccomp { default_action: "SCMP_ACT_ALLOW".into(), ..Default::default() };
        change(&mut profile);
        compile_for(&profile, Family::X86)
    };
    assert!(with(|_| {}).is_ok());
    assert!(with(|p| p.default_action = "SCMP_ACT_NOPE".into()).is_err());
    assert!(with(|p| p.default_action = "SCMP_ACT_NOTIFY".into()).is_err());
    assert!(with(|p| p.architectures = vec!["SCMP_ARCH_NOPE".into()]).is_err());
    assert!(with(|p| p.flags = vec!["NOPE".into()]).is_err());
    assert!(
        with(|p| p.syscalls = vec![Rule {
            names: vec!["write".into()],
            action: "SCMP_ACT_NOTIFY".into(),
            ..Default::default()
        }])
        .is_err()
    );
}

#[test]
fn a_program_survives_its_bytes() {
    let program = compile_for(&docker_default(&[]), Family::X86).unwrap();
    let bytes = program.to_bytes();
    assert_eq!(crate::Program::from_bytes(&bytes).unwrap(), program);
    for cut in [0, 3, 11, 13, bytes.len() - 1] {
        assert!(crate::Program::from_bytes(&bytes[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn socketcall_is_the_calls_it_carries() {
    let rule = Rule {
        names: vec!["bind".into()],
        action: "SCMP_ACT_ERRNO".into(),
        errno_ret: Some(13),
        args: vec![],
    };
    let profile = Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        architectures: vec!["SCMP_ARCH_X86".into()],
        syscalls: vec![rule],
        ..Default::default()
    };
    let code = compile_for(&profile, Family::X86).unwrap().instructions;
    assert_eq!(run(&code, I386, 102, [2, 0, 0, 0, 0, 0]), 0x0005_000d);
    assert_eq!(run(&code, I386, 102, [1, 0, 0, 0, 0, 0]), ALLOW);
}

fn small_or_wide() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..4, any::<u64>(), Just(u64::MAX), Just(1 << 32), Just(u64::from(u32::MAX))]
}

fn arg() -> impl Strategy<Value = Arg> {
    let op = prop::sample::select(crate::OPERATORS.to_vec());
    (0u32..3, small_or_wide(), small_or_wide(), op).prop_map(|(index, value, value_two, op)| Arg {
        index,
        value,
        value_two,
        op: op.to_owned(),
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let name = prop::sample::select(vec![
        "read", "write", "open", "close", "clone", "socket", "mount", "ptrace", "mseal",
    ]);
    let action = prop::sample::select(vec![
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_LOG",
        "SCMP_ACT_KILL_PROCESS",
    ]);
    (prop::collection::vec(name, 1..4), action, prop::collection::vec(arg(), 0..4), any::<bool>()).prop_map(
        |(names, action, args, with_errno)| Rule {
            names: names.into_iter().map(str::to_owned).collect(),
            errno_ret: (with_errno && action == "SCMP_ACT_ERRNO").then_some(13),
            action: action.to_owned(),
            args,
        },
    )
}

proptest! {
    #[test]
    fn the_program_decides_as_the_profile_reads(
        rules in prop::collection::vec(rule(), 0..40),
        default in prop::sample::select(vec!["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"]),
        asks in prop::collection::vec(
            (prop_oneof![0u32..500, Just(462u32), Just(41u32), Just(56u32), any::<u32>()], [small_or_wide(), small_or_wide(), small_or_wide()]),
            50,
        ),
    ) {
        let profile = Seccomp { default_action: default.into(), syscalls: rules, ..Default::default() };
        let code = compile_for(&profile, Family::X86).unwrap().instructions;
        for (number, [a, b, c]) in asks {
            let args = [a, b, c, 0, 0, 0];
            prop_assert_eq!(run(&code, X86_64, number, args), plainly(&profile, number, args), "call {}", number);
        }
    }
}
