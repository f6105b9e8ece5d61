//! A line between an engine and a registry: it counts the bytes that come, and is slow or cut on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::PATIENCE;

/// The line. It lives as long as the test.
pub struct Line {
    /// Where its near end is: `127.0.0.1:<port>`.
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Bytes that came from the registry.
    came: AtomicU64,
    /// Cuts that are still to be made, and after how many bytes of a connection each.
    cuts: AtomicI64,
    every: u64,
    slow: AtomicBool,
    /// What clients said, the first of each connection.
    heard: Mutex<String>,
    /// Connections that are still to be told to come later, and in which words.
    refusals: AtomicI64,
    refusal: String,
}

impl Line {
    pub fn to(registry: &str) -> Line {
        Line::cut(registry, 0, u64::MAX)
    }

    /// A line whose first `cuts` connections that bring more than `every` bytes break there.
    pub fn cut(registry: &str, cuts: i64, every: u64) -> Line {
        Line::with(registry, Shared { cuts: AtomicI64::new(cuts), every, ..Shared::default() })
    }

    /// A line on which the first so many requests are answered with this and no more.
    pub fn refusing(registry: &str, refusals: i64, refusal: &str) -> Line {
        let (refusals, refusal) = (AtomicI64::new(refusals), refusal.to_owned());
        Line::with(registry, Shared { refusals, refusal, every: u64::MAX, ..Shared::default() })
    }

    fn with(registry: &str, shared: Shared) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(shared);
        let (to, state) = (registry.to_owned(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if state.refusals.fetch_sub(1, Ordering::Relaxed) > 0 {
                    refuse(near, &state.refusal);
                    continue;
                }
                let far = TcpStream::connect(&to).unwrap();
                let (mut up, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let hearing = Arc::clone(&state);
                std::thread::spawn(move || {
                    let mut first = vec![0; 16 << 10];
                    // A cut connection is what is tested.
                    let Ok(count) = up.read(&mut first) else { return };
                    hearing.heard.lock().unwrap().push_str(&String::from_utf8_lossy(&first[..count]));
                    let _sent = to_far.write_all(&first[..count]);
                    let _ended = std::io::copy(&mut up, &mut to_far);
                    let _closed = to_far.shutdown(Shutdown::Write);
                });
                let state = Arc::clone(&state);
                std::thread::spawn(move || state.bring(far, near));
            }
        });
        Line { address, shared }
    }

    pub fn came(&self) -> u64 {
        self.shared.came.load(Ordering::Relaxed)
    }

    /// What clients said first.
    pub fn heard(&self) -> String {
        self.shared.heard.lock().unwrap().clone()
    }

    /// The port of its near end.
    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    pub fn cuts_left(&self) -> i64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// From now on a mebibyte takes a tenth of a second at least.
    pub fn slow(&self, slow: bool) {
        self.shared.slow.store(slow, Ordering::Relaxed);
    }

    /// Waits until so many bytes have come.
    #[track_caller]
    pub fn until(&self, bytes: u64) {
        let begun = Instant::now();
        while self.came() < bytes {
            assert!(begun.elapsed() < PATIENCE, "only {} bytes came", self.came());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Shared {
    fn bring(&self, mut far: TcpStream, mut near: TcpStream) {
        let mut piece = vec![0; 64 << 10];
        let mut brought = 0;
        while let Ok(count @ 1..) = far.read(&mut piece) {
            if near.write_all(&piece[..count]).is_err() {
                break;
            }
            brought += count as u64;
            self.came.fetch_add(count as u64, Ordering::Relaxed);
            if brought > self.every && self.cuts.fetch_sub(1, Ordering::Relaxed) > 0 {
                break;
            }
            if self.slow.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(6));
            }
        }
        let _gone = near.shutdown(Shutdown::Both);
        let _gone = far.shutdown(Shutdown::Both);
    }
}

/// Reads a request's head and answers it with something else.
fn refuse(mut near: TcpStream, answer: &str) {
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    // A client that begins with TLS (0x16) waits for an answer after its first words.
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") && heard.first() != Some(&0x16) {
        match near.read(&mut piece) {
            Ok(count @ 1..) => heard.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    // Whoever leaves before the answer does not want it.
    let _gone = near.write_all(answer.as_bytes());
}
