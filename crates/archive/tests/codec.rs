//! Reader and writer against each other, against GNU tar and Python's tarfile, and against nonsense.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Cursor, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use gantry_archive::{Decoder, Entry, Kind, PackOptions, Reader, Root, Time, Writer, pack};
use proptest::prelude::*;

fn read_all(bytes: &[u8]) -> gantry_archive::Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(bytes);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        (&mut reader).take(1 << 20).read_to_end(&mut data).map_err(gantry_archive::Error::Io)?;
        found.push((entry, data));
    }
    Ok(found)
}

fn write_all(members: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, data) in members {
        writer.append_bytes(entry, data).unwrap();
    }
    writer.finish().unwrap()
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z]{1,12}(/[a-z]{1,12}){0,3}".prop_map(String::into_bytes),
        "[a-zäöü/]{90,300}x".prop_map(String::into_bytes),
        proptest::collection::vec(1u8..=255, 1..40).prop_map(|mut name| {
            name.push(b'x');
            name
        }),
    ]
}

prop_compose! {
    fn members()(
        name in names(), link in names(), kind in 0..7u8, mode in 0u32..0o10000, uid in prop_oneof![0u64..3_000_000, any::<u32>().prop_map(u64::from)],
        gid in 0u64..1 << 31, secs in -5_000_000_000i64..20_000_000_000, nanos in prop_oneof![Just(0u32), 0u32..1_000_000_000],
        data in proptest::collection::vec(any::<u8>(), 0..2000), uname in "[a-zé]{0,40}", device in (0u32..4096, 0u32..1 << 20),
        xattrs in proptest::collection::btree_map("user\\.[a-z]{1,9}", proptest::collection::vec(any::<u8>(), 1..60), 0..3),
    ) -> (Entry, Vec<u8>) {
        let kind = [Kind::File, Kind::HardLink, Kind::Symlink, Kind::Char, Kind::Block, Kind::Dir, Kind::Fifo][usize::from(kind)];
        let mut entry = Entry::new(name, kind, mode);
        (entry.uid, entry.gid, entry.mtime, entry.uname) = (uid, gid, Time { secs, nanos }, uname.into_bytes());
        entry.xattrs = xattrs.into_iter().map(|(k, v)| (k.into_bytes(), v)).collect();
        match kind {
            Kind::HardLink | Kind::Symlink => entry.link = link,
            Kind::Char | Kind::Block => entry.device = device,
            _ => {}
        }
        let data = if kind == Kind::File { data } else { Vec::new() };
        entry.size = data.len() as u64;
        (entry, data)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_reads_back(list in proptest::collection::vec(members(), 0..6)) {
        let bytes = write_all(&list);
        prop_assert_eq!(bytes.len() % 512, 0);
        prop_assert_eq!(read_all(&bytes).unwrap(), list);
    }

    #[test]
    fn damaged_archives_give_an_error_or_members_but_never_panic(
        list in proptest::collection::vec(members(), 1..4),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(), reseal in any::<bool>(),
    ) {
        let mut bytes = write_all(&list);
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if reseal {
            // Good checksums over bad fields reach deeper code.
            for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let _ = read_all(&bytes);
    }

    #[test]
    fn sparse_members_read_back(pieces in proptest::collection::vec((0u64..5000, 1u64..700), 0..20), tail in 0u64..9000) {
        let (mut at, mut map) = (0, Vec::new());
        for (gap, len) in pieces {
            map.push((at + gap, len));
            at += gap + len;
        }
        let mut entry = Entry::file("dir/sparse", at + tail);
        entry.sparse = Some(map.clone());
        let stored: Vec<u8> = map.iter().flat_map(|(_, len)| (0..*len).map(|i| (i % 251) as u8 + 1)).collect();
        let mut full = vec![0u8; (at + tail) as usize];
        let mut from = 0usize;
        for (offset, len) in &map {
            full[*offset as usize..(*offset + *len) as usize].copy_from_slice(&stored[from..from + *len as usize]);
            from += *len as usize;
        }
        let bytes = write_all(&[(entry, stored), (Entry::file("after", 3), b"abc".to_vec())]);
        let back = read_all(&bytes).unwrap();
        prop_assert_eq!(&back[0].0.name, b"dir/sparse");
        prop_assert_eq!(back[0].0.sparse.as_ref(), Some(&map));
        prop_assert!(back[0].1 == full);
        prop_assert_eq!(&back[1].1, b"abc");
    }
}

#[test]
fn limits_hold_against_headers_that_lie() {
    let mut long = Entry::file("x", 0);
    long.xattrs.insert(b"user.big".to_vec(), vec![7; 2 << 20]);
    let bytes = write_all(&[(long, Vec::new())]);
    assert!(matches!(read_all(&bytes), Err(gantry_archive::Error::Limit { .. })));
    let cut = &write_all(&[(Entry::file("x", 4000), vec![1; 4000])])[..2000];
    assert!(read_all(cut).is_err());
    assert!(matches!(read_all(&[b'a'; 512]), Err(gantry_archive::Error::Header)));
    assert_eq!(read_all(b"").unwrap(), vec![]);
}

fn have(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_err() {
        eprintln!("skipped: {program} is not installed");
    }
    there.is_ok()
}

fn tree(dir: &Path) {
    std::fs::create_dir_all(dir.join("deep").join("d".repeat(120)).join("e".repeat(120))).unwrap();
    std::fs::write(dir.join("deep").join("d".repeat(120)).join("long name ä"), b"long").unwrap();
    std::fs::write(dir.join("plain"), b"plain contents").unwrap();
    std::fs::hard_link(dir.join("plain"), dir.join("second name")).unwrap();
    std::os::unix::fs::symlink("x".repeat(150), dir.join("link")).unwrap();
    let sparse = std::fs::File::create(dir.join("holes")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"begin", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 3 << 20).unwrap();
    for i in 0..30 {
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", (i << 16) + 4096).unwrap();
    }
    sparse.set_len(4 << 20).unwrap();
}

#[test]
fn every_format_of_gnu_tar_is_read() {
    if !have("tar") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    tree(temp.path());
    let wanted = std::fs::read(temp.path().join("holes")).unwrap();
    let formats: [&[&str]; 6] = [
        &["--format=gnu"],
        &["--format=gnu", "-S"],
        &["--format=pax"],
        &["--format=pax", "-S", "--sparse-version=0.0"],
        &["--format=pax", "-S", "--sparse-version=0.1"],
        &["--format=pax", "-S", "--sparse-version=1.0"],
    ];
    for options in formats {
        let out = Command::new("tar")
            .args(options)
            .arg("-C")
            .arg(temp.path())
            .args(["-cf", "-", "."])
            .output()
            .unwrap();
        assert!(out.status.success());
        let found = read_all_large(&out.stdout);
        let get = |name: &str| {
            found
                .iter()
                .find(|(e, _)| e.name == format!("./{name}").as_bytes())
                .unwrap_or_else(|| panic!("{options:?} {name}"))
        };
        assert!(get("holes").1 == wanted, "{options:?}");
        assert_eq!(get("holes").0.size, 4 << 20);
        assert_eq!(get("holes").0.sparse.is_some(), options.contains(&"-S"), "{options:?}");
        assert_eq!(get("link").0.link, "x".repeat(150).as_bytes());
        assert_eq!(get(&format!("deep/{}/long name ä", "d".repeat(120))).1, b"long");
        let (a, b) = (&get("plain").0, &get("second name").0);
        let (link, first) = if a.kind == Kind::HardLink { (a, b) } else { (b, a) };
        assert_eq!((link.kind, &link.link), (Kind::HardLink, &first.name));
    }
}

fn read_all_large(bytes: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(bytes);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut data = Vec::new();
        reader.read_to_end(&mut data).unwrap();
        found.push((entry, data));
    }
    found
}

#[test]
fn python_reads_what_we_write() {
    if !have("python3") {
        return;
    }
    let mut file = Entry::file(format!("dir/{}/ä", "n".repeat(130)), 5);
    (file.uid, file.gid, file.mode, file.mtime) =
        (5_000_000_000, 7, 0o4755, Time { secs: 1_700_000_000, nanos: 250_000_000 });
    file.xattrs.insert(b"user.key".to_vec(), b"value".to_vec());
    let mut device = Entry::new("null", Kind::Char, 0o666);
    device.device = (1, 3);
    let bytes = write_all(&[
        (Entry::dir("dir/"), vec![]),
        (file, b"hello".to_vec()),
        (Entry::symlink("sym", "t".repeat(200)), vec![]),
        (Entry::hard_link("hard", "null"), vec![]),
        (device, vec![]),
    ]);
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("a.tar"), bytes).unwrap();
    let script = "import tarfile,sys\nfor m in tarfile.open(sys.argv[1]):\n print(m.name[-4:],m.type.decode(),m.size,oct(m.mode),m.uid,m.gid,m.mtime,m.linkname[-4:],m.devmajor,m.devminor,m.pax_headers.get('SCHILY.xattr.user.key'))";
    let out = Command::new("python3").args(["-c", script]).arg(temp.path().join("a.tar")).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(lines[0], "dir 5 0 0o755 0 0 0  0 0 None");
    assert_eq!(lines[1], "nn/ä 0 5 0o4755 5000000000 7 1700000000.25  0 0 value");
    assert_eq!(lines[2], "sym 2 0 0o777 0 0 0 tttt 0 0 None");
    assert_eq!(lines[3], "hard 1 0 0o644 0 0 0 null 0 0 None");
    assert_eq!(lines[4], "null 3 0 0o666 0 0 0  1 3 None");
}

#[test]
fn python_pax_and_gnu_archives_are_read() {
    if !have("python3") {
        return;
    }
    let script = r#"
import tarfile,io,sys
for fmt in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
    b=io.BytesIO(); t=tarfile.open(fileobj=b,mode='w',format=fmt)
    i=tarfile.TarInfo('p/'*60+'file'); i.size=3; i.mtime=1234567890 if fmt!=tarfile.PAX_FORMAT else 1234567890.5; i.uid=1000; i.uname='me'
    t.addfile(i,io.BytesIO(b'abc'))
    if fmt!=tarfile.USTAR_FORMAT:
        i=tarfile.TarInfo('big'); i.uid=2**33; t.addfile(i)
    t.close(); sys.stdout.buffer.write(len(b.getvalue()).to_bytes(8,'big')+b.getvalue())
"#;
    let out = Command::new("python3").args(["-c", script]).output().unwrap();
    let mut rest = out.stdout.as_slice();
    for round in 0..3 {
        let (len, after) = rest.split_first_chunk::<8>().unwrap();
        let (bytes, after) = after.split_at(u64::from_be_bytes(*len) as usize);
        rest = after;
        let found = read_all(bytes).unwrap();
        assert_eq!(found[0].0.name, format!("{}file", "p/".repeat(60)).as_bytes());
        assert_eq!(
            (found[0].1.as_slice(), found[0].0.uid, found[0].0.uname.as_slice()),
            (b"abc".as_slice(), 1000, b"me".as_slice())
        );
        assert_eq!(found[0].0.mtime.nanos, if round == 2 { 500_000_000 } else { 0 });
        if round > 0 {
            assert_eq!(found[1].0.uid, 1 << 33);
        }
    }
}

#[test]
fn every_compression_is_told_and_undone() {
    let plain: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_le_bytes()).collect();
    for program in ["gzip", "zstd", "bzip2", "xz"] {
        if !have(program) {
            continue;
        }
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        std::fs::write(&path, &plain).unwrap();
        let packed = Command::new(program)
            .arg("-c")
            .stdin(std::fs::File::open(&path).unwrap())
            .output()
            .unwrap()
            .stdout;
        let mut back = Vec::new();
        let mut decoder = Decoder::new(Cursor::new(packed)).unwrap();
        assert_ne!(decoder.compression(), gantry_archive::Compression::None);
        decoder.read_to_end(&mut back).unwrap();
        assert!(back == plain, "{program}");
    }
    let told = Decoder::new(Cursor::new(b"\x04\x22\x4d\x18aaaa".to_vec())).unwrap_err();
    assert_eq!(told.to_string(), "lz4 archives are not supported; use gzip, zstd, xz, bzip2 or none");
    let mut raw = Vec::new();
    Decoder::new(Cursor::new(b"ab".to_vec())).unwrap().read_to_end(&mut raw).unwrap();
    assert_eq!(raw, b"ab");
}

/// Folders in folders, deeper than any name is long: the walk ends in an error before it ends the stack.
#[test]
fn what_is_too_deep_to_be_named_is_refused_and_removed_all_the_same() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    // Disks are slow with so many folders.
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let make = |name: &str, depth: usize| {
        let mut here = openat(CWD, base.path(), flags, Mode::empty()).unwrap();
        for at in 0..depth {
            let name = if at == 0 { name } else { "d" };
            mkdirat(&here, name, Mode::RWXU).unwrap();
            here = openat(&here, name, flags, Mode::empty()).unwrap();
        }
    };
    make("a", 2047);
    make("b", 10_000);
    let root = Root::open(base.path()).unwrap();
    let packed = |path: &[u8]| {
        let mut out = Writer::new(Vec::new());
        let options = PackOptions { rename: b"x".to_vec(), ..PackOptions::default() };
        pack(&root, path, &options, &mut out).map(|()| out.finish().unwrap().len())
    };
    assert!(packed(b"a").unwrap() > 2047 * 512);
    let error = packed(b"b").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("name too long") && error.to_string().len() < 200, "{error}: {cause}");
    gantry_sys::tree::remove_dir_all(&base.path().join("b")).unwrap();
    gantry_sys::tree::remove_dir_all(&base.path().join("a")).unwrap();
}
