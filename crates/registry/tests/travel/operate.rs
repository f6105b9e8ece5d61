//! What an operator sets: immutable tags, quotas, notifications; and what they look at.

use std::io::{Read as _, Write as _};

use crate::hostile::ask;
use crate::keeper::{Traveller, noise};
use crate::places::Place;

async fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (host, path) = (host.to_owned(), path.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut tcp = std::net::TcpStream::connect(&host).unwrap();
        write!(tcp, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_takes_the_same_image_again_and_no_other() {
    let place = Place::configured("gantry: {immutabletags: ['prod/*:v*']}").await;
    let there = Traveller::new();
    let (one, two) = (there.image(&[noise(1, 10)]), there.image(&[noise(2, 10)]));
    there.push(&place.at("prod/app:v1"), &one).await.unwrap();
    there.push(&place.at("prod/app:v1"), &one).await.unwrap();
    let err = there.push(&place.at("prod/app:v1"), &two).await.unwrap_err();
    assert_eq!(err.to_string(), "denied: tag v1 is immutable and names another image");
    there.push(&place.at("prod/app:latest"), &one).await.unwrap();
    there.push(&place.at("prod/app:latest"), &two).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_stops_a_push_and_counts_what_is_there() {
    let place = Place::configured("gantry: {quotas: [{repositories: 'small/*', size: 10kB}]}").await;
    let there = Traveller::new();
    let (fits, not) = (there.image(&[noise(1, 5_000)]), there.image(&[noise(2, 6_000)]));
    there.push(&place.at("small/app:1"), &fits).await.unwrap();
    let err = there.push(&place.at("small/app:2"), &not).await.unwrap_err();
    assert!(err.to_string().starts_with("denied: quota exceeded: small/app holds"), "{err}");
    there.push(&place.at("large/app:2"), &not).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_told_to_a_receiver_that_is_late() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = listener.local_addr().unwrap();
    let told = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        loop {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut request = String::new();
            let mut buffer = [0; 4096];
            while !request.contains("}]}") {
                let n = tcp.read(&mut buffer).unwrap();
                request.push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
            // The first attempt is refused: it must come again.
            let status = if bodies.is_empty() { "503 Later" } else { "200 OK" };
            write!(tcp, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            bodies.push(request);
            if bodies.iter().any(|body| body.contains("manifest.v1+json\"")) {
                return bodies;
            }
        }
    });
    let endpoint =
        format!("notifications: {{endpoints: [{{name: r, url: 'http://{receiver}/hook', backoff: 10ms}}]}}");
    let place = Place::configured(&endpoint).await;
    let there = Traveller::new();
    let image = there.image(&[noise(1, 10)]);
    there.push(&place.at("app:1"), &image).await.unwrap();
    let bodies = tokio::task::spawn_blocking(move || told.join().unwrap()).await.unwrap();
    let last = bodies.last().unwrap();
    assert!(last.contains("\"action\":\"push\"") && last.contains(image.as_str()), "{last}");
    assert!(last.contains("\"tag\":\"1\"") && last.contains("POST /hook "), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_the_metrics_and_the_old_endpoints_answer() {
    let place = Place::open().await;
    let there = Traveller::new();
    let image = there.image(&[noise(1, 10)]);
    there.push(&place.at("team/app:v1"), &image).await.unwrap();
    assert!(get(&place.url("/")).await.contains("<a href=\"r/team/app\">team/app</a>"));
    assert!(
        get(&place.url("/r/team/app")).await.contains(&format!("docker pull {}", place.at("team/app:v1")))
    );
    assert!(
        get(&place.url("/metrics"))
            .await
            .contains("registry_http_requests_total{handler=\"manifest\",code=\"201\"} 1")
    );
    assert!(get(&place.url("/debug/health")).await.ends_with("{}"));
    assert!(get(&place.url("/v1/_ping")).await.ends_with("true"));
    assert!(get(&place.url("/v1/search?q=app")).await.contains("\"num_results\":1"));
    assert!(get(&place.url("/v2/_catalog")).await.contains("{\"repositories\":[\"team/app\"]}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_prefix_every_link_holds() {
    let more = "http: {addr: '127.0.0.1:0', prefix: /images/}\ngantry: {tokenservice: false}";
    let place = Place::configured(more).await;
    let to = place.running.address();
    assert!(ask(to, "GET", "/v2/", "", b"").await.contains(" 404 "));
    assert!(ask(to, "GET", "/images/v2/", "", b"").await.contains(" 200 "));
    for name in ["one", "two/three"] {
        let digest = gantry_names::Digest::sha256_of(b"{}");
        let begun =
            ask(to, "POST", &format!("/images/v2/{name}/blobs/uploads/?digest={digest}"), "", b"{}").await;
        assert!(begun.contains(&format!("location: /images/v2/{name}/blobs/{digest}")), "{begun}");
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"x/y","digest":"{digest}","size":2}},"layers":[]}}"#
        );
        for tag in ["a", "b"] {
            let path = format!("/images/v2/{name}/manifests/{tag}");
            assert!(ask(to, "PUT", &path, "", manifest.as_bytes()).await.contains(" 201 "));
        }
    }
    for (path, link) in [
        ("/images/v2/_catalog?n=1", "link: </images/v2/_catalog?last=one&n=1>"),
        ("/images/v2/one/tags/list?n=1", "link: </images/v2/one/tags/list?last=a&n=1>"),
        ("/images/", "<a href=\"r/two/three\">"),
        ("/images/r/two/three", "<a href=\"../../\">"),
    ] {
        let answer = ask(to, "GET", path, "", b"").await;
        assert!(answer.contains(link), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_rule_takes_old_tags_and_what_they_alone_held() {
    let place = Place::configured(
        "gantry: {collect: {interval: 200ms, grace: 1ms, deleteuntagged: true}, retention: [{repositories: 'ci/*', tags: 'build-*', keeplast: 2}]}",
    )
    .await;
    let there = Traveller::new();
    let image = |n| there.image(&[noise(n, 4000)]);
    for n in 1..=5 {
        // Content younger than the grace may go between two steps of a push: then the push is told, and made again.
        let image = image(n);
        while there.push(&place.at(&format!("ci/app:build-{n}")), &image).await.is_err() {}
        while there.push(&place.at(&format!("kept/app:build-{n}")), &image).await.is_err() {}
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let tags = get(&place.url("/v2/ci/app/tags/list")).await;
        if tags.contains(r#""tags":["build-4","build-5"]"#) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{tags}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let kept = get(&place.url("/v2/kept/app/tags/list")).await;
    assert!(kept.contains(r#"["build-1","build-2","build-3","build-4","build-5"]"#), "{kept}");
    let here = Traveller::new();
    here.pull(&place.at("ci/app:build-5")).await.unwrap();
    here.pull(&place.at("kept/app:build-1")).await.unwrap();
}

#[test]
fn every_request_has_its_line_in_the_access_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(crate::places::PROGRAM)
        .args(["serve", "--addr", "127.0.0.1:0", "--root"])
        .arg(dir.path())
        .env("REGISTRY_LOG_FORMATTER", "json")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let address = loop {
        let line = next();
        if let Some(address) = line.pointer("/fields/address").or(line.get("address")) {
            break address.as_str().unwrap().to_owned();
        }
    };
    let mut tcp = std::net::TcpStream::connect(&address).unwrap();
    let request =
        "GET /v2/no/manifests/x HTTP/1.1\r\nHost: x\r\nUser-Agent: mine/1\r\nConnection: close\r\n\r\n";
    tcp.write_all(request.as_bytes()).unwrap();
    let line = loop {
        let line = next();
        if line["target"] == "access" {
            break line;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let fields = line.get("fields").unwrap_or(&line);
    assert_eq!((fields["method"].as_str(), fields["status"].as_u64()), (Some("GET"), Some(404)), "{line}");
    assert_eq!(
        (fields["path"].as_str(), fields["agent"].as_str()),
        (Some("/v2/no/manifests/x"), Some("mine/1"))
    );
    assert!(fields["ms"].as_f64().is_some() && fields["peer"].as_str().is_some(), "{line}");
}
