//! What a filter answers: `SECCOMP_RET_*` of `linux/seccomp.h`.

use crate::Error;

/// What happens to a system call, as the kernel's 32-bit word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Action(pub(crate) u32);

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
/// The low half: an error number, or a tracer's message.
const DATA: u32 = 0xffff;
/// Largest error number the kernel gives back.
const ERRNO_LIMIT: u32 = 4095;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

impl Action {
    /// A call of a convention the filter does not know. As libseccomp has it.
    pub(crate) const BAD_ARCH: Action = Action(KILL_THREAD);
    /// "This kernel has it not": what a program expects of a call newer than the profile.
    pub(crate) const NOT_THERE: Action = Action(ERRNO | ENOSYS);

    /// Reads `SCMP_ACT_ERRNO` and its like with its number.
    pub(crate) fn parse(name: &str, number: Option<u32>) -> Result<Action, Error> {
        let with = |base: u32, limit: u32| match number {
            Some(number) if number > limit => {
                Err(Error::Invalid(format!("errnoRet {number} of {name} is larger than {limit}")))
            }
            number => Ok(Action(base | number.unwrap_or(EPERM))),
        };
        let plain = |base: u32| match number {
            Some(number) if number != 0 => Err(Error::Invalid(format!(
                "errnoRet is only for SCMP_ACT_ERRNO and SCMP_ACT_TRACE, not for {name}"
            ))),
            _ => Ok(Action(base)),
        };
        match name {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => plain(KILL_THREAD),
            "SCMP_ACT_KILL_PROCESS" => plain(KILL_PROCESS),
            "SCMP_ACT_TRAP" => plain(TRAP),
            "SCMP_ACT_ERRNO" => with(ERRNO, ERRNO_LIMIT),
            "SCMP_ACT_TRACE" => with(TRACE, DATA),
            "SCMP_ACT_ALLOW" => plain(ALLOW),
            "SCMP_ACT_LOG" => plain(LOG),
            "SCMP_ACT_NOTIFY" => plain(USER_NOTIF),
            other => Err(Error::Invalid(format!("unknown action {other:?}"))),
        }
    }

    pub(crate) fn is_notify(self) -> bool {
        self.0 == USER_NOTIF
    }

    /// Whether a call that gets this is made after all.
    pub(crate) fn lets_through(self) -> bool {
        self.0 == ALLOW || self.0 == LOG
    }
}
