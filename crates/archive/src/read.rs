//! The streaming reader.

use std::io::{self, BufReader, Read};

use crate::header::{BLOCK, Block, Dialect, checksum_fits, dialect, field, number, numeric, span, string};
use crate::pax::{self, Records, decimal};
use crate::{Entry, Error, Kind, Result, Time};

/// The longest name or link target that is accepted, in bytes. The kernel takes 4095.
const MAX_NAME: u64 = 64 << 10;
/// The most pieces a sparse file may be in.
const MAX_EXTENTS: usize = 1 << 18;
/// The largest file: what the kernel's offsets can say.
const MAX_SIZE: u64 = i64::MAX as u64;
/// Headers are small and many; contents larger than this bypass the buffer.
const BUFFER: usize = 128 << 10;

/// Reads members one after another from a stream that need not be seekable.
///
/// [`Reader::next_entry`] gives a member's description; its contents are then read from the reader itself ([`Read`]: holes
/// as zeroes) or by [`Reader::read_extent`] (data only). What is not read is skipped.
#[derive(Debug)]
pub struct Reader<R> {
    input: BufReader<R>,
    global: Records,
    /// Bytes of the present member's data still in the stream, and filler after them.
    remaining: u64,
    padding: u64,
    /// Where the present member's data goes.
    extents: Vec<(u64, u64)>,
    extent: usize,
    within: u64,
    /// Logical read position and size, for [`Read`].
    position: u64,
    size: u64,
    ended: bool,
}

/// What precedes a member: the long names and extended headers that belong to it.
#[derive(Default)]
struct Preface {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Records,
    /// Bytes of its extended headers: there may be several.
    bytes: u64,
    some: bool,
}

impl<R: Read> Reader<R> {
    /// A reader of an uncompressed tar stream.
    pub fn new(input: R) -> Reader<R> {
        Reader {
            input: BufReader::with_capacity(BUFFER, input),
            global: Records::default(),
            remaining: 0,
            padding: 0,
            extents: Vec::new(),
            extent: 0,
            within: 0,
            position: 0,
            size: 0,
            ended: false,
        }
    }

    /// The next member, or `None` at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        self.skip_rest()?;
        let mut preface = Preface::default();
        loop {
            let Some(block) = self.header_block()? else {
                self.ended = true;
                return if preface.some { Err(Error::Truncated) } else { Ok(None) };
            };
            match block[field::TYPE] {
                b'x' | b'X' => {
                    let bytes = self.special(&block, pax::MAX_BYTES)?;
                    preface.bytes += bytes.len() as u64;
                    if preface.bytes > pax::MAX_BYTES {
                        return Err(Error::Limit { what: "a member's PAX headers", limit: pax::MAX_BYTES });
                    }
                    preface.records.parse(&bytes)?;
                }
                b'g' => {
                    let bytes = self.special(&block, pax::MAX_BYTES)?;
                    self.global.parse(&bytes)?;
                    if self.global.bytes() > pax::MAX_BYTES {
                        return Err(Error::Limit { what: "global PAX headers", limit: pax::MAX_BYTES });
                    }
                    continue;
                }
                b'L' => preface.name = Some(self.long_name(&block)?),
                b'K' => preface.link = Some(self.long_name(&block)?),
                // A volume label is no member.
                b'V' => {
                    self.special(&block, pax::MAX_BYTES)?;
                    continue;
                }
                _ => return self.member(&block, preface).map(Some),
            }
            preface.some = true;
        }
    }

    /// Reads data of the present member: gives where in the file the bytes belong and how many there are, 0 at its end.
    pub fn read_extent(&mut self, buffer: &mut [u8]) -> Result<(u64, usize)> {
        while let Some((offset, len)) = self.extents.get(self.extent).copied() {
            let left = len - self.within;
            if left == 0 {
                self.extent += 1;
                self.within = 0;
                continue;
            }
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = self.input.read(&mut buffer[..want])?;
            if n == 0 && want > 0 {
                return Err(Error::Truncated);
            }
            let at = offset + self.within;
            self.within += n as u64;
            self.remaining -= n as u64;
            return Ok((at, n));
        }
        Ok((self.size, 0))
    }

    /// Reads what follows the archive's end to the end of the stream, so that a digest of the stream sees it all.
    pub fn drain(&mut self) -> Result<()> {
        io::copy(&mut self.input, &mut io::sink())?;
        self.ended = true;
        Ok(())
    }

    /// A block, or `None` at the end: two zero blocks, or the stream's end between members.
    fn header_block(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK];
        if !self.fill(&mut block)? {
            return Ok(None);
        }
        if block.iter().all(|b| *b == 0) {
            return match self.fill(&mut block)? {
                true if block.iter().any(|b| *b != 0) => Err(Error::Header),
                _ => Ok(None),
            };
        }
        if checksum_fits(&block) { Ok(Some(block)) } else { Err(Error::Header) }
    }

    /// Reads a whole block; `false` if the stream ends just here.
    fn fill(&mut self, block: &mut Block) -> Result<bool> {
        let mut have = 0;
        while have < BLOCK {
            match self.input.read(&mut block[have..]) {
                Ok(0) if have == 0 => return Ok(false),
                Ok(0) => return Err(Error::Truncated),
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(true)
    }

    /// The contents of a member that describes another one.
    fn special(&mut self, block: &Block, limit: u64) -> Result<Vec<u8>> {
        let size = u64::try_from(number(block, field::SIZE)?).map_err(|_| Error::Header)?;
        if size > limit {
            return Err(Error::Limit { what: "an extended header", limit });
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(Error::Truncated);
        }
        self.discard(padding(size))?;
        Ok(bytes)
    }

    fn long_name(&mut self, block: &Block) -> Result<Vec<u8>> {
        let mut name = self.special(block, MAX_NAME)?;
        name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn member(&mut self, block: &Block, preface: Preface) -> Result<Entry> {
        let mut entry = plain(block)?;
        self.global.apply(&mut entry)?;
        if let Some(name) = preface.name {
            entry.name = name;
        }
        if let Some(link) = preface.link {
            entry.link = link;
        }
        let records = &preface.records;
        records.apply(&mut entry)?;
        if entry.name.len() as u64 > MAX_NAME || entry.link.len() as u64 > MAX_NAME {
            return Err(Error::Limit { what: "a name", limit: MAX_NAME });
        }
        let global_size = self.global.number("size")?;
        let told = u64::try_from(number(block, field::SIZE)?).map_err(|_| Error::Header)?;
        let mut physical = records.number("size")?.or(global_size).unwrap_or(told);
        if entry.kind == Kind::File && entry.name.ends_with(b"/") {
            entry.kind = Kind::Dir;
        }
        // A file's other names and all that has no contents carry none, whatever their size field says. A "file" that is a
        // directory by its slash does carry what it says.
        if header_only(block[field::TYPE]) {
            physical = 0;
        }
        if physical > MAX_SIZE {
            return Err(Error::Header);
        }
        self.remaining = physical;
        self.padding = padding(physical);
        self.extent = 0;
        self.within = 0;
        self.position = 0;
        entry.size = if entry.kind == Kind::File { physical } else { 0 };
        self.extents = match self.sparse_map(block, records, &mut entry)? {
            Some(map) => {
                check_map(&map, entry.size, self.remaining)?;
                entry.sparse = Some(map.clone());
                map
            }
            None => vec![(0, physical)],
        };
        self.size = entry.size;
        if entry.kind != Kind::File {
            self.extents.clear();
        }
        Ok(entry)
    }

    /// The map of a sparse member in any of its four dialects; sets the entry's real size and name.
    fn sparse_map(
        &mut self,
        block: &Block,
        records: &Records,
        entry: &mut Entry,
    ) -> Result<Option<Vec<(u64, u64)>>> {
        if block[field::TYPE] == b'S' && dialect(block) == Dialect::Gnu {
            entry.size = u64::try_from(number(block, field::GNU_REALSIZE)?).map_err(|_| Error::Header)?;
            return self.old_gnu_map(block).map(Some);
        }
        let is = |key: &str, value: &[u8]| records.get(key) == Some(value);
        let version_1 = is("GNU.sparse.major", b"1") && is("GNU.sparse.minor", b"0");
        let map_text = records.get("GNU.sparse.map");
        if !version_1 && map_text.is_none() && records.sparse_pairs.is_empty() {
            return Ok(None);
        }
        if entry.kind != Kind::File {
            return Err(Error::Malformed("sparse map of what is no file"));
        }
        if let Some(name) = records.get("GNU.sparse.name") {
            entry.name = name.to_vec();
        }
        let real = records.number("GNU.sparse.realsize")?.or(records.number("GNU.sparse.size")?);
        entry.size = real.ok_or(Error::Malformed("sparse file without its size"))?;
        if version_1 {
            return self.map_in_data().map(Some);
        }
        let numbers = match map_text {
            Some(text) => text.split(|b| *b == b',').map(decimal).collect::<Option<Vec<_>>>(),
            None => Some(records.sparse_pairs.clone()),
        };
        pairs(&numbers.ok_or(Error::Malformed("bad sparse map"))?).map(Some)
    }

    /// Old GNU: four pairs in the header, 21 in each block that follows.
    fn old_gnu_map(&mut self, block: &Block) -> Result<Vec<(u64, u64)>> {
        let mut numbers = Vec::new();
        collect_pairs(&block[field::GNU_SPARSE..field::GNU_EXTENDED], &mut numbers)?;
        let mut more = block[field::GNU_EXTENDED] != 0;
        while more {
            let mut next = [0; BLOCK];
            if !self.fill(&mut next)? {
                return Err(Error::Truncated);
            }
            collect_pairs(&next[..504], &mut numbers)?;
            more = next[504] != 0;
        }
        pairs(&numbers)
    }

    /// Version 1.0: the map stands before the data, decimal numbers on lines, filled up to a block.
    fn map_in_data(&mut self) -> Result<Vec<(u64, u64)>> {
        let mut text = Vec::new();
        let (mut lines, mut wanted) = (0, None);
        let mut scanned = 0;
        loop {
            while let Some(end) = text[scanned..].iter().position(|b| *b == b'\n') {
                let value =
                    decimal(&text[scanned..scanned + end]).ok_or(Error::Malformed("bad sparse map"))?;
                scanned += end + 1;
                if wanted.is_none() {
                    if value > MAX_EXTENTS as u64 {
                        return Err(Error::Limit { what: "a sparse map", limit: MAX_EXTENTS as u64 });
                    }
                    wanted = Some(value * 2 + 1);
                }
                lines += 1;
                if Some(lines) == wanted {
                    let numbers: Option<Vec<u64>> = text[..scanned]
                        .split(|b| *b == b'\n')
                        .skip(1)
                        .filter(|line| !line.is_empty())
                        .map(decimal)
                        .collect();
                    return pairs(&numbers.ok_or(Error::Malformed("bad sparse map"))?);
                }
            }
            let mut block = [0; BLOCK];
            if self.remaining < BLOCK as u64 || !self.fill(&mut block)? {
                return Err(Error::Malformed("bad sparse map"));
            }
            self.remaining -= BLOCK as u64;
            text.extend_from_slice(&block);
        }
    }

    fn skip_rest(&mut self) -> Result<()> {
        let rest = self.remaining + self.padding;
        self.remaining = 0;
        self.padding = 0;
        self.discard(rest)
    }

    fn discard(&mut self, count: u64) -> Result<()> {
        let skipped = io::copy(&mut (&mut self.input).take(count), &mut io::sink())?;
        if skipped == count { Ok(()) } else { Err(Error::Truncated) }
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Where the next data lies; before it (and after the last) is hole.
        while self.extents.get(self.extent).is_some_and(|(_, len)| *len == self.within) {
            self.extent += 1;
            self.within = 0;
        }
        let next = self.extents.get(self.extent).map_or(self.size, |(offset, _)| offset + self.within);
        let hole = next.saturating_sub(self.position);
        if hole > 0 {
            let n = buffer.len().min(usize::try_from(hole).unwrap_or(usize::MAX));
            buffer[..n].fill(0);
            self.position += n as u64;
            return Ok(n);
        }
        let (_, n) = self.read_extent(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}

/// What the header block alone says.
fn plain(block: &Block) -> Result<Entry> {
    let kind = match block[field::TYPE] {
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' | b'D' => Kind::Dir,
        b'6' => Kind::Fifo,
        _ => return Err(Error::Malformed("unknown kind of member")),
    };
    let unsigned = |at| number(block, at).and_then(|n| u64::try_from(n).map_err(|_| Error::Header));
    let mut entry = Entry::new(string(block, field::NAME), kind, (unsigned(field::MODE)? & 0o7777) as u32);
    entry.uid = unsigned(field::UID)?;
    entry.gid = unsigned(field::GID)?;
    entry.mtime = Time::seconds(number(block, field::MTIME)?);
    if matches!(kind, Kind::HardLink | Kind::Symlink) {
        entry.link = string(block, field::LINK).to_vec();
    }
    let dialect = dialect(block);
    if dialect == Dialect::V7 {
        return Ok(entry);
    }
    entry.uname = string(block, field::UNAME).to_vec();
    entry.gname = string(block, field::GNAME).to_vec();
    if matches!(kind, Kind::Char | Kind::Block) {
        let part = |at| unsigned(at).and_then(|n| u32::try_from(n).map_err(|_| Error::Header));
        entry.device = (part(field::MAJOR)?, part(field::MINOR)?);
    }
    match dialect {
        Dialect::Gnu => {
            // Many writers leave the old incremental fields empty; a zero says nothing.
            let time = |at| numeric(span(block, at)).filter(|secs| *secs != 0).map(Time::seconds);
            entry.atime = time(field::GNU_ATIME);
            entry.ctime = time(field::GNU_CTIME);
        }
        Dialect::Ustar | Dialect::Star => {
            let prefix =
                string(block, if dialect == Dialect::Star { field::STAR_PREFIX } else { field::PREFIX });
            if !prefix.is_empty() {
                entry.name = [prefix, b"/", &entry.name].concat();
            }
        }
        Dialect::V7 => {}
    }
    Ok(entry)
}

fn header_only(kind: u8) -> bool {
    matches!(kind, b'1'..=b'6')
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn collect_pairs(area: &[u8], numbers: &mut Vec<u64>) -> Result<()> {
    for pair in area.chunks_exact(24) {
        if pair[0] == 0 {
            break;
        }
        for half in pair.chunks_exact(12) {
            let value = numeric(half).and_then(|n| u64::try_from(n).ok());
            numbers.push(value.ok_or(Error::Malformed("bad sparse map"))?);
        }
        if numbers.len() > MAX_EXTENTS * 2 {
            return Err(Error::Limit { what: "a sparse map", limit: MAX_EXTENTS as u64 });
        }
    }
    Ok(())
}

fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>> {
    if !numbers.len().is_multiple_of(2) {
        return Err(Error::Malformed("bad sparse map"));
    }
    if numbers.len() > MAX_EXTENTS * 2 {
        return Err(Error::Limit { what: "a sparse map", limit: MAX_EXTENTS as u64 });
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Ascending, apart, inside the file, and as many bytes as are in the stream.
fn check_map(map: &[(u64, u64)], size: u64, stored: u64) -> Result<()> {
    const BAD: Error = Error::Malformed("bad sparse map");
    let (mut end, mut sum) = (0u64, 0u64);
    for (offset, len) in map {
        if *offset < end {
            return Err(BAD);
        }
        end = offset.checked_add(*len).filter(|end| *end <= size).ok_or(BAD)?;
        sum += len;
    }
    if sum <= stored && size <= MAX_SIZE { Ok(()) } else { Err(BAD) }
}
