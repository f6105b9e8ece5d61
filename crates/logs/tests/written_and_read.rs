//! A log as writer, compressor and readers meet in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_logs::{
    Config, Driver, Entry, LONGEST_PIECE, ReadOptions, Reader, Stream, Writer, compress_rotated,
};
use proptest::prelude::*;

const DRIVERS: [&str; 2] = ["json-file", "local"];

struct Log {
    _dir: tempfile::TempDir,
    path: PathBuf,
    config: Config,
}

fn log(driver: &str, options: &[(&str, &str)]) -> Log {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/c.log");
    let options: BTreeMap<_, _> = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let config = Config::parse(driver, &path, &options, BTreeMap::new()).unwrap();
    Log { _dir: dir, path, config }
}

fn read(log: &Log, options: ReadOptions) -> Vec<Entry> {
    let mut reader = Reader::open(log.config.driver, &log.path, options).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push(entry);
    }
    assert_eq!(reader.damage(), Default::default());
    entries
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8(entry.line.clone()).unwrap()).collect()
}

/// Lines of about 100 bytes, numbered; time is the number.
fn write_lines(log: &Log, numbers: std::ops::Range<i64>) {
    let mut writer = Writer::open(&log.config).unwrap();
    for number in numbers {
        let stream = if number % 3 == 0 { Stream::Stderr } else { Stream::Stdout };
        writer.append(stream, number, format!("{number:0>99}\n").as_bytes()).unwrap();
        if number % 50 == 0 {
            writer.flush().unwrap();
        }
    }
    writer.flush().unwrap();
}

#[test]
fn a_compressor_is_wanted_only_where_something_is_left_for_it() {
    for driver in DRIVERS {
        let log = log(driver, &[("max-size", "600k"), ("max-file", "100"), ("compress", "true")]);
        let wanted = || Writer::open(&log.config).unwrap().take_wants_compression();
        assert!(!wanted(), "{driver}: a new log");
        write_lines(&log, 0..20_000);
        assert!(wanted(), "{driver}: old files as a killed writer leaves them");
        compress_rotated(&log.path).unwrap();
        assert!(!wanted(), "{driver}: all are compressed");
    }
}

#[test]
fn what_is_written_is_read_across_rotation_and_compression() {
    for driver in DRIVERS {
        let log = log(driver, &[("max-size", "600k"), ("max-file", "100")]);
        write_lines(&log, 0..20_000);
        assert!(compress_rotated(&log.path).unwrap() > 2, "{driver}");
        write_lines(&log, 20_000..24_000);
        let entries = read(&log, ReadOptions::default());
        assert_eq!(entries.len(), 24_000, "{driver}");
        for (number, entry) in entries.iter().enumerate() {
            assert_eq!(entry.at_ns, number as i64);
            assert_eq!(entry.stream == Stream::Stderr, number % 3 == 0);
            assert_eq!(entry.line, format!("{number:0>99}\n").into_bytes());
        }
    }
}

#[test]
fn the_number_of_files_is_bounded_and_the_youngest_stay() {
    for driver in DRIVERS {
        let log = log(driver, &[("max-size", "100k"), ("max-file", "3")]);
        write_lines(&log, 0..10_000);
        compress_rotated(&log.path).unwrap();
        let mut names: Vec<_> = fs::read_dir(log.path.parent().unwrap())
            .unwrap()
            .map(|f| f.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        assert_eq!(names, ["c.log", "c.log.1.gz", "c.log.2.gz"], "{driver}");
        let entries = read(&log, ReadOptions::default());
        assert_eq!(entries.last().unwrap().at_ns, 9_999);
        assert!(entries.len() > 1_000);
        let hidden = fs::read_dir(log.path.parent().unwrap()).unwrap().count();
        assert_eq!(hidden, 6, "one index a file, nothing else");
    }
}

#[test]
fn others_tools_read_a_compressed_json_file() {
    let log = log("json-file", &[("max-size", "1m")]);
    write_lines(&log, 0..10_000);
    compress_rotated(&log.path).unwrap();
    let zcat =
        std::process::Command::new("zcat").arg(format!("{}.1.gz", log.path.display())).output().unwrap();
    assert!(zcat.status.success());
    for line in String::from_utf8(zcat.stdout).unwrap().lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["log"].as_str().unwrap().len(), 100);
    }
}

#[test]
fn a_long_line_is_cut_as_docker_cuts_it() {
    for driver in DRIVERS {
        let log = log(driver, &[]);
        let mut writer = Writer::open(&log.config).unwrap();
        writer.append(Stream::Stdout, 1, &vec![b'x'; LONGEST_PIECE + 5]).unwrap();
        writer.append(Stream::Stderr, 2, b"between\n").unwrap();
        writer.append(Stream::Stdout, 3, b"end\nno newline").unwrap();
        writer.end(Stream::Stdout, 4).unwrap();
        writer.flush().unwrap();
        let entries = read(&log, ReadOptions::default());
        let shape: Vec<_> = entries.iter().map(|e| (e.at_ns, e.line.len(), e.is_partial())).collect();
        assert_eq!(
            shape,
            [(1, LONGEST_PIECE, true), (2, 8, false), (1, 9, false), (4, 10, true)],
            "{driver}"
        );
    }
}

#[test]
fn a_torn_record_costs_itself_only() {
    for driver in DRIVERS {
        let log = log(driver, &[]);
        write_lines(&log, 0..10);
        let whole = fs::read(&log.path).unwrap();
        fs::write(&log.path, &whole[..whole.len() - 7]).unwrap();
        assert_eq!(read(&log, ReadOptions::default()).len(), 9, "{driver}");
        write_lines(&log, 10..12);
        let times: Vec<_> = read(&log, ReadOptions::default()).iter().map(|e| e.at_ns).collect();
        assert_eq!(times, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11], "{driver}");
    }
}

#[test]
fn damage_is_skipped_and_told() {
    for driver in DRIVERS {
        let log = log(driver, &[]);
        write_lines(&log, 0..5);
        let mut bytes = fs::read(&log.path).unwrap();
        let record = bytes.len() / 5;
        bytes[record * 2 + 2..record * 2 + 40].fill(0);
        fs::write(&log.path, bytes).unwrap();
        let mut reader = Reader::open(log.config.driver, &log.path, ReadOptions::default()).unwrap();
        let mut times = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            times.push(entry.at_ns);
        }
        assert_eq!(times, [0, 1, 3, 4], "{driver}");
        assert_eq!(reader.damage().places, 1, "{driver}");
    }
}

#[test]
fn a_broken_archive_costs_one_file_and_is_told() {
    let log = log("json-file", &[("max-size", "600k"), ("max-file", "9")]);
    write_lines(&log, 0..10_000);
    compress_rotated(&log.path).unwrap();
    let second = format!("{}.2.gz", log.path.display());
    let mut bytes = fs::read(&second).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100].fill(0xaa);
    fs::write(&second, bytes).unwrap();
    let mut reader = Reader::open(Driver::JsonFile, &log.path, ReadOptions::default()).unwrap();
    let mut last = None;
    while let Some(entry) = reader.next_entry().unwrap() {
        last = Some(entry.at_ns);
    }
    assert_eq!(last, Some(9_999));
    assert!(reader.damage().files + reader.damage().places > 0);
}

#[test]
fn a_log_that_docker_wrote_is_read_and_continued() {
    let log = log("json-file", &[]);
    fs::create_dir_all(log.path.parent().unwrap()).unwrap();
    let line = |n: u32| {
        format!("{{\"log\":\"line {n}\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:0{n}.5Z\"}}\n")
    };
    fs::write(log.path.with_extension("log.1"), line(1)).unwrap();
    fs::write(&log.path, line(2) + &line(3)).unwrap();
    assert_eq!(texts(&read(&log, ReadOptions::default())), ["line 1\n", "line 2\n", "line 3\n"]);
    let tail = ReadOptions { tail: Some(2), ..Default::default() };
    assert_eq!(texts(&read(&log, tail)), ["line 2\n", "line 3\n"]);
    let mut writer = Writer::open(&log.config).unwrap();
    writer.append(Stream::Stdout, gantry_logs::now_ns(), b"ours\n").unwrap();
    writer.flush().unwrap();
    let since =
        ReadOptions { since_ns: gantry_logs::parse_ns(b"2024-01-01T00:00:03Z"), ..Default::default() };
    assert_eq!(texts(&read(&log, since)), ["line 3\n", "ours\n"]);
}

#[test]
fn tail_and_since_do_not_read_the_whole_log() {
    for driver in DRIVERS {
        let log = log(driver, &[("max-size", "-1")]);
        write_lines(&log, 0..200_000);
        let len = fs::metadata(&log.path).unwrap().len();
        for options in [
            ReadOptions { tail: Some(10), ..Default::default() },
            ReadOptions { since_ns: Some(199_990), ..Default::default() },
        ] {
            let before = bytes_read();
            assert_eq!(read(&log, options).len(), 10, "{driver}");
            let read = bytes_read() - before;
            assert!(read < len / 10, "{driver}: {read} of {len} bytes were read");
        }
    }
}

/// What this thread has asked of read calls so far.
fn bytes_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn a_follower_sees_each_record_once_while_files_rotate_and_are_compressed() {
    for driver in DRIVERS {
        let log = log(driver, &[("max-size", "200k"), ("max-file", "1000")]);
        write_lines(&log, 0..100);
        let mut reader = Reader::open(
            log.config.driver,
            &log.path,
            ReadOptions { follow: true, tail: Some(50), ..Default::default() },
        )
        .unwrap();
        let stop = reader.stop_handle();
        let written = AtomicBool::new(false);
        let seen = std::thread::scope(|threads| {
            let follower = threads.spawn(|| {
                let mut seen = Vec::new();
                while let Some(entry) = reader.next_entry().unwrap() {
                    seen.push(entry.at_ns);
                }
                assert_eq!(reader.damage(), Default::default());
                seen
            });
            let compressor = threads.spawn(|| {
                while !written.load(Ordering::SeqCst) {
                    compress_rotated(&log.path).unwrap();
                }
            });
            for part in 0..20 {
                write_lines(&log, 100 + part * 1000..100 + (part + 1) * 1000);
            }
            written.store(true, Ordering::SeqCst);
            compressor.join().unwrap();
            stop.at_the_end();
            follower.join().unwrap()
        });
        assert_eq!(seen, (50..20_100).collect::<Vec<_>>(), "{driver}");
    }
}

#[test]
fn a_follower_waits_for_a_log_that_is_not_there_and_can_be_stopped() {
    let log = log("json-file", &[]);
    fs::create_dir_all(log.path.parent().unwrap()).unwrap();
    let mut reader =
        Reader::open(Driver::JsonFile, &log.path, ReadOptions { follow: true, ..Default::default() })
            .unwrap();
    let stop = reader.stop_handle();
    std::thread::scope(|threads| {
        let (tell, told) = std::sync::mpsc::channel();
        let follower = threads.spawn(move || {
            while let Some(entry) = reader.next_entry().unwrap() {
                tell.send(entry.at_ns).unwrap();
            }
        });
        write_lines(&log, 0..1);
        assert_eq!(told.recv().unwrap(), 0);
        stop.now();
        follower.join().unwrap();
    });
}

#[test]
fn until_ends_a_follower() {
    let log = log("json-file", &[]);
    write_lines(&log, 0..10);
    let options = ReadOptions { follow: true, until_ns: Some(4), ..Default::default() };
    assert_eq!(read(&log, options).len(), 5);
}

#[test]
fn a_full_disk_loses_a_batch_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let Ok(_mount) = SmallDisk::mount(dir.path()) else {
        assert!(!rustix::process::geteuid().is_root(), "root can mount");
        return;
    };
    let path = dir.path().join("c.log");
    let config = Config::parse("json-file", &path, &BTreeMap::new(), BTreeMap::new()).unwrap();
    let mut writer = Writer::open(&config).unwrap();
    writer.append(Stream::Stdout, 1, b"before\n").unwrap();
    writer.flush().unwrap();
    let mut ballast = fs::File::create(dir.path().join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    writer.append(Stream::Stdout, 2, &[b'\n'; 100]).unwrap();
    assert!(writer.flush().is_err());
    ballast.set_len(0).unwrap();
    writer.append(Stream::Stdout, 3, b"after\n").unwrap();
    writer.flush().unwrap();
    let mut reader = Reader::open(Driver::JsonFile, &path, ReadOptions::default()).unwrap();
    let mut times = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        times.push(entry.at_ns);
    }
    assert_eq!(times, [1, 3]);
    assert_eq!(reader.damage(), Default::default());
}

/// A tmpfs of 256 KiB, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> rustix::io::Result<SmallDisk> {
        rustix::mount::mount("tmpfs", at, "tmpfs", rustix::mount::MountFlags::empty(), c"size=262144")?;
        Ok(SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn since_until_and_tail_choose_what_a_full_scan_would(
        times in proptest::collection::vec(0i64..100, 1..3000),
        since in proptest::option::of(0i64..110),
        until in proptest::option::of(0i64..110),
        tail in proptest::option::of(0u64..4000),
        local in any::<bool>(),
        compress in any::<bool>(),
    ) {
        // Clocks go backwards, so times are in no order.
        let log = log(DRIVERS[usize::from(local)], &[("max-size", "100k"), ("max-file", "100")]);
        let mut writer = Writer::open(&log.config).unwrap();
        for time in &times {
            writer.append(Stream::Stdout, *time, format!("{time:0>300}\n").as_bytes()).unwrap();
        }
        writer.flush().unwrap();
        if compress {
            compress_rotated(&log.path).unwrap();
        }
        let from = tail.map_or(0, |tail| times.len().saturating_sub(tail as usize));
        let expected: Vec<i64> = times[from..]
            .iter()
            .copied()
            .take_while(|time| until.is_none_or(|until| *time <= until))
            .filter(|time| since.is_none_or(|since| *time >= since))
            .collect();
        let options = ReadOptions { since_ns: since, until_ns: until, tail, follow: false };
        let got: Vec<i64> = read(&log, options).iter().map(|entry| entry.at_ns).collect();
        // A place by `since` may lie behind a record past `until` that a full scan would have stopped at.
        if since.is_some() && until.is_some() {
            prop_assert!(got.iter().all(|t| since.unwrap() <= *t && *t <= until.unwrap()));
        } else {
            prop_assert_eq!(got, expected);
        }
    }
}
