//! An engine behind TLS, and what a client beside it says.

use std::path::Path;
use std::process::Command;

use super::said;
use crate::certificates::Authority;
use crate::harness::{Engine, Said};

/// An engine that asks everybody for a certificate.
pub struct Secured {
    pub engine: Engine,
    /// Whom it trusts.
    pub ours: Authority,
    /// A stranger.
    pub theirs: Authority,
    _dir: tempfile::TempDir,
}

impl Secured {
    /// Where it is, seen from its own network namespace.
    pub const HOST: &str = "tcp://127.0.0.1:2376";

    pub fn start() -> Secured {
        Secured::with(|ours| ours.certify("server"))
    }

    /// The same with another certificate of the engine's.
    pub fn with(certify: impl Fn(&Authority)) -> Secured {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) =
            (Authority::new(dir.path().join("ours")), Authority::new(dir.path().join("theirs")));
        certify(&ours);
        ours.certify("client");
        theirs.certify("client");
        let (ca, cert, key) =
            (ours.file("ca.pem"), ours.file("server-cert.pem"), ours.file("server-key.pem"));
        let tls = ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
        let doors = ["-H", "tcp://0.0.0.0:2376"];
        let engine = Engine::empty(&[&tls[..], &doors[..]].concat());
        let net = format!("--net=/proc/{}/ns/net", engine.pid().as_raw_nonzero());
        let up = Command::new("nsenter").args([&net, "--", "ip", "link", "set", "lo", "up"]).status();
        assert!(up.unwrap().success());
        Secured { engine, ours, theirs, _dir: dir }
    }

    /// The files of a client: authority, certificate, key.
    pub fn files(&self, who: &Authority) -> (String, String, String) {
        (who.file("ca.pem"), who.file("client-cert.pem"), who.file("client-key.pem"))
    }

    /// A folder for `DOCKER_CERT_PATH` with these of `ca.pem`, `cert.pem`, `key.pem`.
    pub fn folder(&self, name: &str, who: &Authority, wanted: &[&str]) -> String {
        let folder = self.engine.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (ca, cert, key) = self.files(who);
        for (file, from) in [("ca.pem", ca), ("cert.pem", cert), ("key.pem", key)] {
            if wanted.contains(&file) {
                std::fs::copy(Path::new(&from), folder.join(file)).unwrap();
            }
        }
        folder.display().to_string()
    }

    /// What a client beside the engine says, with these variables and no other of Docker's.
    pub fn says(&self, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Said {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.engine.pid().as_raw_nonzero()));
        command.args(["--", program]).args(args).env("HOME", self.engine.path("home"));
        for name in [
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_CONFIG",
            "DOCKER_CERT_PATH",
            "DOCKER_TLS_VERIFY",
            "DOCKER_TLS",
        ] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        said(command)
    }
}
