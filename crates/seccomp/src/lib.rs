//! A seccomp profile compiled to one BPF program.
//!
//! [`compile`] takes `linux.seccomp` of the OCI specification and gives a [`Program`] for every calling convention the
//! profile names: a binary tree over system call numbers, 7 steps deep where a list would be 350 long. It installs
//! nothing (`gantry-sys` does) and knows no default profile (the engine does).
//!
//! Start reading at [`compile`], then `rules` (what a profile means) and `assemble` (how it becomes code).

mod action;
mod arch;
mod assemble;
mod rules;
pub mod spec;

use std::collections::BTreeMap;

use gantry_sys::seccomp::{self, Instruction};

use action::Action;
pub use arch::Arch;
use arch::X32_BIT;
use assemble::Interval;
use rules::Decision;
use spec::Seccomp;

/// A profile that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What is wrong with it.
    #[error("{0}")]
    Invalid(String),
    /// The kernel takes no program of more than 4096 instructions.
    #[error("the profile compiles to {0} instructions, the kernel takes 4096")]
    TooLarge(usize),
}

/// `BPF_MAXINSNS`.
const PROGRAM_LIMIT: usize = 4096;

/// A compiled filter and the flags it is installed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What the kernel runs at every system call.
    pub instructions: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*`; with `NEW_LISTENER` where the profile notifies.
    pub flags: u64,
}

impl Program {
    /// As bytes, to be kept or handed over: the flags, then eight bytes an instruction, little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.flags.to_le_bytes().to_vec();
        for instruction in &self.instructions {
            bytes.extend(instruction.code.to_le_bytes());
            bytes.extend([instruction.jt, instruction.jf]);
            bytes.extend(instruction.k.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Program::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, Error> {
        let bad = || Error::Invalid("a compiled filter is damaged".into());
        let (flags, rest) = bytes.split_first_chunk::<8>().ok_or_else(bad)?;
        let (chunks, tail) = rest.as_chunks::<8>();
        if !tail.is_empty() || chunks.is_empty() || chunks.len() > PROGRAM_LIMIT {
            return Err(bad());
        }
        let instruction = |c: &[u8; 8]| Instruction {
            code: u16::from_le_bytes([c[0], c[1]]),
            jt: c[2],
            jf: c[3],
            k: u32::from_le_bytes([c[4], c[5], c[6], c[7]]),
        };
        Ok(Program {
            instructions: chunks.iter().map(instruction).collect(),
            flags: u64::from_le_bytes(*flags),
        })
    }

    /// Whether installing it answers a notify descriptor.
    pub fn notifies(&self) -> bool {
        self.flags & seccomp::NEW_LISTENER != 0
    }
}

/// Compiles a profile.
///
/// Calls newer than the newest one the profile names get ENOSYS where the default is a refusal: programs then fall back to
/// an older call, which a plain EPERM would not make them do (runc does the same).
pub fn compile(profile: &Seccomp) -> Result<Program, Error> {
    let default = Action::parse(&profile.default_action, profile.default_errno_ret)?;
    if default.is_notify() {
        return Err(Error::Invalid("SCMP_ACT_NOTIFY cannot be the default action".into()));
    }
    let mut arches = Vec::new();
    for name in &profile.architectures {
        arches.extend(Arch::parse(name)?);
    }
    if arches.is_empty() {
        arches.push(Arch::native());
    }
    arches.sort_unstable();
    arches.dedup();

    let mut notifies = false;
    let mut blocks: BTreeMap<u32, (bool, Vec<Interval>)> = BTreeMap::new();
    for arch in arches {
        let decisions = rules::decisions(profile, arch, default)?;
        notifies |= decisions
            .values()
            .any(|d| d.otherwise.is_notify() || d.branches.iter().any(|(_, action)| action.is_notify()));
        let (_, block) = blocks.entry(arch.audit()).or_insert_with(|| (arch.wide(), Vec::new()));
        block.extend(intervals(arch, &decisions, default));
    }
    // Calls of x32 that no part of the profile speaks of are of a convention it does not know.
    if let Some((_, block)) = blocks.get_mut(&Arch::X86_64.audit()) {
        let bad = || Interval { from: 0, decision: Decision::always(Action::BAD_ARCH) };
        if !block.iter().any(|interval| interval.from >= X32_BIT) {
            block.push(Interval { from: X32_BIT, ..bad() });
        }
        if !block.iter().any(|interval| interval.from == 0) {
            block.insert(0, bad());
        }
        // A tracer that skips a call sets its number to -1.
        block.push(Interval { from: u32::MAX, decision: Decision::always(default) });
    }
    let blocks: Vec<_> =
        blocks.into_iter().map(|(audit, (wide, block))| (audit, wide, merged(block))).collect();
    let instructions = assemble::program(&blocks);
    if instructions.len() > PROGRAM_LIMIT {
        return Err(Error::TooLarge(instructions.len()));
    }
    Ok(Program { instructions, flags: flags(profile, notifies)? })
}

/// One convention's calls as intervals, from its lowest number on.
fn intervals(arch: Arch, decisions: &BTreeMap<u32, Decision>, default: Action) -> Vec<Interval> {
    let base = if arch == Arch::X32 { X32_BIT } else { 0 };
    let at = |from: u32, decision: Decision| Interval { from, decision };
    let mut found = vec![at(base, Decision::always(default))];
    for (number, decision) in decisions {
        found.push(at(*number, decision.clone()));
        found.push(at(number + 1, Decision::always(default)));
    }
    if let Some(newest) = decisions.keys().max().filter(|_| !default.lets_through()) {
        found.push(at(newest + 1, Decision::always(Action::NOT_THERE)));
    }
    found
}

/// Sorted, the last word on each number kept, neighbours of one decision joined.
fn merged(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by_key(|interval| interval.from);
    let mut kept: Vec<Interval> = Vec::new();
    for interval in intervals {
        if kept.last().is_some_and(|last| last.from == interval.from) {
            kept.pop();
        }
        if kept.last().is_none_or(|last| last.decision != interval.decision) {
            kept.push(interval);
        }
    }
    kept
}

fn flags(profile: &Seccomp, notifies: bool) -> Result<u64, Error> {
    let mut flags = if notifies { seccomp::NEW_LISTENER } else { 0 };
    for name in &profile.flags {
        flags |= match name.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => seccomp::TSYNC,
            "SECCOMP_FILTER_FLAG_LOG" => seccomp::LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => seccomp::SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => seccomp::WAIT_KILLABLE_RECV,
            other => return Err(Error::Invalid(format!("unknown flag {other:?}"))),
        };
    }
    if flags & seccomp::NEW_LISTENER != 0 && flags & seccomp::TSYNC != 0 {
        flags |= seccomp::TSYNC_ESRCH; // The kernel wants it where both are asked for.
    }
    Ok(flags)
}

#[cfg(test)]
mod tests;
