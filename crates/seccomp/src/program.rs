//! A compiled profile, and its form on disk.

use gantry_sys::seccomp::Instruction;

use crate::Error;

/// What the kernel takes: the filter and the flags of seccomp(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub instructions: Vec<Instruction>,
    pub flags: u64,
}

/// The first bytes of a stored program; the last one is the layout's version.
const MAGIC: &[u8; 4] = b"GSB\x01";
const HEAD: usize = 12;

impl Program {
    /// Magic, flags, then eight bytes for each instruction, all little endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.instructions.len() * 8);
        bytes.extend(MAGIC);
        bytes.extend(self.flags.to_le_bytes());
        for i in &self.instructions {
            bytes.extend(i.code.to_le_bytes());
            bytes.extend([i.jt, i.jf]);
            bytes.extend(i.k.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. The kernel checks the program itself.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, Error> {
        let (Some(magic), Some(flags), Some(rest)) = (bytes.get(..4), bytes.get(4..HEAD), bytes.get(HEAD..))
        else {
            return Err(Error::Damaged("it is too short"));
        };
        if magic != MAGIC {
            return Err(Error::Damaged("it does not begin like one"));
        }
        if rest.is_empty() || rest.len() % 8 != 0 || rest.len() > 4096 * 8 {
            return Err(Error::Damaged("its length is impossible"));
        }
        let instructions = rest
            .chunks_exact(8)
            .map(|b| Instruction {
                code: u16::from_le_bytes([b[0], b[1]]),
                jt: b[2],
                jf: b[3],
                k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            })
            .collect();
        Ok(Program { instructions, flags: u64::from_le_bytes(flags.try_into().unwrap_or_default()) })
    }
}
