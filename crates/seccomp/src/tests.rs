//! The compiled program, run by a small interpreter, answers what a plain reading of the profile answers.

use proptest::prelude::*;

use super::*;
use crate::spec::{Arg, Rule};

/// `struct seccomp_data`.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u32,
    audit: u32,
    args: [u64; 6],
}

impl Call {
    fn word(&self, at: u32) -> u32 {
        match at {
            0 => self.number,
            4 => self.audit,
            16..64 => {
                let value = self.args[(at as usize - 16) / 8];
                if at.is_multiple_of(8) { value as u32 } else { (value >> 32) as u32 }
            }
            _ => panic!("load from {at}"),
        }
    }
}

/// Classic BPF, the part of it that filters use.
fn run(program: &[Instruction], call: &Call) -> u32 {
    let (mut at, mut a) = (0usize, 0u32);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let mut choose = |yes: bool| at += usize::from(if yes { jt } else { jf });
        match code {
            0x20 => a = call.word(k),
            0x54 => a &= k,
            0x05 => at += k as usize,
            0x15 => choose(a == k),
            0x25 => choose(a > k),
            0x35 => choose(a >= k),
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// What the profile says, read rule by rule.
fn read(profile: &Seccomp, arch: Arch, call: &Call) -> u32 {
    let default = Action::parse(&profile.default_action, profile.default_errno_ret).unwrap();
    let named = |rule: &&Rule| rule.names.iter().any(|name| arch.number(name) == Some(call.number));
    let rules: Vec<&Rule> = profile.syscalls.iter().filter(named).collect();
    let action = |rule: &Rule| Action::parse(&rule.action, rule.errno_ret).unwrap().0;
    if let Some(rule) = rules.iter().find(|rule| rule.args.is_empty()) {
        return action(rule);
    }
    let holds = |arg: &Arg| {
        let mask = if arch.wide() { u64::MAX } else { u64::from(u32::MAX) };
        let (value, operand) = (call.args[arg.index as usize] & mask, arg.value & mask);
        match arg.op.as_str() {
            "SCMP_CMP_NE" => value != operand,
            "SCMP_CMP_LT" => value < operand,
            "SCMP_CMP_LE" => value <= operand,
            "SCMP_CMP_EQ" => value == operand,
            "SCMP_CMP_GE" => value >= operand,
            "SCMP_CMP_GT" => value > operand,
            _ => value & operand == arg.value_two & mask,
        }
    };
    for rule in &rules {
        let mut indexes: Vec<u32> = rule.args.iter().map(|arg| arg.index).collect();
        indexes.sort_unstable();
        let twice = indexes.windows(2).any(|pair| pair[0] == pair[1]);
        if if twice { rule.args.iter().any(holds) } else { rule.args.iter().all(holds) } {
            return action(rule);
        }
    }
    let newest =
        profile.syscalls.iter().flat_map(|rule| &rule.names).filter_map(|name| arch.number(name)).max();
    match newest {
        Some(newest) if call.number > newest && !default.lets_through() => Action::NOT_THERE.0,
        _ => default.0,
    }
}

/// Names, action, and conditions as argument, comparison and its two operands.
type ShortRule<'a> = (&'a [&'a str], &'a str, &'a [(u32, &'a str, u64, u64)]);

fn profile(default: &str, rules: &[ShortRule<'_>]) -> Seccomp {
    let rule = |(names, action, args): &ShortRule<'_>| Rule {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        action: (*action).to_owned(),
        errno_ret: None,
        args: args
            .iter()
            .map(|(index, op, value, value_two)| Arg {
                index: *index,
                value: *value,
                value_two: *value_two,
                op: (*op).into(),
            })
            .collect(),
    };
    Seccomp {
        default_action: default.into(),
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"].map(String::from).to_vec(),
        syscalls: rules.iter().map(rule).collect(),
        ..Seccomp::default()
    }
}

#[test]
fn calls_of_every_convention_get_their_answer() {
    let profile = profile(
        "SCMP_ACT_ERRNO",
        &[
            (&["read", "write", "clone3"], "SCMP_ACT_ALLOW", &[]),
            (&["personality"], "SCMP_ACT_ALLOW", &[(0, "SCMP_CMP_EQ", 8, 0)]),
        ],
    );
    let program = compile(&profile).unwrap();
    let ask = |arch: Arch, name: &str, first: u64| {
        let number = arch.number(name).unwrap();
        run(&program.instructions, &Call { number, audit: arch.audit(), args: [first, 0, 0, 0, 0, 0] })
    };
    const ALLOW: u32 = 0x7fff_0000;
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        assert_eq!(ask(arch, "read", 0), ALLOW, "{arch:?}");
        assert_eq!(ask(arch, "personality", 8), ALLOW, "{arch:?}");
        assert_eq!(ask(arch, "personality", 9), 0x0005_0001, "{arch:?}");
        assert_eq!(ask(arch, "mseal", 0), Action::NOT_THERE.0, "{arch:?}");
    }
    let other = Call { number: 0, audit: Arch::Aarch64.audit(), args: [0; 6] };
    assert_eq!(run(&program.instructions, &other), Action::BAD_ARCH.0);
}

#[test]
fn x32_is_unknown_unless_it_is_named() {
    let mut profile = profile("SCMP_ACT_ALLOW", &[(&["reboot"], "SCMP_ACT_KILL_PROCESS", &[])]);
    profile.architectures.truncate(1);
    let program = compile(&profile).unwrap();
    let ask =
        |number: u32| run(&program.instructions, &Call { number, audit: Arch::X86_64.audit(), args: [0; 6] });
    assert_eq!(ask(Arch::X32.number("read").unwrap()), Action::BAD_ARCH.0);
    assert_eq!(ask(u32::MAX), 0x7fff_0000);
    assert_eq!(ask(Arch::X86_64.number("reboot").unwrap()), 0x8000_0000);
}

#[test]
fn nonsense_is_refused_with_the_word_that_is_wrong() {
    let refuse = |change: &dyn Fn(&mut Seccomp)| {
        let mut wrong =
            profile("SCMP_ACT_ERRNO", &[(&["read"], "SCMP_ACT_ALLOW", &[(0, "SCMP_CMP_EQ", 1, 0)])]);
        change(&mut wrong);
        compile(&wrong).unwrap_err().to_string()
    };
    assert_eq!(refuse(&|p| p.default_action = "ALLOW".into()), "unknown action \"ALLOW\"");
    assert_eq!(
        refuse(&|p| p.default_action = "SCMP_ACT_NOTIFY".into()),
        "SCMP_ACT_NOTIFY cannot be the default action"
    );
    assert_eq!(refuse(&|p| p.architectures = vec!["Z80".into()]), "unknown architecture \"Z80\"");
    assert_eq!(refuse(&|p| p.flags = vec!["FAST".into()]), "unknown flag \"FAST\"");
    assert_eq!(refuse(&|p| p.syscalls[0].args[0].op = "~".into()), "unknown comparison \"~\"");
    assert!(refuse(&|p| p.syscalls[0].args[0].index = 6).starts_with("argument 6"));
    assert!(refuse(&|p| p.default_errno_ret = Some(9999)).starts_with("errnoRet 9999"));
}

#[test]
fn a_program_survives_its_bytes() {
    let program = compile(&profile("SCMP_ACT_ERRNO", &[(&["read"], "SCMP_ACT_NOTIFY", &[])])).unwrap();
    assert!(program.notifies());
    assert_eq!(Program::from_bytes(&program.to_bytes()).unwrap(), program);
    assert!(Program::from_bytes(&program.to_bytes()[..21]).is_err());
    assert!(Program::from_bytes(b"").is_err());
}

const NAMES: [&str; 12] = [
    "read",
    "write",
    "open",
    "close",
    "socket",
    "clone",
    "personality",
    "openat",
    "mseal",
    "io_uring_setup",
    "futex",
    "ptrace",
];
const ACTIONS: [&str; 5] =
    ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_LOG", "SCMP_ACT_TRAP"];
const TESTS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];
/// Around the edges of both halves.
const VALUES: [u64; 9] =
    [0, 1, 2, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x2_0000_0000, u64::MAX - 1, u64::MAX];

fn any_profile() -> impl Strategy<Value = Seccomp> {
    let arg = (
        0u32..3,
        prop::sample::select(&VALUES[..]),
        prop::sample::select(&VALUES[..]),
        prop::sample::select(&TESTS[..]),
    )
        .prop_map(|(index, value, value_two, op)| Arg { index, value, value_two, op: op.into() });
    let rule = (
        prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4),
        prop::sample::select(&ACTIONS[..]),
        prop::collection::vec(arg, 0..3),
    )
        .prop_map(|(names, action, args)| Rule {
            names: names.into_iter().map(String::from).collect(),
            action: action.into(),
            errno_ret: None,
            args,
        });
    (prop::sample::select(&ACTIONS[..]), prop::collection::vec(rule, 0..8)).prop_map(|(default, syscalls)| {
        Seccomp {
            default_action: default.into(),
            architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"].map(String::from).to_vec(),
            syscalls,
            ..Seccomp::default()
        }
    })
}

proptest! {
    #[test]
    fn the_program_means_what_the_profile_says(
        profile in any_profile(),
        name in prop::sample::select(&NAMES[..]),
        offset in 0u32..2,
        args in prop::array::uniform6(prop::sample::select(&VALUES[..])),
    ) {
        let program = compile(&profile).unwrap();
        for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
            let number = arch.number(name).unwrap() + offset;
            let call = Call { number, audit: arch.audit(), args };
            prop_assert_eq!(run(&program.instructions, &call), read(&profile, arch, &call), "{:?} {}", arch, number);
        }
    }
}
