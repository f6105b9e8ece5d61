//! From a profile's rules to one decision for each system call of one convention.

use std::collections::BTreeMap;

use crate::Error;
use crate::action::Action;
use crate::arch::Arch;
use crate::spec::{Arg, Seccomp};

/// What is asked of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub(crate) argument: u32,
    pub(crate) test: Test,
}

/// The comparison; values are unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    /// `argument & mask == value`.
    Masked {
        mask: u64,
        value: u64,
    },
}

/// What happens to one system call: the first branch whose conditions all hold decides, else `otherwise`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Decision {
    pub(crate) branches: Vec<(Vec<Condition>, Action)>,
    pub(crate) otherwise: Action,
}

impl Decision {
    pub(crate) fn always(action: Action) -> Self {
        Self { branches: Vec::new(), otherwise: action }
    }
}

/// Highest argument of a system call.
const LAST_ARGUMENT: u32 = 5;

/// The decisions that differ from the default, by number. Names the convention has not are passed by, as runc does:
/// profiles are written for many kernels.
pub(crate) fn decisions(
    profile: &Seccomp,
    arch: Arch,
    default: Action,
) -> Result<BTreeMap<u32, Decision>, Error> {
    let mut found: BTreeMap<u32, Decision> = BTreeMap::new();
    let mut settled = std::collections::BTreeSet::new();
    for rule in &profile.syscalls {
        let action = Action::parse(&rule.action, rule.errno_ret)?;
        if action.is_notify() && rule.names.iter().any(|name| name == "write") {
            return Err(Error::Invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall".into()));
        }
        let branches = branches(&rule.args)?;
        for number in rule.names.iter().filter_map(|name| arch.number(name)) {
            // The first rule without conditions settles a call; later ones and branches before it count no more.
            if settled.contains(&number) {
                continue;
            }
            let decision = found.entry(number).or_insert_with(|| Decision::always(default));
            if branches.is_empty() {
                *decision = Decision::always(action);
                settled.insert(number);
            } else {
                decision.branches.extend(branches.iter().map(|conditions| (conditions.clone(), action)));
            }
        }
    }
    Ok(found)
}

/// The alternatives of one rule. As runc has it: conditions on different arguments must all hold; where one argument is
/// named twice, each condition is an alternative of its own.
fn branches(args: &[Arg]) -> Result<Vec<Vec<Condition>>, Error> {
    let conditions: Vec<Condition> = args.iter().map(condition).collect::<Result<_, _>>()?;
    let mut arguments: Vec<u32> = conditions.iter().map(|condition| condition.argument).collect();
    arguments.sort_unstable();
    arguments.dedup();
    Ok(if conditions.is_empty() {
        Vec::new()
    } else if arguments.len() < conditions.len() {
        conditions.into_iter().map(|condition| vec![condition]).collect()
    } else {
        vec![conditions]
    })
}

fn condition(arg: &Arg) -> Result<Condition, Error> {
    if arg.index > LAST_ARGUMENT {
        return Err(Error::Invalid(format!(
            "argument {} of a system call: there are six, from 0",
            arg.index
        )));
    }
    let value = arg.value;
    let test = match arg.op.as_str() {
        "SCMP_CMP_NE" => Test::NotEqual(value),
        "SCMP_CMP_LT" => Test::Less(value),
        "SCMP_CMP_LE" => Test::LessOrEqual(value),
        "SCMP_CMP_EQ" => Test::Equal(value),
        "SCMP_CMP_GE" => Test::GreaterOrEqual(value),
        "SCMP_CMP_GT" => Test::Greater(value),
        "SCMP_CMP_MASKED_EQ" => Test::Masked { mask: value, value: arg.value_two },
        other => return Err(Error::Invalid(format!("unknown comparison {other:?}"))),
    };
    Ok(Condition { argument: arg.index, test })
}
