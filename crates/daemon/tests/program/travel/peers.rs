//! Registries that are not ours, or not in the mood.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::access::users;
use super::line::Line;
use super::registry::{Certificates, Registry};
use super::resume::push_big;
use crate::harness::{Engine, PATIENCE, busybox};

/// Docker's own registry, of the distribution's package.
struct Dockers {
    _dir: tempfile::TempDir,
    process: Child,
    address: String,
}

impl Dockers {
    fn start() -> Dockers {
        let dir = tempfile::tempdir().unwrap();
        // It does not say which port it got, so it is given one that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = dir.path().join("config.yml");
        let root = dir.path().join("data");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
                root.display()
            ),
        )
        .unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry is installed");
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Dockers { _dir: dir, process, address }
    }
}

impl Drop for Dockers {
    fn drop(&mut self) {
        // It is our own child; one that is gone already needs no stopping.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[test]
fn an_image_goes_through_dockers_own_registry() {
    let registry = Dockers::start();
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]));
    let name = format!("{}/team/box:1", registry.address);
    here.docker(["tag", "busybox", &name]).ok();
    let said = here.docker(["push", &name]).ok();
    assert!(said.contains(": Pushed\n") && said.contains("1: digest: sha256:"), "{said}");
    let other = format!("{}/team/other:1", registry.address);
    here.docker(["tag", "busybox", &other]).ok();
    let said = here.docker(["push", &other]).ok();
    assert!(said.contains(": Mounted from team/box\n"), "{said}");
    let said = here.docker(["push", &other]).ok();
    assert!(said.contains(": Layer already exists\n"), "{said}");

    there.docker(["pull", &name]).ok();
    assert_eq!(there.docker(["run", "--rm", "--network", "none", &name, "echo", "hi"]).ok(), "hi");
    let digest = |engine: &Engine| engine.docker(["inspect", "-f", "{{index .RepoDigests 0}}", &name]).ok();
    assert_eq!(digest(&here), digest(&there));
    let repository = format!("{}/team/box", registry.address);
    there.docker(["pull", "-q", "-a", &repository]).ok();
}

#[test]
fn five_cuts_of_dockers_registry_cost_next_to_nothing() {
    const LARGE: usize = 12 << 20;
    let registry = Dockers::start();
    push_big(&registry.address, LARGE);
    let line = Line::cut(&registry.address, 5, 2 << 20);
    let there = Engine::shared(&[]).with_busybox();
    let name = format!("{}/big", line.address);
    there.docker(["pull", "-q", &name]).ok();
    assert!(line.cuts_left() <= 0, "{} cuts are left", line.cuts_left());
    let most = (LARGE as u64 + 500_000) * 105 / 100;
    assert!(line.came() <= most, "{} bytes came, {most} are allowed", line.came());
}

#[test]
fn a_registry_that_says_when_to_come_again_is_believed() {
    let registry = Registry::start();
    let here = Engine::shared(&[]).with_busybox();
    here.docker(["tag", "busybox", &registry.image("box")]).ok();
    here.docker(["push", "-q", &registry.image("box")]).ok();
    for (status, body) in [
        ("429 Too Many Requests", r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#),
        ("503 Service Unavailable", ""),
    ] {
        let length = body.len();
        let refusal = format!(
            "HTTP/1.1 {status}\r\nRetry-After: 2\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        // The engine tries TLS first: that is the first connection, and this no answer to it.
        let line = Line::refusing(&registry.address, 2, &refusal);
        let there = Engine::shared(&[]);
        let begun = Instant::now();
        there.docker(["pull", "-q", &format!("{}/box", line.address)]).ok();
        let took = begun.elapsed();
        assert!(took >= Duration::from_secs(2), "{status}: it came again after {took:?}");
    }
    // One that never will is told as it said it.
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"you have reached your pull rate limit"}]}"#;
    let refusal =
        format!("HTTP/1.1 429 No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let line = Line::refusing(&registry.address, i64::MAX, &refusal);
    let strict = Engine::shared(&["--max-download-attempts=2"]);
    let err = strict.docker(["pull", &format!("{}/box", line.address)]).failed();
    assert!(err.contains("toomanyrequests: you have reached your pull rate limit"), "{err}");
}

/// skopeo, whose logins lie in `folder`.
fn skopeo(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("skopeo");
    let told = command
        .arg("--insecure-policy")
        .args(words)
        .env("REGISTRY_AUTH_FILE", folder.join("auth.json"))
        .output()
        .unwrap();
    assert!(told.status.success(), "{words:?}: {told:?}");
    String::from_utf8_lossy(&told.stdout).trim_end().to_owned()
}

#[test]
fn what_skopeo_packed_with_zstd_under_an_index_is_pulled_and_run() {
    let certificates = Certificates::for_host("localhost");
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 0.1\nauth: {{htpasswd: {{path: {}}}}}\ngantry: {{tokenservice: true}}\nhttp: {{addr: '127.0.0.1:0', tls: {{certificate: {}, key: {}}}}}\n",
        users(folder.path()),
        certificates.path("cert.pem"),
        certificates.path("key.pem")
    );
    let registry = Registry::configured(&config);
    let host = format!("localhost:{}", registry.port());
    std::fs::copy(certificates.path("cert.pem"), folder.path().join("ca.crt")).unwrap();
    let directory = folder.path().display().to_string();
    let skopeo = |words: &[&str]| skopeo(folder.path(), words);
    skopeo(&["login", "-u", "ann", "-p", "secret", "--cert-dir", &directory, &host]);
    let archive = format!("docker-archive:{}", busybox().display());
    let packed = format!("docker://{host}/team/packed:1");
    skopeo(&[
        "copy",
        "-q",
        "--dest-cert-dir",
        &directory,
        "--dest-compress-format",
        "zstd",
        "--format",
        "oci",
        &archive,
        &packed,
    ]);
    let shown = skopeo(&["inspect", "--raw", "--cert-dir", &directory, &packed]);
    assert!(shown.contains("application/vnd.oci.image.layer.v1.tar+zstd"), "{shown}");

    let there = Engine::shared(&[]);
    let name = format!("{host}/team/packed:1");
    let err = there.docker(["pull", "-q", &name]).failed();
    assert!(
        err.contains("no basic auth credentials") || err.contains("denied") || err.contains("unauthorized"),
        "{err}"
    );
    there.docker_with(["login", "-u", "ann", "--password-stdin", &host], b"secret").ok();
    there.docker(["pull", "-q", &name]).ok();
    assert_eq!(there.docker(["run", "--rm", "--network", "none", &name, "echo", "hi"]).ok(), "hi");
}
