//! Decisions to classic BPF: a word for the convention, then a binary tree over the numbers.
//!
//! The tree uses only loads of number and convention, constant jumps and returns, so that the kernel can see which
//! calls are always allowed and skip the filter for them (`seccomp_cache_prepare`, Linux 5.11).

use gantry_sys::seccomp::Instruction;

use crate::action::Action;
use crate::rules::{Condition, Decision, Test};

/// Calls from this number up to the next interval's get this decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) from: u32,
    pub(crate) decision: Decision,
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const IF_NOT_LESS: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const CONVENTION: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The whole program: `blocks` are the intervals of each audit word.
pub(crate) fn program(blocks: &[(u32, bool, Vec<Interval>)]) -> Vec<Instruction> {
    let bodies: Vec<(u32, Vec<Instruction>)> = blocks
        .iter()
        .map(|(audit, wide, intervals)| {
            let mut body = vec![op(LOAD, NUMBER)];
            body.extend(tree(intervals, *wide));
            (*audit, body)
        })
        .collect();
    let mut program = vec![op(LOAD, CONVENTION)];
    // Each test is two instructions long, the last return one: a block begins behind them and the blocks before it.
    let mut before = 0;
    for (index, (audit, body)) in bodies.iter().enumerate() {
        program.push(Instruction { code: IF_EQUAL, jt: 0, jf: 1, k: *audit });
        program.push(op(JUMP, (2 * (bodies.len() - 1 - index) + 1 + before) as u32));
        before += body.len();
    }
    program.push(op(RETURN, Action::BAD_ARCH.0));
    program.extend(bodies.into_iter().flat_map(|(_, body)| body));
    program
}

fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// Code that ends in a return for every number; the number is loaded. Intervals are sorted, the first one covers all
/// that is below the second.
fn tree(intervals: &[Interval], wide: bool) -> Vec<Instruction> {
    if let [only] = intervals {
        return leaf(&only.decision, wide);
    }
    let middle = intervals.len() / 2;
    let (low, high) = (tree(&intervals[..middle], wide), tree(&intervals[middle..], wide));
    let pivot = intervals[middle].from;
    let mut code = Vec::with_capacity(low.len() + high.len() + 2);
    match u8::try_from(low.len()) {
        Ok(over) => code.push(Instruction { code: IF_NOT_LESS, jt: over, jf: 0, k: pivot }),
        Err(_) => {
            code.push(Instruction { code: IF_NOT_LESS, jt: 0, jf: 1, k: pivot });
            code.push(op(JUMP, low.len() as u32));
        }
    }
    code.extend(low);
    code.extend(high);
    code
}

fn leaf(decision: &Decision, wide: bool) -> Vec<Instruction> {
    let mut code = Vec::new();
    for (conditions, action) in &decision.branches {
        code.extend(branch(conditions, *action, wide));
    }
    code.push(op(RETURN, decision.otherwise.0));
    code
}

/// Where a test jumps to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// The instruction that follows.
    Next,
    /// Behind this condition: it holds.
    Holds,
    /// Behind the whole branch: it does not.
    Fails,
}

/// Returns the action when all conditions hold, else goes on behind itself.
fn branch(conditions: &[Condition], action: Action, wide: bool) -> Vec<Instruction> {
    let tests: Vec<Vec<(Instruction, To, To)>> =
        conditions.iter().map(|condition| test(condition, wide)).collect();
    let length: usize = tests.iter().map(Vec::len).sum();
    let mut code = Vec::with_capacity(length + 1);
    let mut end_of_test = 0;
    for test in tests {
        end_of_test += test.len();
        for (instruction, yes, no) in test {
            let place = code.len();
            let offset = |to: To| match to {
                To::Next => 0,
                To::Holds => end_of_test - place - 1,
                To::Fails => length + 1 - place - 1,
            };
            // Six conditions of at most six instructions: every offset fits a byte.
            let byte = |to: To| u8::try_from(offset(to)).expect("a branch is short");
            let jumps = matches!(instruction.code, IF_EQUAL | IF_GREATER | IF_NOT_LESS);
            code.push(if jumps {
                Instruction { jt: byte(yes), jf: byte(no), ..instruction }
            } else {
                instruction
            });
        }
    }
    code.push(op(RETURN, action.0));
    code
}

/// One condition on a 64-bit argument, the upper half first; a narrow convention has the lower half only.
fn test(condition: &Condition, wide: bool) -> Vec<(Instruction, To, To)> {
    let low_at = ARGUMENTS + 8 * condition.argument;
    let load = |at: u32| (op(LOAD, at), To::Next, To::Next);
    let (high, low) = (load(low_at + 4), load(low_at));
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    let if_ = |code: u16, k: u32, yes: To, no: To| (op(code, k), yes, no);
    let narrow = |upper: Vec<(Instruction, To, To)>, lower: Vec<(Instruction, To, To)>| {
        let mut all = if wide { upper } else { Vec::new() };
        all.extend(lower);
        all
    };
    // `argument > value` (or >=), with what follows when it is so and when not.
    let above = |value: u64, code: u16, yes: To, no: To| {
        let (h, l) = halves(value);
        narrow(
            vec![high, if_(IF_GREATER, h, yes, To::Next), if_(IF_EQUAL, h, To::Next, no)],
            vec![low, if_(code, l, yes, no)],
        )
    };
    match condition.test {
        Test::Equal(value) => {
            let (h, l) = halves(value);
            narrow(
                vec![high, if_(IF_EQUAL, h, To::Next, To::Fails)],
                vec![low, if_(IF_EQUAL, l, To::Holds, To::Fails)],
            )
        }
        Test::NotEqual(value) => {
            let (h, l) = halves(value);
            narrow(
                vec![high, if_(IF_EQUAL, h, To::Next, To::Holds)],
                vec![low, if_(IF_EQUAL, l, To::Fails, To::Holds)],
            )
        }
        Test::Greater(value) => above(value, IF_GREATER, To::Holds, To::Fails),
        Test::GreaterOrEqual(value) => above(value, IF_NOT_LESS, To::Holds, To::Fails),
        Test::LessOrEqual(value) => above(value, IF_GREATER, To::Fails, To::Holds),
        Test::Less(value) => above(value, IF_NOT_LESS, To::Fails, To::Holds),
        Test::Masked { mask, value } => {
            let ((mask_h, mask_l), (h, l)) = (halves(mask), halves(value));
            let and = |mask: u32| (op(AND, mask), To::Next, To::Next);
            narrow(
                vec![high, and(mask_h), if_(IF_EQUAL, h, To::Next, To::Fails)],
                vec![low, and(mask_l), if_(IF_EQUAL, l, To::Holds, To::Fails)],
            )
        }
    }
}
