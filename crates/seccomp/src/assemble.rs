//! Decisions as a program: a test of the architecture, then a binary search over the numbers.
//!
//! The program is laid down from its end to its start, so that every jump's target is known when the jump is
//! written. A place is counted from the end.

use gantry_sys::seccomp::Instruction;

use crate::rules::{Area, Condition, Decision, Op, RET_KILL_THREAD};

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The longest way of a conditional jump.
const REACH: usize = 255;

#[derive(Default)]
struct Assembler {
    /// The last instruction first.
    code: Vec<Instruction>,
    /// Where each answer was last written.
    returns: Vec<(u32, usize)>,
}

pub(crate) fn program(areas: &[Area]) -> Vec<Instruction> {
    let mut a = Assembler::default();
    // No architecture of the profile's: whatever the number means there, it is not what was allowed.
    let mut next = a.answer(RET_KILL_THREAD);
    for area in areas.iter().rev() {
        let search = a.search(&area.segments);
        let start = a.push(LOAD, NUMBER, search);
        // Laid down right before its numbers; what is laid down later (the next area) is reached by `next`.
        next = a.branch(JEQ, area.audit, start, next);
    }
    a.push(LOAD, ARCHITECTURE, next);
    a.code.reverse();
    a.code
}

impl Assembler {
    /// Writes an instruction that goes on at `then`.
    fn push(&mut self, code: u16, k: u32, then: usize) -> usize {
        self.reach_next(then);
        self.code.push(Instruction { code, jt: 0, jf: 0, k });
        self.code.len() - 1
    }

    /// Sees to it that `then` is what follows.
    fn reach_next(&mut self, then: usize) {
        if then + 1 != self.code.len() {
            let k = (self.code.len() - then - 1) as u32;
            self.code.push(Instruction { code: JUMP, jt: 0, jf: 0, k });
        }
    }

    /// A place that gives this answer, near enough for a jump from here.
    fn answer(&mut self, value: u32) -> usize {
        // Room for the few instructions that may come between this question and the jump.
        let here = self.code.len();
        let known = self.returns.iter_mut().find(|(v, _)| *v == value);
        match known {
            Some((_, at)) if here - *at < REACH - 40 => return *at,
            Some((_, at)) => *at = here,
            None => self.returns.push((value, here)),
        }
        self.code.push(Instruction { code: RETURN, jt: 0, jf: 0, k: value });
        here
    }

    /// A conditional jump; what is too far gets a long jump of its own.
    fn branch(&mut self, code: u16, k: u32, mut yes: usize, mut no: usize) -> usize {
        let far = |a: &Assembler, place: usize, more: usize| a.code.len() + more - place - 1 > REACH;
        if far(self, no, 1) {
            let k = (self.code.len() - no - 1) as u32;
            self.code.push(Instruction { code: JUMP, jt: 0, jf: 0, k });
            no = self.code.len() - 1;
        }
        if far(self, yes, 0) {
            let k = (self.code.len() - yes - 1) as u32;
            self.code.push(Instruction { code: JUMP, jt: 0, jf: 0, k });
            yes = self.code.len() - 1;
        }
        let here = self.code.len();
        self.code.push(Instruction { code, jt: (here - yes - 1) as u8, jf: (here - no - 1) as u8, k });
        here
    }

    /// Half of the numbers with each question.
    fn search(&mut self, segments: &[(u32, Decision)]) -> usize {
        match segments {
            [] => self.answer(RET_KILL_THREAD),
            [(_, decision)] => self.decide(decision),
            _ => {
                let (low, high) = segments.split_at(segments.len() / 2);
                let upper = self.search(high);
                let lower = self.search(low);
                self.branch(JGE, high[0].0, upper, lower)
            }
        }
    }

    fn decide(&mut self, decision: &Decision) -> usize {
        match decision {
            Decision::Return(value) => self.answer(*value),
            Decision::Ask(alternatives, last) => {
                let mut otherwise = self.answer(*last);
                for (conditions, value) in alternatives.iter().rev() {
                    let mut holds = self.answer(*value);
                    for condition in conditions.iter().rev() {
                        holds = self.test(condition, holds, otherwise);
                    }
                    otherwise = holds;
                }
                otherwise
            }
        }
    }

    /// The argument is two words; what is compared is the number they make.
    fn test(&mut self, c: &Condition, yes: usize, no: usize) -> usize {
        let low_at = ARGUMENTS + c.index * 8;
        let (low, high) = (c.value as u32, (c.value >> 32) as u32);
        let (low_offset, high_offset) =
            if cfg!(target_endian = "little") { (low_at, low_at + 4) } else { (low_at + 4, low_at) };
        match c.op {
            Op::Ne => return self.test(&Condition { op: Op::Eq, ..*c }, no, yes),
            Op::Lt => return self.test(&Condition { op: Op::Ge, ..*c }, no, yes),
            Op::Le => return self.test(&Condition { op: Op::Gt, ..*c }, no, yes),
            _ => {}
        }
        let last = match c.op {
            Op::Ge => JGE,
            Op::Gt => JGT,
            _ => JEQ,
        };
        let mut low_half = self.branch(last, low, yes, no);
        if c.op == Op::MaskedEq {
            low_half = self.push(AND, c.mask as u32, low_half);
        }
        low_half = self.push(LOAD, low_offset, low_half);
        let mut high_half = self.branch(JEQ, high, low_half, no);
        match c.op {
            Op::Ge | Op::Gt => high_half = self.branch(JGT, high, yes, high_half),
            Op::MaskedEq => high_half = self.push(AND, (c.mask >> 32) as u32, high_half),
            _ => {}
        }
        self.push(LOAD, high_offset, high_half)
    }
}
