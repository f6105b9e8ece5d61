//! Cut connections, two pulls at once, damaged content.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use gantry_names::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::keeper::{Traveller, noise};
use crate::places::Place;

/// A line to `to` that is cut a number of times, each time after so many bytes. Counts what comes through.
pub async fn bad_line(
    to: std::net::SocketAddr,
    cuts: i64,
    after: usize,
) -> (std::net::SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (left, through) = (Arc::new(AtomicI64::new(cuts)), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&through);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (left, through) = (Arc::clone(&left), Arc::clone(&counted));
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let forth = tokio::spawn(async move {
                    tokio::io::copy(&mut from_client, &mut to_server).await.ok();
                });
                let mut buffer = vec![0; 16 << 10];
                let mut passed = 0;
                while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                    passed += n;
                    through.fetch_add(n as u64, Ordering::Relaxed);
                    if to_client.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                    if passed > after && left.fetch_sub(1, Ordering::Relaxed) > 0 {
                        break;
                    }
                }
                forth.abort();
            });
        }
    });
    (address, through)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_cuts_cost_next_to_nothing() {
    let place = Place::open().await;
    let there = Traveller::new();
    let layer = noise(7, 12 << 20);
    let image = there.image(std::slice::from_ref(&layer));
    there.push(&place.at("big:1"), &image).await.unwrap();
    let (line, through) = bad_line(place.running.address(), 5, 2 << 20).await;
    let here = Traveller::new();
    here.pull(&format!("{line}/big:1")).await.unwrap();
    assert!(here.holds(&Digest::sha256_of(&layer)));
    let bytes = through.load(Ordering::Relaxed) as f64;
    assert!(bytes < layer.len() as f64 * 1.05, "{bytes} bytes for {}", layer.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_cut() {
    let place = Place::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (line, to) = (listener.local_addr().unwrap(), place.running.address());
    let (left, through) = (Arc::new(AtomicI64::new(2)), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&through);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (left, through) = (Arc::clone(&left), Arc::clone(&counted));
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move {
                    tokio::io::copy(&mut from_server, &mut to_client).await.ok();
                });
                let mut buffer = vec![0; 16 << 10];
                let mut passed = 0;
                while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                    passed += n;
                    through.fetch_add(n as u64, Ordering::Relaxed);
                    if to_server.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                    if passed > 2 << 20 && left.fetch_sub(1, Ordering::Relaxed) > 0 {
                        break;
                    }
                }
                back.abort();
            });
        }
    });
    let there = Traveller::new();
    let layer = noise(9, 8 << 20);
    let image = there.image(std::slice::from_ref(&layer));
    there.push(&format!("{line}/big:1"), &image).await.unwrap();
    let bytes = through.load(Ordering::Relaxed) as f64;
    // What was on the way when the line broke goes again: some socket buffers a cut.
    assert!(bytes < layer.len() as f64 * 1.5, "{bytes} bytes for {}", layer.len());
    let here = Traveller::new();
    here.pull(&place.at("big:1")).await.unwrap();
    assert!(here.holds(&Digest::sha256_of(&layer)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_two_pulls_want_travels_once() {
    let place = Place::open().await;
    let there = Traveller::new();
    let layer = noise(5, 8 << 20);
    let image = there.image(std::slice::from_ref(&layer));
    there.push(&place.at("one:1"), &image).await.unwrap();
    there.push(&place.at("two:1"), &image).await.unwrap();
    let (line, through) = bad_line(place.running.address(), 0, 0).await;
    let here = Traveller::new();
    let (one, two) = (format!("{line}/one:1"), format!("{line}/two:1"));
    let (one, two) = tokio::join!(here.pull(&one), here.pull(&two));
    one.unwrap();
    two.unwrap();
    let bytes = through.load(Ordering::Relaxed) as f64;
    assert!(bytes < layer.len() as f64 * 1.1, "{bytes} bytes for {}", layer.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_content_is_an_error_and_no_blob() {
    let place = Place::open().await;
    let there = Traveller::new();
    let layer = noise(5, 100_000);
    let digest = Digest::sha256_of(&layer);
    let image = there.image(&[layer]);
    there.push(&place.at("app:1"), &image).await.unwrap();
    let path = format!("docker/registry/v2/blobs/sha256/{}/{}/data", &digest.hex()[..2], digest.hex());
    let path = place.root.join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let here = Traveller::new();
    let err = here.pull(&place.at("app:1")).await.unwrap_err();
    assert_eq!(err.to_string(), format!("filesystem layer verification failed for digest {digest}"));
    assert!(!here.holds(&digest));
    assert!(!here.blobs.0.join(digest.hex()).with_extension("part").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_a_killed_engine_began_is_gone_on_with() {
    let place = Place::open().await;
    let there = Traveller::new();
    let layer = noise(6, 4 << 20);
    let digest = Digest::sha256_of(&layer);
    let image = there.image(std::slice::from_ref(&layer));
    there.push(&place.at("app:1"), &image).await.unwrap();
    let here = Traveller::new();
    std::fs::write(here.blobs.0.join(digest.hex()).with_extension("part"), &layer[..3 << 20]).unwrap();
    let (line, through) = bad_line(place.running.address(), 0, 0).await;
    here.pull(&format!("{line}/app:1")).await.unwrap();
    assert!(here.holds(&digest));
    assert!(through.load(Ordering::Relaxed) < (1 << 20) + 100_000);
}
