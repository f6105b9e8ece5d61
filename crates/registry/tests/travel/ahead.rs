//! Layers that leave while they are made.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use gantry_distribution::sink::{Blob, Source};
use gantry_distribution::{Layer, RegistryError};
use gantry_names::{Digest, Reference};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::keeper::{Traveller, noise};
use crate::places::Place;

/// Bytes of which so many are made.
#[derive(Clone)]
struct Growing(Arc<(Vec<u8>, Mutex<usize>, Condvar)>);

impl Growing {
    fn new(bytes: Vec<u8>, made: usize) -> Self {
        Self(Arc::new((bytes, Mutex::new(made), Condvar::new())))
    }

    fn grow(&self, made: usize) {
        *self.0.1.lock().unwrap() = made;
        self.0.2.notify_all();
    }

    fn until(&self, enough: impl Fn(usize) -> bool) -> usize {
        *self.0.2.wait_while(self.0.1.lock().unwrap(), |made| !enough(*made)).unwrap()
    }
}

struct Reading(Growing, usize);

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let all = &self.0.0.0;
        let made = self.0.until(|made| made > self.1 || made == all.len());
        let count = (made - self.1).min(buffer.len());
        buffer[..count].copy_from_slice(&all[self.1..][..count]);
        self.1 += count;
        Ok(count)
    }
}

impl Source for Growing {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Reading(self.clone(), offset as usize)))
    }

    fn length(&self) -> u64 {
        self.0.0.len() as u64
    }

    fn whole(&self) -> io::Result<Blob> {
        self.until(|made| made == self.0.0.len());
        Ok(Blob { digest: Digest::sha256_of(&self.0.0), size: self.length() })
    }
}

/// Pushes one layer that is being made.
async fn leave(there: &Traveller, name: &str, layer: &Growing) -> Result<Vec<Digest>, RegistryError> {
    let (to, coming) = tokio::sync::mpsc::channel(1);
    let label = Digest::sha256_of(b"label");
    assert!(to.send(Layer::Made(Arc::new(layer.clone()), label)).await.is_ok());
    drop(to);
    there.push_layers(name, coming).await
}

/// A line that counts what clients send, takes its time for it, and breaks some connections after so many bytes.
async fn slow_line(to: SocketAddr, pause: Duration, cuts: u64, after: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (through, made) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&through);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (through, made) = (Arc::clone(&counted), Arc::clone(&made));
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = TcpStream::connect(to).await.unwrap().into_split();
                let back = tokio::spawn(async move {
                    tokio::io::copy(&mut from_server, &mut to_client).await.ok();
                });
                let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    passed += count as u64;
                    through.fetch_add(count as u64, Ordering::Relaxed);
                    let broke = passed > after && made.fetch_add(1, Ordering::Relaxed) < cuts;
                    if broke || to_server.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                back.abort();
            });
        }
    });
    (address, through)
}

/// Bytes of uploads that are under way.
fn under_way(root: &Path) -> u64 {
    let uploads = std::fs::read_dir(root.join(".gantry/uploads")).unwrap().map(|entry| entry.unwrap());
    uploads
        .filter(|entry| entry.path().extension().is_none())
        .map(|entry| entry.metadata().unwrap().len())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_leaves_before_it_is_whole() {
    let place = Place::open().await;
    let there = Traveller::new();
    let bytes = noise(1, 4 << 20);
    let digest = Digest::sha256_of(&bytes);
    let layer = Growing::new(bytes, 2 << 20);
    let grown = layer.clone();
    let root = place.root.clone();
    let grower = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        while under_way(&root) < 2 << 20 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{} bytes left", under_way(&root));
            std::thread::sleep(Duration::from_millis(5));
        }
        grown.grow(4 << 20);
    });
    let sent = leave(&there, &place.at("app:1"), &layer).await.unwrap();
    assert_eq!(sent.as_slice(), std::slice::from_ref(&digest));
    grower.await.unwrap();
    let texts = there.texts();
    assert!(texts.contains(&"Pushing".to_owned()) && texts.last().unwrap() == "Pushed", "{texts:?}");
    let name = Reference::parse(&place.at("app:1")).unwrap();
    let found = there.registry.blob_size(&name, &digest, &there.credentials).await;
    assert_eq!(found.unwrap(), 4 << 20);
    assert_eq!(under_way(&place.root), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_while_it_is_made_costs_little() {
    let place = Place::open().await;
    let (line, through) = slow_line(place.running.address(), Duration::ZERO, 2, 3 << 20).await;
    let there = Traveller::new();
    let bytes = noise(2, 12 << 20);
    let digest = Digest::sha256_of(&bytes);
    let layer = Growing::new(bytes, 6 << 20);
    let grown = layer.clone();
    let passed = Arc::clone(&through);
    let grower = tokio::task::spawn_blocking(move || {
        while passed.load(Ordering::Relaxed) < 3 << 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        grown.grow(12 << 20);
    });
    assert_eq!(leave(&there, &format!("{line}/app:1"), &layer).await.unwrap(), [digest]);
    grower.await.unwrap();
    let bytes = through.load(Ordering::Relaxed);
    // What was on the way when the line broke goes again: some socket buffers a cut.
    assert!(bytes > 12 << 20 && bytes < 18 << 20, "{bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_to_be_there_is_not_sent_to_its_end() {
    let place = Place::open().await;
    let there = Traveller::new();
    let bytes = noise(3, 24 << 20);
    let layer = Growing::new(bytes.clone(), bytes.len());
    leave(&there, &place.at("app:1"), &layer).await.unwrap();
    there.texts();
    let (line, through) = slow_line(place.running.address(), Duration::from_millis(2), 0, 0).await;
    leave(&there, &format!("{line}/app:1"), &layer).await.unwrap();
    assert_eq!(there.texts().last().unwrap(), "Layer already exists");
    let passed = through.load(Ordering::Relaxed);
    assert!(passed < bytes.len() as u64 / 2, "{passed} bytes");
    assert_eq!(under_way(&place.root), 0, "the upload was given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_told() {
    struct Broken;
    impl Source for Broken {
        fn open(&self, _: u64) -> io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(io::Read::chain(&b"some"[..], Broken)))
        }
        fn length(&self) -> u64 {
            100
        }
        fn whole(&self) -> io::Result<Blob> {
            Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"))
        }
    }
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let place = Place::open().await;
    let there = Traveller::new();
    let (to, coming) = tokio::sync::mpsc::channel(1);
    assert!(to.send(Layer::Made(Arc::new(Broken), Digest::sha256_of(b"label"))).await.is_ok());
    drop(to);
    let err = there.push_layers(&place.at("app:1"), coming).await.unwrap_err();
    assert_eq!(err.to_string(), "no space left on device");
}
