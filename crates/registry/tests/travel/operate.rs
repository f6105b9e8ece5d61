//! What an operator sets: immutable tags, quotas, notifications; and what they look at.

use std::io::{Read as _, Write as _};

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
    assert!(get(&place.url("/")).await.contains("<a href=\"/r/team/app\">team/app</a>"));
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
