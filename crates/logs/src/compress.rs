//! Compressing what is old: the work of a process with time to spare.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::files::{self, Files, Old};
use crate::index::{Index, IndexWriter, Mark};

/// About 100 MB/s a core, and a log is a tenth afterwards.
const LEVEL: u32 = 3;

/// Compresses every old file of a log that is not yet, the oldest first; how many. The log may be rotated meanwhile: a
/// file keeps its identity, not its name. Killed at any moment, it leaves nothing that the next call does not repair.
///
/// The result is an ordinary gzip file of several members, one for each mark of the index, so that a reader can begin
/// in its middle.
pub fn compress_rotated(path: &Path) -> io::Result<u32> {
    let files = Files::of(path)?;
    let mut done = 0;
    while compress_one(&files)? {
        done += 1;
    }
    Ok(done)
}

fn compress_one(files: &Files) -> io::Result<bool> {
    let opened = {
        let _lock = files.lock_shared()?;
        match files.list_old()?.into_iter().find(|old| !old.compressed) {
            None => return Ok(false),
            Some(old) => (File::open(files.old(&old))?, Index::read(&files.old_index(old.number))),
        }
    };
    let (file, index) = opened;
    let meta = file.metadata()?;
    let mut index = index.filter(|index| !index.compressed).unwrap_or_else(|| Index::unknown(false));
    index.cut(meta.len());
    let packed = files.hidden(".gz.new");
    let mut out = OpenOptions::new().create(true).write(true).truncate(true).mode(0o640).open(&packed)?;
    pack(&file, &mut index, &mut out)?;
    out.sync_all()?;

    let _lock = files.lock_alone()?;
    let same = |old: &Old| {
        fs::metadata(files.old(old)).is_ok_and(|m| (m.dev(), m.ino()) == (meta.dev(), meta.ino()))
    };
    let Some(now) = files.list_old()?.into_iter().find(|old| !old.compressed && same(old)) else {
        // It has been rotated away meanwhile.
        files::remove(&packed)?;
        return Ok(true);
    };
    let packed_index = files.hidden(".gz.new.index");
    IndexWriter::create(&packed_index, &index)?;
    // In this order: a crash in between leaves both files, and then the plain one counts.
    files::rename(&packed, &files.old(&Old { compressed: true, ..now.clone() }))?;
    files::remove(&files.old(&now))?;
    files::rename(&packed_index, &files.old_index(now.number))?;
    Ok(true)
}

/// Writes a gzip member from each mark to the next, and makes the index one of the packed file.
fn pack(file: &File, index: &mut Index, out: &mut File) -> io::Result<()> {
    let ends: Vec<u64> = index.marks.iter().skip(1).map(|mark| mark.offset).chain([u64::MAX]).collect();
    let mut written = 0;
    let mut packed = Vec::with_capacity(ends.len());
    for (mark, end) in index.marks.iter().zip(ends) {
        packed.push(Mark { packed: written, ..*mark });
        let mut plain = files::at(file, mark.offset).take(end - mark.offset);
        let mut member = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        if io::copy(&mut plain, &mut member)? == 0 && written > 0 {
            continue;
        }
        let member = member.finish()?;
        out.write_all(&member)?;
        written += member.len() as u64;
    }
    (index.marks, index.compressed) = (packed, true);
    Ok(())
}
