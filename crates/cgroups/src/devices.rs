//! Which devices may be used: version 1 by list, version 2 by a program.

use std::path::Path;

use gantry_sys::bpf::{self, Instruction};

use crate::files::write;
use crate::spec::DeviceRule;
use crate::{Error, Result};

/// `c 1:3 rwm`, `a *:* rwm`.
fn line(rule: &DeviceRule) -> Result<String> {
    let number = |n: Option<i64>| n.filter(|n| *n >= 0).map_or("*".to_owned(), |n| n.to_string());
    Ok(format!("{} {}:{} {}", kind(rule)?, number(rule.major), number(rule.minor), access(rule)?))
}

fn kind(rule: &DeviceRule) -> Result<char> {
    match rule.kind.as_deref().unwrap_or("a") {
        "" | "a" => Ok('a'),
        "c" | "u" => Ok('c'),
        "b" => Ok('b'),
        other => Err(Error::Invalid(format!("invalid device type \"{other}\" in a cgroup rule"))),
    }
}

fn access(rule: &DeviceRule) -> Result<&str> {
    let access = rule.access.as_deref().filter(|a| !a.is_empty()).unwrap_or("rwm");
    match access.chars().all(|c| "rwm".contains(c)) {
        true => Ok(access),
        false => Err(Error::Invalid(format!("invalid device access \"{access}\" in a cgroup rule"))),
    }
}

/// The rules of a new container: nothing is allowed, then the configuration's rules, then what every container
/// may use (making nodes, the default devices, terminals), as runc and crun have it.
pub fn for_container(asked: &[DeviceRule]) -> Vec<DeviceRule> {
    let rule = |kind: &str, major: Option<i64>, minor: Option<i64>, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    let nothing = DeviceRule { allow: false, access: Some("rwm".into()), ..Default::default() };
    let mut rules = vec![nothing];
    rules.extend(asked.iter().cloned());
    rules.push(rule("c", None, None, "m"));
    rules.push(rule("b", None, None, "m"));
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)] {
        rules.push(rule("c", Some(major), Some(minor), "rwm"));
    }
    rules.push(rule("c", Some(136), None, "rwm"));
    rules
}

/// Writes the rules in order.
pub(crate) fn set_v1(folder: &Path, rules: &[DeviceRule]) -> Result<()> {
    for rule in rules {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        // `a` alone is the only form that the kernel takes for everything.
        let text = if kind(rule)? == 'a' && rule.major.unwrap_or(-1) < 0 && rule.minor.unwrap_or(-1) < 0 {
            "a".to_owned()
        } else {
            line(rule)?
        };
        write(folder, file, &text)?;
    }
    Ok(())
}

/// Puts a program in the place of the one before. The new one is attached first: at no moment is nothing held.
pub(crate) fn set_v2(folder: &Path, rules: &[DeviceRule]) -> Result<()> {
    use rustix::fs::{Mode, OFlags};
    let told = |what: &str| {
        let what = format!("{what} the device program of {}", folder.display());
        move |cause: std::io::Error| Error::Io { what, cause }
    };
    let group = rustix::fs::open(folder, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| told("opening the folder for")(e.into()))?;
    let program = bpf::load_device_program(&program(rules)?).map_err(told("loading"))?;
    let before = bpf::device_programs(&group).map_err(told("asking for"))?;
    bpf::attach_device_program(&group, &program).map_err(told("attaching"))?;
    before.iter().try_for_each(|old| bpf::detach_device_program(&group, old)).map_err(told("replacing"))
}

const ACCESS_MKNOD: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

fn op(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: dst | src << 4, offset, immediate }
}

/// The rules as a program: r2 kind, r3 access, r4 major, r5 minor. The last rule that matches wins, so they are
/// asked from the last to the first; what no rule names is allowed, as in version 1 before its first rule.
pub(crate) fn program(rules: &[DeviceRule]) -> Result<Vec<Instruction>> {
    const LOAD_WORD: u8 = 0x61;
    const MOVE: u8 = 0xbf;
    const MOVE_CONST: u8 = 0xb7;
    const AND_CONST_32: u8 = 0x54;
    const SHIFT_RIGHT_32: u8 = 0x74;
    const JUMP_NE_32: u8 = 0x56;
    const JUMP_EQ_32: u8 = 0x16;
    const EXIT: u8 = 0x95;
    let mut code = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(AND_CONST_32, 2, 0, 0, 0xffff),
        op(LOAD_WORD, 3, 1, 0, 0),
        op(SHIFT_RIGHT_32, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let mut tests = Vec::new();
        match kind(rule)? {
            'b' => tests.push(op(JUMP_NE_32, 2, 0, 0, 1)),
            'c' => tests.push(op(JUMP_NE_32, 2, 0, 0, 2)),
            _ => {}
        }
        let mask = access(rule)?.chars().fold(0, |m, c| {
            m | match c {
                'm' => ACCESS_MKNOD,
                'r' => ACCESS_READ,
                _ => ACCESS_WRITE,
            }
        });
        let every = ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE;
        if mask != every {
            tests.push(op(MOVE, 6, 3, 0, 0));
            if rule.allow {
                // Allowed only when nothing else is asked for.
                tests.push(op(AND_CONST_32, 6, 0, 0, every & !mask));
                tests.push(op(JUMP_NE_32, 6, 0, 0, 0));
            } else {
                tests.push(op(AND_CONST_32, 6, 0, 0, mask));
                tests.push(op(JUMP_EQ_32, 6, 0, 0, 0));
            }
        }
        for (register, wanted) in [(4, rule.major), (5, rule.minor)] {
            if let Some(n) = wanted.filter(|n| *n >= 0) {
                let n = i32::try_from(n).map_err(|_| Error::Invalid(format!("invalid device number {n}")))?;
                tests.push(op(JUMP_NE_32, register, 0, 0, n));
            }
        }
        let unconditional = tests.is_empty();
        let length = tests.len() + 2;
        for (at, test) in tests.iter_mut().enumerate() {
            if test.code == JUMP_NE_32 || test.code == JUMP_EQ_32 {
                test.offset = (length - at - 1) as i16;
            }
        }
        code.extend(tests);
        code.push(op(MOVE_CONST, 0, 0, 0, rule.allow.into()));
        code.push(op(EXIT, 0, 0, 0, 0));
        if unconditional {
            return Ok(code); // What follows could not be reached, and the kernel refuses that.
        }
    }
    code.push(op(MOVE_CONST, 0, 0, 0, 1));
    code.push(op(EXIT, 0, 0, 0, 0));
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
        DeviceRule {
            allow,
            kind: Some(kind.into()),
            major: Some(major),
            minor: Some(minor),
            access: Some(access.into()),
        }
    }

    /// Runs the few instructions that [`program`] uses.
    fn run(code: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [kind | access << 16, major, minor];
        let mut r = [0u64; 10];
        let mut at = 0usize;
        loop {
            let i = code[at];
            let (dst, src) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            at += 1;
            match i.code {
                0x61 => r[dst] = context[i.offset as usize / 4].into(),
                0xbf => r[dst] = r[src],
                0xb7 => r[dst] = i.immediate as u64,
                0x54 => r[dst] = u64::from(r[dst] as u32 & i.immediate as u32),
                0x74 => r[dst] = u64::from((r[dst] as u32) >> i.immediate),
                0x56 if r[dst] as u32 != i.immediate as u32 => at += i.offset as usize,
                0x16 if r[dst] as u32 == i.immediate as u32 => at += i.offset as usize,
                0x56 | 0x16 => {}
                0x95 => return r[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_last_rule_that_matches_wins() {
        let code = program(&[
            rule(false, "a", -1, -1, "rwm"),
            rule(true, "c", 1, 3, "rwm"),
            rule(true, "c", -1, -1, "m"),
            rule(true, "b", 8, -1, "r"),
        ])
        .unwrap();
        assert!(run(&code, 2, 6, 1, 3), "/dev/null for reading and writing");
        assert!(run(&code, 2, 1, 9, 9), "any character node may be made");
        assert!(!run(&code, 2, 3, 9, 9), "making and reading is more than making");
        assert!(run(&code, 1, 2, 8, 7) && !run(&code, 1, 6, 8, 7));
        assert!(!run(&code, 1, 1, 9, 9));
    }

    #[test]
    fn denying_one_way_denies_whatever_includes_it() {
        let code = program(&[rule(true, "a", -1, -1, "rwm"), rule(false, "c", 1, 5, "w")]).unwrap();
        assert!(run(&code, 2, 2, 1, 5) && !run(&code, 2, 6, 1, 5));
    }

    #[test]
    fn lines_are_the_kernels() {
        assert_eq!(line(&rule(true, "c", 136, -1, "rwm")).unwrap(), "c 136:* rwm");
        assert!(line(&rule(true, "x", 1, 1, "r")).is_err() && line(&rule(true, "c", 1, 1, "z")).is_err());
    }
}
