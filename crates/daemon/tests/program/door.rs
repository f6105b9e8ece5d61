//! The engine's doors besides the unix socket: TLS with client certificates, and sockets that somebody else opened.

use std::process::{Command, Stdio};

use crate::certificates::Authority;
use crate::harness::{Engine, Said, busybox, gantry};

/// A client inside the engine's own network namespace.
fn inside(engine: &Engine, program: &str, args: &[&str]) -> Said {
    let net = format!("--net=/proc/{}/ns/net", engine.pid().as_raw_nonzero());
    let output = Command::new("nsenter")
        .args([net.as_str(), "--", program])
        .args(args)
        .env("DOCKER_CONFIG", engine.path("client"))
        .env("HOME", engine.path("home"))
        .env_remove("DOCKER_HOST")
        .env_remove("DOCKER_TLS_VERIFY")
        .env_remove("DOCKER_CERT_PATH")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Each client and each version of TLS has its own words for it.
fn refused(err: &str) -> bool {
    ["certificate", "tls", "TLS", "alert", "HTTPS"].iter().any(|word| err.contains(word))
}

#[test]
fn tls_is_verified_by_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path().join("ours"));
    let theirs = Authority::new(dir.path().join("theirs"));
    ours.certify("server");
    ours.certify("client");
    theirs.certify("client");
    let (ca, cert, key) = (ours.file("ca.pem"), ours.file("server-cert.pem"), ours.file("server-key.pem"));
    let flags =
        ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key, "-H", "tcp://0.0.0.0:2376"];
    let engine = Engine::empty(&flags);
    inside(&engine, "ip", &["link", "set", "lo", "up"]).ok();

    let gantry = gantry().display().to_string();
    for client in ["docker", gantry.as_str()] {
        let say = |authority: &str, who: &Authority| {
            let (cert, key) = (who.file("client-cert.pem"), who.file("client-key.pem"));
            let tls = ["--tlsverify", "--tlscacert", authority, "--tlscert", &cert, "--tlskey", &key];
            let words = ["-H", "tcp://127.0.0.1:2376", "info", "-f", "{{.OSType}}"];
            inside(&engine, client, &tls.into_iter().chain(words).collect::<Vec<_>>())
        };
        assert_eq!(say(&ca, &ours).ok(), "linux", "{client}");
        let err = say(&ca, &theirs).failed();
        assert!(refused(&err), "the engine refuses a stranger: {client}: {err}");
        let err = say(&theirs.file("ca.pem"), &ours).failed();
        assert!(refused(&err), "the client refuses a strange engine: {client}: {err}");
        let bare = ["--tls", "--tlscacert", &ca, "-H", "tcp://127.0.0.1:2376", "ps"];
        let err = inside(&engine, client, &bare).failed();
        assert!(refused(&err), "no certificate, no entry: {client}: {err}");
        let err = inside(&engine, client, &["-H", "tcp://127.0.0.1:2376", "ps"]).failed();
        assert!(refused(&err), "{client}: {err}");
    }
}

/// systemd's own launcher opens the socket; the first request starts the engine, and containers
/// outlive it.
#[test]
fn a_socket_of_systemd_is_taken_over() {
    let launcher = "/usr/bin/systemd-socket-activate";
    if !std::path::Path::new(launcher).exists() {
        eprintln!("skipped: no {launcher}");
        return;
    }
    let mut engine = Engine::empty(&[]);
    engine.stop();
    let socket = engine.path("activated.sock").display().to_string();
    let words = engine.command();
    let own = format!("unix://{}", engine.path("gantry.sock").display());
    let words = words
        .get_args()
        .map(|word| word.to_owned())
        .map(|word| if *word == *own { "fd://".into() } else { word });
    let log = std::fs::File::create(engine.path("activated.log")).unwrap();
    let launched = Command::new(launcher)
        .args(["-E", "GANTRY_SHIM", "-E", "GANTRY_RUNTIME", "-l", &socket, "unshare"])
        .args(words)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    engine.adopt(launched);
    while !std::path::Path::new(&socket).exists() {
        std::thread::yield_now();
    }
    let docker = |args: &[&str]| {
        let output =
            Command::new("docker").args(["-H", &format!("unix://{socket}")]).args(args).output().unwrap();
        let told = std::fs::read_to_string(engine.path("activated.log")).unwrap();
        assert!(output.status.success(), "{args:?}: {}\n{told}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    assert_eq!(docker(&["version", "-f", "{{.Server.Os}}"]), "linux");
    docker(&["load", "-q", "-i", &busybox().display().to_string()]);
    docker(&["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]);
    engine.crash();
    // No shim holds the socket open: who comes is refused instead of waiting for nobody.
    let err = std::os::unix::net::UnixStream::connect(&socket).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::ConnectionRefused);
    engine.launch();
    assert_eq!(engine.docker(["exec", "box", "echo", "alive"]).ok(), "alive");
}

#[test]
fn fd_without_sockets_is_refused() {
    let mut engine = Engine::empty(&[]);
    engine.stop();
    let output = engine.command().args(["-H", "fd://"]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("no sockets found via socket activation"), "{err}");
}
