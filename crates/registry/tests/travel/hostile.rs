//! Requests nobody honest sends. Each is refused with the spec's code, and nothing of it stays.

use std::net::SocketAddr;

use gantry_names::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::keeper::noise;
use crate::places::Place;

/// Sends bytes as they are and returns the whole answer.
async fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(to).await.unwrap();
    // A refusal may come before all is sent.
    tcp.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.ok();
    answer
}

/// The whole answer to a GET, as it comes.
pub async fn ask_bytes(to: SocketAddr, path: &str) -> Vec<u8> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    raw(to, head.as_bytes()).await
}

pub async fn ask(to: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    String::from_utf8_lossy(&raw(to, &[head.as_bytes(), body].concat()).await).into_owned()
}

fn files(place: &Place) -> Vec<String> {
    fn walk(path: &std::path::Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path.display().to_string()) }
        }
    }
    let mut found = Vec::new();
    walk(&place.root.join("docker"), &mut found);
    walk(&place.root.join(".gantry/uploads"), &mut found);
    walk(&place.root.join(".gantry/drafts"), &mut found);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_uploads_are_refused_and_leave_nothing() {
    let place = Place::open().await;
    let to = place.running.address();
    let digest = Digest::sha256_of(b"right");
    let post = format!("/v2/a/blobs/uploads/?digest={digest}");
    let manifest = format!("/v2/a/manifests/{digest}");
    let large = vec![b' '; (4 << 20) + 1];
    let index = "application/vnd.oci.image.index.v1+json";
    let missing = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{digest}","size":5}},"layers":[]}}"#);
    for (method, path, headers, body, status, code) in [
        ("POST", post.as_str(), "", &b"wrong"[..], 400, "DIGEST_INVALID"),
        ("POST", "/v2/a/blobs/uploads/?digest=sha256:xyz", "", b"x", 400, "DIGEST_INVALID"),
        ("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", "", b"", 400, "DIGEST_INVALID"),
        ("POST", "/v2/A/blobs/uploads/", "", b"", 400, "NAME_INVALID"),
        ("POST", "/v2/../a/blobs/uploads/", "", b"", 400, "NAME_INVALID"),
        ("POST", "/v2/%2e%2e/blobs/uploads/", "", b"", 400, "NAME_INVALID"),
        ("PUT", "/v2/a/blobs/uploads/nosuch?digest=sha256:x", "", b"", 400, "DIGEST_INVALID"),
        ("PATCH", "/v2/a/blobs/uploads/..%2f..%2fx", "", b"x", 404, ""),
        (
            "PATCH",
            "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000",
            "",
            b"x",
            404,
            "BLOB_UPLOAD_UNKNOWN",
        ),
        ("PUT", "/v2/a/manifests/v1", "", b"{", 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/a/manifests/v1", "", b"{}", 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/a/manifests/v1", "", br#"{"schemaVersion":1}"#, 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/a/manifests/.v1", "", b"{}", 400, "TAG_INVALID"),
        ("PUT", "/v2/a/manifests/v1", "", &large, 413, "SIZE_INVALID"),
        ("PUT", "/v2/a/manifests/v1", "", missing.as_bytes(), 404, "MANIFEST_BLOB_UNKNOWN"),
        ("PUT", &manifest, "", br#"{"schemaVersion":2,"manifests":[]}"#, 400, "DIGEST_INVALID"),
        (
            "PUT",
            "/v2/a/manifests/v1",
            "Content-Type: text/plain\r\n",
            br#"{"manifests":[]}"#,
            400,
            "MANIFEST_INVALID",
        ),
        ("GET", "/v2/a/tags/list?n=-1", "", b"", 400, "PAGINATION_NUMBER_INVALID"),
        ("POST", "/v2/a/manifests/v1", "", b"", 405, "UNSUPPORTED"),
    ] {
        let answer = ask(to, method, path, headers, body).await;
        let line = answer.lines().next().unwrap_or_default().to_owned();
        assert!(line.contains(&format!(" {status} ")), "{method} {path}: {line}");
        assert!(answer.contains(code), "{method} {path}: {answer}");
    }
    let mixed = format!(r#"{{"mediaType":"{index}","config":{{"digest":"{digest}"}},"manifests":[]}}"#);
    assert!(ask(to, "PUT", "/v2/a/manifests/v1", "", mixed.as_bytes()).await.contains("MANIFEST_INVALID"));
    assert_eq!(files(&place), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_is_no_blob() {
    let place = Place::open().await;
    let to = place.running.address();
    let body = noise(1, 100_000);
    let digest = Digest::sha256_of(&body);
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    );
    let mut tcp = TcpStream::connect(to).await.unwrap();
    tcp.write_all(&[head.as_bytes(), &body[..50_000]].concat()).await.unwrap();
    drop(tcp);
    let look = format!("/v2/a/blobs/{digest}");
    assert!(ask(to, "GET", &look, "", b"").await.contains("BLOB_UNKNOWN"));
    // The connection's end and the file's are not one instant: the next request waits its turn behind it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !files(&place).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", files(&place));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_another_repository_is_not_found() {
    let place = Place::open().await;
    let to = place.running.address();
    let begun = ask(to, "POST", "/v2/mine/blobs/uploads/", "", b"").await;
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    let theirs = location.replace("/mine/", "/theirs/");
    assert!(ask(to, "PATCH", &theirs, "", b"evil").await.contains("BLOB_UPLOAD_UNKNOWN"));
    assert!(ask(to, "PATCH", &location, "Content-Range: 5-6\r\n", b"ab").await.contains(" 416 "));
    assert!(ask(to, "PATCH", &location, "Content-Range: 0-9\r\n", b"ab").await.contains("SIZE_INVALID"));
    assert!(ask(to, "PATCH", &location, "Content-Range: 0-1\r\n", b"ab").await.contains(" 202 "));
    let done = format!("{location}?digest={}", Digest::sha256_of(b"ab"));
    assert!(ask(to, "PUT", &done, "", b"").await.contains(" 201 "));
    assert!(ask(to, "PATCH", &location, "", b"more").await.contains("BLOB_UPLOAD_UNKNOWN"));
}

/// Waits until the other side is gone; returns what it said before.
async fn until_closed(tcp: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), tcp.read_to_end(&mut answer));
    read.await.expect("the connection is closed").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_peers_are_let_go_and_do_not_keep_others_out() {
    let place = Place::configured("gantry: {patience: 1s, maxconnections: 2}").await;
    let to = place.running.address();
    let mut head = TcpStream::connect(to).await.unwrap();
    head.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut body = TcpStream::connect(to).await.unwrap();
    let digest = Digest::sha256_of(b"x");
    let post = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
    );
    body.write_all(post.as_bytes()).await.unwrap();
    // All places are taken by peers that say no more: the next one is served when they are let go.
    assert!(ask(to, "GET", "/v2/", "", b"").await.contains(" 200 "));
    assert!(!until_closed(&mut head).await.contains(" 200 "));
    let answer = until_closed(&mut body).await;
    assert!(answer.contains(" 408 ") && answer.contains("BLOB_UPLOAD_INVALID"), "{answer}");
    assert_eq!(files(&place), Vec::<String>::new());
}
