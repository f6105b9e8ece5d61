#![no_main]
//! No answer of a registry makes its client panic: not the headers that ask for a login, name a digest, a range or the next page,
//! and not the bodies. What the input holds between lines `----` is answered to one question after the other.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use gantry_distribution::{Credentials, Registry, Settings};
use gantry_names::Reference;
use libfuzzer_sys::fuzz_target;

static ANSWERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A registry on this machine that answers each connection with what stands next in [`ANSWERS`].
static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let next = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                &next.unwrap_or_else(|| b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()),
            );
        }
    });
    port
});

static CLIENT: LazyLock<(tokio::runtime::Runtime, Arc<Registry>)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let settings = Settings { attempts: 1, certificates: Vec::new(), ..Settings::default() };
    (runtime, Arc::new(Registry::new(settings)))
});

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    // An address of its own choice in a `realm` or a `Location` is not followed to other machines: there is none here.
    let text = String::from_utf8_lossy(rest).replace("PORT", &PORT.to_string());
    let mut answers = text
        .split("----\n")
        .map(|answer| match answer.split_once("\n\n") {
            Some((head, body)) => {
                let head = head.replace('\n', "\r\n");
                format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}").into_bytes()
            }
            None => format!("HTTP/1.1 {answer}").into_bytes(),
        })
        .collect::<Vec<_>>();
    answers.reverse();
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    let reference = Reference::parse(&format!("127.0.0.1:{}/a/b:tag", *PORT)).expect("a reference");
    let (runtime, client) = &*CLIENT;
    let nobody = Credentials::default();
    runtime.block_on(async {
        let asked = async {
            match which % 4 {
                0 => drop(client.tags(&reference, &nobody).await),
                1 => drop(client.resolve(&reference, &nobody).await),
                2 => drop(client.inspect(&reference, &nobody).await),
                _ => drop(client.manifest(&reference, &nobody).await),
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), asked).await;
    });
});
