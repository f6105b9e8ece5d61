//! A keeper whose disk is full.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_distribution::http::Proxies;
use gantry_distribution::manifest::Descriptor;
use gantry_distribution::sink::{Blobs, Ingest};
use gantry_distribution::{Credentials, Observer, Registry, Settings};
use gantry_names::{Digest, Reference};

/// Takes 4 KiB; tells what it holds.
struct Small(Arc<AtomicU64>);

impl Blobs for Small {
    fn has(&self, _: &Digest, _: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn ingest(&self, _: &Digest, _: u64) -> io::Result<Box<dyn Ingest>> {
        Ok(Box::new(Small(Arc::clone(&self.0))))
    }

    fn read(&self, _: &Digest, _: u64) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn open(&self, _: &Digest, _: u64) -> io::Result<Box<dyn Read + Send>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Ingest for Small {
    fn offset(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let held = self.0.fetch_add(bytes.len() as u64, Ordering::SeqCst) + bytes.len() as u64;
        if held > 4096 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.0.store(0, Ordering::SeqCst);
        Ok(())
    }

    fn commit(self: Box<Self>, _: &Digest, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// A layer that is larger than the disk fails, and gives back what it took: the rest of the machine has need of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_filled_the_disk_does_not_stay() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in server.incoming().map_while(Result::ok) {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            // Whoever asks hangs up in the middle.
            let _ = stream.write_all(head).and_then(|()| stream.write_all(&[b'x'; 1_000_000]));
        }
    });
    let settings = Settings { proxies: Proxies::none(), certificates: Vec::new(), ..Settings::default() };
    let held = Arc::new(AtomicU64::new(0));
    let blobs: Arc<dyn Blobs> = Arc::new(Small(Arc::clone(&held)));
    let reference = Reference::parse(&format!("{address}/box")).unwrap();
    let blob = Descriptor::of("application/octet-stream", Digest::sha256_of(b"never sent"), 1_000_000);
    let nobody: Observer = Arc::new(|_| {});
    let fetched =
        Registry::new(settings).fetch_blob(&reference, &blob, &Credentials::default(), &blobs, &nobody).await;
    let error = fetched.unwrap_err().to_string();
    assert!(error.contains("no storage space"), "{error}");
    assert_eq!(held.load(Ordering::SeqCst), 0);
}
