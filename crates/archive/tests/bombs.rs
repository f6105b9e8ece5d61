//! Archives that are small to send and large to hold.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Cursor;

use gantry_archive::{Decoder, Entry, Error, Kind, Reader, Writer};

/// A whole xz stream of no bytes.
const EMPTY: &[u8] =
    b"\xfd\x37\x7a\x58\x5a\x00\x00\x00\xff\x12\xd9\x41\x00\x00\x00\x00\x1c\xdf\x44\x21\x06\x72\x9e\x7a\x01\x00\
      \x00\x00\x00\x00\x59\x5a";
/// An xz stream of ten bytes that asks for a dictionary of 4 GiB.
const VAST: &[u8] =
    b"\xfd\x37\x7a\x58\x5a\x00\x00\x00\xff\x12\xd9\x41\x02\x00\x21\x01\x28\x00\x00\x00\xe6\xa0\x11\xb3\x01\x00\
      \x09\x64\x69\x63\x74\x69\x6f\x6e\x61\x72\x79\x00\x00\x00\x00\x01\x1a\x0a\xee\xa6\x7e\x70\x06\x72\x9e\x7a\
      \x01\x00\x00\x00\x00\x00\x59\x5a";

fn undone(packed: Vec<u8>) -> std::io::Result<u64> {
    std::io::copy(&mut Decoder::new(Cursor::new(packed)).unwrap(), &mut std::io::sink())
}

/// Each was a call inside the one before.
#[test]
fn many_empty_streams_do_not_end_the_stack() {
    assert_eq!(undone(EMPTY.repeat(1 << 17)).unwrap(), 0);
}

#[test]
fn many_empty_members_of_the_others_do_not_either() {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
    assert_eq!(undone(gzip.repeat(1 << 17)).unwrap(), 0);
    let bzip2 = b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0";
    assert_eq!(undone(bzip2.repeat(1 << 13)).unwrap(), 0);
    let skipped = b"\x50\x2a\x4d\x18\0\0\0\0";
    assert_eq!(undone(skipped.repeat(1 << 17)).unwrap(), 0);
}

#[test]
fn a_dictionary_as_large_as_the_machine_is_refused() {
    let refused = undone(VAST.to_vec()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::OutOfMemory, "{refused}");
}

/// Headers `copies` times before one file, `kind` being theirs.
fn preceded(by: &[u8], copies: usize, kind: u8) -> Vec<u8> {
    let mut entry = Entry::file("header", by.len() as u64);
    entry.kind = Kind::File;
    let mut writer = Writer::new(Vec::new());
    writer.append_bytes(&entry, by).unwrap();
    let mut header = writer.finish().unwrap();
    header.truncate(512 + by.len().next_multiple_of(512));
    // The kind is changed after the sum was made: the sum changes by as much.
    let sum: u32 = header[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            148..156 => u32::from(b' '),
            156 => u32::from(kind),
            _ => u32::from(*byte),
        })
        .sum();
    header[156] = kind;
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.repeat(copies);
    let mut member = Writer::new(Vec::new());
    member.append_bytes(&Entry::file("file", 0), b"").unwrap();
    archive.extend(member.finish().unwrap());
    archive
}

fn refusal(archive: &[u8]) -> Error {
    let mut reader = Reader::new(archive);
    loop {
        match reader.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was read to its end"),
            Err(error) => return error,
        }
    }
}

#[test]
fn headers_before_a_member_are_limited_together() {
    let value = "v".repeat(700 << 10);
    let record = format!("{} user={value}\n", value.len() + 13);
    assert_eq!(record.len(), value.len() + 13);
    let mut one = Reader::new(Cursor::new(preceded(record.as_bytes(), 1, b'x')));
    assert_eq!(one.next_entry().unwrap().unwrap().name, b"file");
    let error = refusal(&preceded(record.as_bytes(), 2, b'x'));
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

#[test]
fn numbers_in_global_headers_count_as_well() {
    let records = "23 GNU.sparse.offset=1\n".repeat(10_000);
    let error = refusal(&preceded(records.as_bytes(), 20, b'g'));
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}
