//! Where reading begins: which files, and which place in each.

use std::fs::File;
use std::io;

use super::source::Opened;
use super::{Current, ReadOptions, Records};
use crate::Driver;
use crate::files::{Files, Old};
use crate::index::{Index, Mark};

/// Opens all files under one lock, so that none is missed or met twice; then looks for the places.
pub(super) fn open(driver: Driver, files: &Files, options: ReadOptions) -> io::Result<Vec<Current>> {
    let opened = open_all(files)?;
    let starts = starts(driver, &opened, options)?;
    let last = opened.len();
    opened
        .into_iter()
        .zip(starts)
        .enumerate()
        .filter_map(|(place, (opened, start))| {
            // Nothing wanted in an old file: it need not even be read. The current one is followed.
            (start != Start::Nothing || place + 1 == last).then_some((place, opened, start))
        })
        .map(|(place, opened, start)| {
            let (mark, skip) = match start {
                Start::At(mark, skip) => (mark, skip),
                Start::Nothing => (end(driver, &opened)?, 0),
            };
            current(driver, opened, mark, skip, place + 1 == last)
        })
        .collect()
}

pub(super) fn current(
    driver: Driver,
    opened: Opened,
    from: Mark,
    skip: u64,
    live: bool,
) -> io::Result<Current> {
    let records = Records::new(driver, opened.read_from(from)?);
    Ok(Current { live: live && !opened.compressed, opened, records, skip })
}

/// All files, oldest first, the current one last.
pub(super) fn open_all(files: &Files) -> io::Result<Vec<Opened>> {
    let lock = match files.lock_shared() {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut opened = Vec::new();
    for old in files.list_old()? {
        let Old { number, compressed } = old;
        let index = Index::read(&files.old_index(number));
        opened.push(Opened::new(File::open(files.old(&old))?, index, compressed)?);
    }
    match File::open(files.current()) {
        Ok(file) => opened.push(Opened::new(file, Index::read(&files.current_index()), false)?),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(err),
    }
    drop(lock);
    Ok(opened)
}

/// Where to begin in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// At this mark, passing over so many records.
    At(Mark, u64),
    /// Nothing of the file is wanted.
    Nothing,
}

fn starts(driver: Driver, opened: &[Opened], options: ReadOptions) -> io::Result<Vec<Start>> {
    let mut starts = vec![Start::At(Mark::START, 0); opened.len()];
    if let Some(mut wanted) = options.tail {
        for (start, opened) in starts.iter_mut().zip(opened).rev() {
            *start = tail(driver, opened, &mut wanted)?;
        }
    }
    if let Some(since_ns) = options.since_ns {
        for (start, opened) in starts.iter_mut().zip(opened) {
            let by_time = opened.index.since(since_ns);
            if let Start::At(mark, _) = *start
                && by_time.offset > mark.offset
            {
                *start = Start::At(by_time, 0);
            }
        }
    }
    Ok(starts)
}

/// The last `wanted` records of a file; what is wanted of older files is left in `wanted`.
fn tail(driver: Driver, opened: &Opened, wanted: &mut u64) -> io::Result<Start> {
    if *wanted == 0 {
        return Ok(Start::Nothing);
    }
    let total = opened.index.last().records + count(driver, opened, opened.index.last())?.0;
    if *wanted >= total {
        *wanted -= total;
        return Ok(Start::At(Mark::START, 0));
    }
    let before = total - std::mem::take(wanted);
    let mark = opened.index.record(before);
    Ok(Start::At(mark, before - mark.records))
}

/// Records and bytes from a mark to the end.
fn count(driver: Driver, opened: &Opened, from: Mark) -> io::Result<(u64, u64)> {
    let mut records = Records::new(driver, opened.read_from(from)?);
    let (mut found, mut bytes) = (0, 0);
    loop {
        match records.next_record() {
            Ok(Some(record)) => {
                found += 1;
                bytes += record.bytes.len() as u64 + record.skipped;
            }
            Ok(None) => return Ok((found, bytes)),
            Err(_) if opened.compressed => return Ok((found, bytes)),
            Err(err) => return Err(err),
        }
    }
}

/// The end of a file's last whole record.
fn end(driver: Driver, opened: &Opened) -> io::Result<Mark> {
    let last = opened.index.last();
    let (records, bytes) = count(driver, opened, last)?;
    Ok(Mark {
        offset: last.offset + bytes,
        packed: last.packed + bytes,
        records: last.records + records,
        ..last
    })
}
