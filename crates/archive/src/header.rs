//! One 512-byte header block: its fields and how numbers and strings stand in them (POSIX pax, GNU tar manual, v7).

use crate::{Error, Result};

pub(crate) const BLOCK: usize = 512;
pub(crate) type Block = [u8; BLOCK];

/// Where each field lies: (offset, length).
pub(crate) mod field {
    pub(crate) type Span = (usize, usize);
    pub(crate) const NAME: Span = (0, 100);
    pub(crate) const MODE: Span = (100, 8);
    pub(crate) const UID: Span = (108, 8);
    pub(crate) const GID: Span = (116, 8);
    pub(crate) const SIZE: Span = (124, 12);
    pub(crate) const MTIME: Span = (136, 12);
    pub(crate) const CHECKSUM: Span = (148, 8);
    pub(crate) const TYPE: usize = 156;
    pub(crate) const LINK: Span = (157, 100);
    pub(crate) const MAGIC: Span = (257, 8);
    pub(crate) const UNAME: Span = (265, 32);
    pub(crate) const GNAME: Span = (297, 32);
    pub(crate) const MAJOR: Span = (329, 8);
    pub(crate) const MINOR: Span = (337, 8);
    pub(crate) const PREFIX: Span = (345, 155);
    pub(crate) const STAR_PREFIX: Span = (345, 131);
    pub(crate) const STAR_TRAILER: Span = (508, 4);
    pub(crate) const GNU_ATIME: Span = (345, 12);
    pub(crate) const GNU_CTIME: Span = (357, 12);
    pub(crate) const GNU_SPARSE: usize = 386;
    pub(crate) const GNU_EXTENDED: usize = 482;
    pub(crate) const GNU_REALSIZE: Span = (483, 12);
}

/// Which dialect a header is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

pub(crate) fn span(block: &Block, (at, len): field::Span) -> &[u8] {
    &block[at..at + len]
}

/// The bytes up to the first NUL.
pub(crate) fn string(block: &Block, at: field::Span) -> &[u8] {
    let bytes = span(block, at);
    &bytes[..bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len())]
}

pub(crate) fn number(block: &Block, at: field::Span) -> Result<i64> {
    numeric(span(block, at)).ok_or(Error::Header)
}

/// Octal text, or base 256 when the top bit is set (two's complement over all remaining bits).
pub(crate) fn numeric(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    if first & 0x80 == 0 {
        return octal(bytes);
    }
    let negative = first & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (i, byte) in bytes.iter().enumerate() {
        let byte = match i {
            0 if negative => *byte,
            0 => *byte & 0x7f,
            _ => *byte,
        };
        value = (value << 8) | i128::from(byte);
        // More than 64 bits can never come back into range.
        if !(i128::from(i64::MIN)..=i128::from(i64::MAX)).contains(&value) {
            return None;
        }
    }
    i64::try_from(value).ok()
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let text = bytes.trim_ascii_start();
    let end = text.iter().position(|b| *b == 0 || *b == b' ').unwrap_or(text.len());
    let skip = text[..end].iter().position(|b| *b != 0).unwrap_or(end);
    let mut value: i64 = 0;
    for digit in &text[skip..end] {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    // What follows the number must be filler.
    text[end..].iter().all(|b| *b == 0 || *b == b' ').then_some(value)
}

/// Whether the block's checksum fits, summed as unsigned bytes or (old Sun tar) as signed ones.
pub(crate) fn checksum_fits(block: &Block) -> bool {
    let Some(told) = octal(span(block, field::CHECKSUM)) else { return false };
    let (unsigned, signed) = sums(block);
    told == unsigned || told == signed
}

pub(crate) fn sums(block: &Block) -> (i64, i64) {
    let (at, len) = field::CHECKSUM;
    let (mut unsigned, mut signed) = (0, 0);
    for (i, byte) in block.iter().enumerate() {
        let byte = if (at..at + len).contains(&i) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    (unsigned, signed)
}

pub(crate) fn dialect(block: &Block) -> Dialect {
    let magic = span(block, field::MAGIC);
    if magic == b"ustar  \0" {
        Dialect::Gnu
    } else if !magic.starts_with(b"ustar") {
        Dialect::V7
    } else if span(block, field::STAR_TRAILER) == b"tar\0" {
        Dialect::Star
    } else {
        Dialect::Ustar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_coat() {
        assert_eq!(numeric(b"0000644\0"), Some(0o644));
        assert_eq!(numeric(b"   644 \0"), Some(0o644));
        assert_eq!(numeric(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(numeric(b"0000648\0"), None);
        assert_eq!(numeric(b"64 4\0\0\0\0"), None);
        assert_eq!(numeric(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(numeric(&[0xff; 12]), Some(-1));
        assert_eq!(numeric(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2]), None);
    }
}
