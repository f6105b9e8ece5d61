//! The calling conventions a process of this host can use, and the numbers of their system calls.
//!
//! Source: `linux/audit.h` for the kernel's architecture words; the tables are the kernel's own `unistd` headers.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::Error;

/// One calling convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 64-bit x86 with 32-bit pointers: the 64-bit audit word, numbers with bit 30 set.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
}

/// Bit 30 of a system call's number marks x32.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// Known to libseccomp, never found in a process of the hosts we run on: such names are passed by.
const FOREIGN: [&str; 16] = [
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
];

impl Arch {
    /// The convention this program was built for.
    pub fn native() -> Arch {
        if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 }
    }

    /// Reads `SCMP_ARCH_X86_64` and its like; `None` for one that no process of our hosts can have.
    pub(crate) fn parse(name: &str) -> Result<Option<Arch>, Error> {
        Ok(Some(match name {
            "SCMP_ARCH_NATIVE" => Arch::native(),
            "SCMP_ARCH_X86_64" => Arch::X86_64,
            "SCMP_ARCH_X86" => Arch::X86,
            "SCMP_ARCH_X32" => Arch::X32,
            "SCMP_ARCH_AARCH64" => Arch::Aarch64,
            "SCMP_ARCH_ARM" => Arch::Arm,
            other if FOREIGN.contains(&other) => return Ok(None),
            other => return Err(Error::Invalid(format!("unknown architecture {other:?}"))),
        }))
    }

    /// `AUDIT_ARCH_*`, as it stands in `struct seccomp_data`.
    pub(crate) fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::X86 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments have 64 bits.
    pub(crate) fn wide(self) -> bool {
        !matches!(self, Arch::X86 | Arch::Arm)
    }

    /// The number of a system call; `None` where the convention has it not.
    pub fn number(self, name: &str) -> Option<u32> {
        static TABLES: [OnceLock<HashMap<&'static str, u32>>; 5] = [const { OnceLock::new() }; 5];
        TABLES[self as usize].get_or_init(|| table(self.text())).get(name).copied()
    }

    fn text(self) -> &'static str {
        match self {
            Arch::X86_64 => include_str!("tables/x86_64.txt"),
            Arch::X86 => include_str!("tables/x86.txt"),
            Arch::X32 => include_str!("tables/x32.txt"),
            Arch::Aarch64 => include_str!("tables/aarch64.txt"),
            Arch::Arm => include_str!("tables/arm.txt"),
        }
    }
}

fn table(text: &'static str) -> HashMap<&'static str, u32> {
    let row = |word: &'static str| {
        let (name, number) = word.split_once('=').expect("the tables are name=number");
        (name, number.parse().expect("the tables hold decimal numbers"))
    };
    text.split_ascii_whitespace().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_know_a_few_numbers_by_heart() {
        assert_eq!(Arch::X86_64.number("read"), Some(0));
        assert_eq!(Arch::X86.number("read"), Some(3));
        assert_eq!(Arch::X32.number("read"), Some(X32_BIT));
        assert_eq!(Arch::Aarch64.number("read"), Some(63));
        assert_eq!(Arch::Arm.number("set_tls"), Some(983_045));
        assert_eq!(Arch::Aarch64.number("open"), None);
        for arch in [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm] {
            assert_eq!((arch.number("clone3"), arch.number("mseal")), (Some(435), Some(462)), "{arch:?}");
        }
    }

    #[test]
    fn numbers_of_one_convention_differ() {
        for arch in [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64] {
            let all = table(arch.text());
            let distinct: std::collections::BTreeSet<u32> = all.values().copied().collect();
            // Where a call has two names the table has both; there are few of them.
            assert!(all.len() - distinct.len() <= 2, "{arch:?}");
            assert!(distinct.len() > 300, "{arch:?}");
        }
    }
}
