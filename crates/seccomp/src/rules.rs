//! A profile as one decision for each architecture and number.

use crate::Error;
use crate::spec::{Arg, Seccomp};
use crate::syscalls::{AARCH64, ARM, X32, X86, X86_64, number, row};

/// Words for `features`.
pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];
pub const ARCHITECTURES: [&str; 5] =
    ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];
pub const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// Architectures that are known by name and are never those of a process on our hosts: naming them is no mistake.
const FOREIGN: [&str; 17] = [
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
];

pub(crate) const RET_KILL_THREAD: u32 = 0;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_NOTIFY: u32 = 0x7fc0_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;
/// The mark of x32 in a number of x86-64.
pub(crate) const X32_MARK: u32 = 0x4000_0000;

/// Which architectures one kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    X86,
    Arm,
}

impl Family {
    pub(crate) fn host() -> Result<Family, Error> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Family::X86),
            "aarch64" => Ok(Family::Arm),
            other => Err(Error::Invalid(format!("seccomp profiles cannot be compiled for {other} hosts"))),
        }
    }

    /// Its architectures: the specification's word, the kernel's number (`AUDIT_ARCH_*`), the table's place.
    fn members(self) -> &'static [(&'static str, u32, usize)] {
        match self {
            Family::X86 => &[
                ("SCMP_ARCH_X86_64", 0xc000_003e, X86_64),
                ("SCMP_ARCH_X86", 0x4000_0003, X86),
                ("SCMP_ARCH_X32", 0xc000_003e, X32),
            ],
            Family::Arm => {
                &[("SCMP_ARCH_AARCH64", 0xc000_00b7, AARCH64), ("SCMP_ARCH_ARM", 0x4000_0028, ARM)]
            }
        }
    }
}

/// One architecture's decisions: from each number on, until the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub audit: u32,
    pub segments: Vec<(u32, Decision)>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Return(u32),
    /// The first whose conditions all hold, or the last word.
    Ask(Vec<(Vec<Condition>, u32)>, u32),
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub index: u32,
    pub op: Op,
    pub value: u64,
    /// The mask of `MaskedEq`.
    pub mask: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    MaskedEq,
}

pub(crate) fn flags(profile: &Seccomp) -> Result<u64, Error> {
    use gantry_sys::seccomp as sys;
    let notify = profile.syscalls.iter().any(|r| r.action == "SCMP_ACT_NOTIFY");
    if profile.flags.is_empty() {
        // What runc takes when nothing is said: no mitigation that the kernel itself has given up for filters.
        return Ok(sys::SPEC_ALLOW | if notify { sys::NEW_LISTENER } else { 0 });
    }
    let mut flags = if notify { sys::NEW_LISTENER } else { 0 };
    for flag in &profile.flags {
        flags |= match flag.as_str() {
            // One thread takes the filter and everything after it comes from there.
            "SECCOMP_FILTER_FLAG_TSYNC" if notify => 0,
            "SECCOMP_FILTER_FLAG_TSYNC" => sys::TSYNC,
            "SECCOMP_FILTER_FLAG_LOG" => sys::LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => sys::SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if notify => sys::WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
                return Err(Error::Invalid(format!("{flag} needs a rule with SCMP_ACT_NOTIFY")));
            }
            other => return Err(Error::Unknown { what: "flag", word: other.to_owned() }),
        };
    }
    Ok(flags)
}

fn action(word: &str, errno: Option<u32>) -> Result<u32, Error> {
    let data = errno.unwrap_or(EPERM);
    if data > 0xffff {
        return Err(Error::Invalid(format!("errnoRet {data} is too large")));
    }
    match word {
        "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE" => {}
        _ if errno.is_some_and(|e| e != 0) => {
            return Err(Error::Invalid(format!("errnoRet was set with {word}, which has no errno")));
        }
        _ => {}
    }
    Ok(match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => RET_KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => RET_KILL_PROCESS,
        "SCMP_ACT_TRAP" => RET_TRAP,
        "SCMP_ACT_ERRNO" => RET_ERRNO | data,
        "SCMP_ACT_TRACE" => RET_TRACE | data,
        "SCMP_ACT_LOG" => RET_LOG,
        "SCMP_ACT_ALLOW" => RET_ALLOW,
        "SCMP_ACT_NOTIFY" => RET_NOTIFY,
        other => return Err(Error::Unknown { what: "action", word: other.to_owned() }),
    })
}

fn condition(arg: &Arg) -> Result<Condition, Error> {
    let op = match arg.op.as_str() {
        "SCMP_CMP_NE" => Op::Ne,
        "SCMP_CMP_LT" => Op::Lt,
        "SCMP_CMP_LE" => Op::Le,
        "SCMP_CMP_EQ" => Op::Eq,
        "SCMP_CMP_GE" => Op::Ge,
        "SCMP_CMP_GT" => Op::Gt,
        "SCMP_CMP_MASKED_EQ" => Op::MaskedEq,
        other => return Err(Error::Unknown { what: "operator", word: other.to_owned() }),
    };
    if arg.index > 5 {
        return Err(Error::Invalid(format!("a system call has no argument {}", arg.index)));
    }
    Ok(match op {
        Op::MaskedEq => Condition { index: arg.index, op, value: arg.value_two, mask: arg.value },
        _ => Condition { index: arg.index, op, value: arg.value, mask: 0 },
    })
}

/// A rule's conditions: all have to hold, except that several on one argument are alternatives (as runc has it).
fn alternatives(args: &[Arg]) -> Result<Vec<Vec<Condition>>, Error> {
    let all: Vec<Condition> = args.iter().map(condition).collect::<Result<_, _>>()?;
    let mut seen = [0u32; 6];
    all.iter().for_each(|c| seen[c.index as usize] += 1);
    if seen.iter().any(|n| *n > 1) {
        return Ok(all.into_iter().map(|c| vec![c]).collect());
    }
    Ok(vec![all])
}

/// A rule of the profile, its words read once for every architecture.
struct Read<'a> {
    value: u32,
    alternatives: Vec<Vec<Condition>>,
    /// The name and its numbers.
    calls: Vec<(&'a str, Option<&'static [i32; 5]>)>,
}

fn read(profile: &Seccomp) -> Result<Vec<Read<'_>>, Error> {
    profile
        .syscalls
        .iter()
        .map(|rule| {
            let value = action(&rule.action, rule.errno_ret)?;
            if value == RET_NOTIFY && rule.names.iter().any(|n| n == "write") {
                return Err(Error::Invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall".into()));
            }
            let calls = rule.names.iter().map(|n| (n.as_str(), row(n))).collect();
            Ok(Read { value, alternatives: alternatives(&rule.args)?, calls })
        })
        .collect()
}

/// What is known of one call so far.
#[derive(Debug, Default)]
struct Call {
    asked: Vec<(Vec<Condition>, u32)>,
    always: Option<u32>,
}

impl Call {
    /// A rule without conditions decides over all others; of several the first.
    fn add(&mut self, conditions: &[Condition], value: u32) {
        if conditions.is_empty() {
            self.always.get_or_insert(value);
        } else {
            self.asked.push((conditions.to_vec(), value));
        }
    }

    fn decide(self, default: u32) -> Decision {
        match self.always {
            Some(value) => Decision::Return(value),
            None if self.asked.is_empty() => Decision::Return(default),
            None => Decision::Ask(self.asked, default),
        }
    }
}

/// Calls that i386 also makes through `socketcall`, by their place there.
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// The same for `ipc`.
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The call that carries `name` on i386 and 32-bit arm as one of many, and its number there.
fn carrier(name: &str) -> Option<(&'static str, u64)> {
    if let Some(at) = SOCKETCALL.iter().position(|n| *n == name) {
        return Some(("socketcall", at as u64 + 1));
    }
    IPC.iter().find(|(n, _)| *n == name).map(|(_, number)| ("ipc", *number))
}

pub(crate) fn areas(profile: &Seccomp, family: Family) -> Result<Vec<Area>, Error> {
    for word in &profile.architectures {
        if !ARCHITECTURES.contains(&word.as_str())
            && !FOREIGN.contains(&word.as_str())
            && word != "SCMP_ARCH_NATIVE"
        {
            return Err(Error::Unknown { what: "architecture", word: word.clone() });
        }
    }
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    if default == RET_NOTIFY {
        return Err(Error::Invalid("SCMP_ACT_NOTIFY cannot be used as default action".into()));
    }
    let rules = read(profile)?;
    let mut areas: Vec<Area> = Vec::new();
    for (at, (word, audit, place)) in family.members().iter().enumerate() {
        // The host's own is always meant.
        if at != 0 && !profile.architectures.iter().any(|a| a == word) {
            continue;
        }
        let mark = if *place == X32 { X32_MARK } else { 0 };
        let segments = segments(&rules, *place, default, mark);
        match areas.iter_mut().find(|a| a.audit == *audit) {
            // x32 lies above x86-64 in the same numbers.
            Some(area) => {
                area.segments.retain(|(from, _)| *from < mark);
                area.segments.extend(segments);
            }
            None => areas.push(Area { audit: *audit, segments }),
        }
    }
    Ok(areas)
}

fn segments(rules: &[Read<'_>], place: usize, default: u32, mark: u32) -> Vec<(u32, Decision)> {
    // By number; few architectures have more than a few hundred.
    let mut calls: Vec<Option<Call>> = Vec::new();
    calls.resize_with(600, || None);
    let mut far: Vec<(u32, Call)> = Vec::new();
    let mut newest = 0;
    let mut add = |number: u32, conditions: &[Condition], value: u32| {
        if let Some(slot) = calls.get_mut(number as usize) {
            return slot.get_or_insert_default().add(conditions, value);
        }
        // Arm's own calls have numbers of their own, far above.
        let at = far.iter().position(|(n, _)| *n == number).unwrap_or_else(|| {
            far.push((number, Call::default()));
            far.len() - 1
        });
        far[at].1.add(conditions, value);
    };
    for rule in rules {
        // A rule that says what is so anyway must not hide one that says otherwise.
        let counts = rule.value != default;
        for (name, numbers) in &rule.calls {
            // A name this architecture has not, or that is younger than our table, can do nothing.
            if let Some(number) = numbers.and_then(|n| u32::try_from(n[place]).ok()) {
                newest = newest.max(number);
                if counts {
                    rule.alternatives.iter().for_each(|conditions| add(number, conditions, rule.value));
                }
            }
            if place == X86
                && counts
                && rule.alternatives.iter().all(Vec::is_empty)
                && let Some((carrier, which)) = carrier(name)
                && let Some(number) = number(carrier, place)
            {
                let this_one = Condition { index: 0, op: Op::Eq, value: which, mask: 0 };
                add(number, &[this_one], rule.value);
            }
        }
    }
    far.sort_by_key(|(number, _)| *number);
    let near = calls.into_iter().enumerate().filter_map(|(number, call)| Some((number as u32, call?)));
    let calls = near.chain(far);
    // What is newer than everything the profile's author knew looks not there, so that programs fall back.
    let permissive = matches!(default & 0xffff_0000, RET_ALLOW | RET_LOG | RET_TRACE);
    let beyond = if permissive { default } else { RET_ERRNO | ENOSYS };
    let mut segments: Vec<(u32, Decision)> = Vec::new();
    let mut push = |from: u32, decision: Decision| {
        if segments.last().is_none_or(|(_, last)| *last != decision) {
            segments.push((from, decision));
        }
    };
    let mut next = 0;
    for (number, call) in calls {
        if number > next {
            push(mark | next, Decision::Return(default));
        }
        push(mark | number, call.decide(default));
        next = number + 1;
    }
    if next <= newest {
        push(mark | next, Decision::Return(default));
        next = newest + 1;
    }
    push(mark | next, Decision::Return(beyond));
    if place == X86_64 {
        push(X32_MARK, Decision::Return(RET_KILL_THREAD));
    }
    segments
}
