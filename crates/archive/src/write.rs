//! The writer: POSIX pax interchange, byte for byte what Go's archive/tar writes for its PAX format, so that layers we
//! write have the digests Docker's would.

use std::io::{self, Read, Write};

use crate::header::{BLOCK, Block, field, sums};
use crate::pax::{format_record, format_time, xattr_key};
use crate::{Entry, Error, Kind, Result, Time};

/// Writes members one after another. [`Writer::finish`] ends the archive; without it the archive is cut short.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
}

/// Members are gathered up to this many bytes before they are handed on.
const BUFFER: usize = 64 << 10;

impl<W: Write> Writer<W> {
    /// A writer of an uncompressed tar stream.
    pub fn new(out: W) -> Writer<W> {
        Writer { out, buffer: Vec::with_capacity(BUFFER + BLOCK) }
    }

    /// Writes a member whose contents are in `data`: exactly `entry.size` bytes (of a sparse one: its data only, one extent
    /// after another). Where `data` ends early the rest is zeroes, so that a file that shrinks under us costs itself only.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<()> {
        let size = self.append_header(entry)?;
        let mut left = size;
        let mut chunk = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER)).max(1)];
        let mut ended = false;
        while left > 0 {
            let want = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = if ended { 0 } else { read_some(data, &mut chunk[..want])? };
            ended |= n == 0;
            if ended {
                chunk[..want].fill(0);
            }
            let n = if ended { want } else { n };
            self.put(&chunk[..n])?;
            left -= n as u64;
        }
        self.pad(size)
    }

    /// Writes a member without contents, or with contents in memory.
    pub fn append_bytes(&mut self, entry: &Entry, mut data: &[u8]) -> Result<()> {
        self.append(entry, &mut data)
    }

    /// Two zero blocks, and everything out.
    pub fn finish(mut self) -> Result<W> {
        self.put(&[0; BLOCK * 2])?;
        self.out.write_all(&self.buffer)?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes the headers; gives how many bytes of contents are to follow.
    fn append_header(&mut self, entry: &Entry) -> Result<u64> {
        if entry.name.is_empty() || entry.name.contains(&0) || entry.link.contains(&0) {
            return Err(Error::Malformed("a member's name is empty or has a NUL"));
        }
        let map = entry.sparse.as_ref().filter(|_| entry.kind == Kind::File).map(|map| sparse_text(map));
        let stored: u64 = match (&map, &entry.sparse) {
            (Some(text), Some(extents)) => {
                text.len() as u64 + extents.iter().map(|(_, len)| len).sum::<u64>()
            }
            _ if entry.kind == Kind::File => entry.size,
            _ => 0,
        };
        let (header_name, mut records) = (sparse_name(entry, map.is_some()), Vec::new());
        self.records(entry, &header_name, stored, map.is_some(), &mut records);
        if !records.is_empty() {
            let mut block = [0; BLOCK];
            let name = pax_name(&header_name);
            // Go fills nothing in but name, size, type: the rest is zero.
            put_string(&mut block, field::NAME, &name);
            put_numbers(&mut block, 0, 0, 0, records.len() as u64, 0);
            block[field::TYPE] = b'x';
            seal(&mut block);
            self.put(&block)?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.put(&member_block(entry, &header_name, stored))?;
        if let Some(text) = &map {
            self.put(text)?;
            return Ok(stored - text.len() as u64);
        }
        Ok(stored)
    }

    /// What the header block cannot say, in order of the keys.
    fn records(&self, entry: &Entry, header_name: &[u8], stored: u64, sparse: bool, out: &mut Vec<u8>) {
        let mut list: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut put = |key: &str, value: Vec<u8>| list.push((key.as_bytes().to_vec(), value));
        let unfit = |text: &[u8], len: usize| text.len() > len || !text.is_ascii();
        if sparse {
            put("GNU.sparse.major", b"1".to_vec());
            put("GNU.sparse.minor", b"0".to_vec());
            put("GNU.sparse.name", entry.name.clone());
            put("GNU.sparse.realsize", entry.size.to_string().into_bytes());
        } else if unfit(header_name, field::NAME.1) {
            put("path", entry.name.clone());
        }
        if unfit(&entry.link, field::LINK.1) {
            put("linkpath", entry.link.clone());
        }
        for (key, name, at) in [("uname", &entry.uname, field::UNAME), ("gname", &entry.gname, field::GNAME)]
        {
            if unfit(name, at.1) {
                put(key, name.clone());
            }
        }
        for (key, value, at) in
            [("uid", entry.uid, field::UID), ("gid", entry.gid, field::GID), ("size", stored, field::SIZE)]
        {
            if !fits(value, at) {
                put(key, value.to_string().into_bytes());
            }
        }
        let seconds_fit = u64::try_from(entry.mtime.secs).is_ok_and(|secs| fits(secs, field::MTIME));
        if entry.mtime.nanos != 0 || !seconds_fit {
            put("mtime", format_time(entry.mtime).into_bytes());
        }
        for (key, time) in [("atime", entry.atime), ("ctime", entry.ctime)] {
            if let Some(time) = time {
                put(key, format_time(time).into_bytes());
            }
        }
        list.extend(entry.xattrs.iter().map(|(name, value)| (xattr_key(name), value.clone())));
        list.sort();
        for (key, value) in list {
            format_record(out, &key, &value);
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        if bytes.len() >= BUFFER {
            self.out.write_all(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let gap = (size.wrapping_neg() % BLOCK as u64) as usize;
        self.put(&[0; BLOCK][..gap])
    }
}

fn read_some(data: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match data.read(into) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn member_block(entry: &Entry, name: &[u8], stored: u64) -> Block {
    let mut block = [0; BLOCK];
    put_string(&mut block, field::NAME, &ascii(name));
    put_string(&mut block, field::LINK, &ascii(&entry.link));
    let secs = u64::try_from(entry.mtime.secs).unwrap_or(0);
    put_numbers(&mut block, u64::from(entry.mode & 0o7777), entry.uid, entry.gid, stored, secs);
    block[field::TYPE] = match entry.kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
    };
    put_string(&mut block, field::UNAME, &ascii(&entry.uname));
    put_string(&mut block, field::GNAME, &ascii(&entry.gname));
    put_number(&mut block, field::MAJOR, u64::from(entry.device.0));
    put_number(&mut block, field::MINOR, u64::from(entry.device.1));
    seal(&mut block);
    block
}

fn seal(block: &mut Block) {
    let (at, len) = field::MAGIC;
    block[at..at + len].copy_from_slice(b"ustar\x0000");
    let (at, _) = field::CHECKSUM;
    let sum = format!("{:06o}\0 ", sums(block).0);
    block[at..at + sum.len()].copy_from_slice(sum.as_bytes());
}

fn put_string(block: &mut Block, (at, len): field::Span, text: &[u8]) {
    let n = text.len().min(len);
    block[at..at + n].copy_from_slice(&text[..n]);
    // A cut directory name must not look like a directory by accident of where it was cut.
    if text.len() > len && block[at + len - 1] == b'/' {
        let kept = text[..n].iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
        block[at + kept..at + len].fill(0);
    }
}

fn put_numbers(block: &mut Block, mode: u64, uid: u64, gid: u64, size: u64, mtime: u64) {
    put_number(block, field::MODE, mode);
    put_number(block, field::UID, uid);
    put_number(block, field::GID, gid);
    put_number(block, field::SIZE, size);
    put_number(block, field::MTIME, mtime);
}

/// Octal with a NUL at the end; zero for what does not fit (a record says it).
fn put_number(block: &mut Block, at: field::Span, value: u64) {
    let value = if fits(value, at) { value } else { 0 };
    let text = format!("{value:0width$o}", width = at.1 - 1);
    block[at.0..at.0 + text.len()].copy_from_slice(text.as_bytes());
}

fn fits(value: u64, (_, len): field::Span) -> bool {
    value < 1 << (3 * (len - 1))
}

/// The name with all that is not ASCII left out: what stands in the header block when a record has the true one.
fn ascii(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() {
        return text.to_vec();
    }
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Where Go puts a member's extended header: `dir/PaxHeaders.0/base`, of a directory `dir/PaxHeaders.0`.
fn pax_name(name: &[u8]) -> Vec<u8> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let (dir, base) = name.split_at(name.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1));
    let mut out = ascii(&[dir, b"PaxHeaders.0/", base].concat());
    out.truncate(field::NAME.1);
    trim_slash(&out).to_vec()
}

fn sparse_name(entry: &Entry, sparse: bool) -> Vec<u8> {
    if !sparse {
        return entry.name.clone();
    }
    let (dir, base) = match entry.name.iter().rposition(|b| *b == b'/') {
        Some(at) => entry.name.split_at(at + 1),
        None => (&b""[..], entry.name.as_slice()),
    };
    [dir, b"GNUSparseFile.0/", base].concat()
}

fn trim_slash(name: &[u8]) -> &[u8] {
    &name[..name.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1)]
}

fn sparse_text(map: &[(u64, u64)]) -> Vec<u8> {
    let mut text = format!("{}\n", map.len()).into_bytes();
    for (offset, len) in map {
        text.extend_from_slice(format!("{offset}\n{len}\n").as_bytes());
    }
    text.resize(text.len().next_multiple_of(BLOCK), 0);
    text
}

impl Entry {
    /// The member as Docker writes layers: whole seconds, no access or change times.
    pub fn truncated(mut self) -> Entry {
        self.mtime = Time::seconds(self.mtime.secs);
        self.atime = None;
        self.ctime = None;
        self
    }
}
