//! A registry for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::gantry;

/// `gantry registry serve` on a port of its own. Dropping it stops it.
pub struct Registry {
    _dir: tempfile::TempDir,
    process: Child,
    /// `127.0.0.1:<port>`.
    pub address: String,
}

impl Registry {
    pub fn start() -> Registry {
        Registry::with(&[])
    }

    pub fn with(flags: &[&str]) -> Registry {
        let dir = tempfile::Builder::new().prefix("gantry-reg-").tempdir().unwrap();
        let mut command = Command::new(gantry());
        command.args(["registry", "serve", "--addr", "127.0.0.1:0", "--root"]).arg(dir.path()).args(flags);
        let piped = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = piped.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("it says where it listens").unwrap();
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.trim().to_owned();
            }
        };
        // Somebody must read on, or it stops at a full pipe.
        std::thread::spawn(move || log.map_while(Result::ok).count());
        Registry { _dir: dir, process, address }
    }

    /// The same with this configuration.
    pub fn configured(config: &str) -> Registry {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        Registry::with(&[&file.path().display().to_string()])
    }

    /// `<address>/<name>`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is our own child; one that is gone already needs no stopping.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Certificates of one test: a server's for one host (`cert.pem`, `key.pem`), and a client's (`client.pem`,
/// `client-key.pem`). Each is its own authority.
pub struct Certificates(tempfile::TempDir);

impl Certificates {
    pub fn for_host(host: &str) -> Certificates {
        let made = Certificates(tempfile::tempdir().unwrap());
        made.make(&format!("/CN={host}"), &format!("subjectAltName=DNS:{host}"), "cert.pem", "key.pem");
        made.make("/CN=me", "extendedKeyUsage=clientAuth", "client.pem", "client-key.pem");
        made
    }

    fn make(&self, subject: &str, extension: &str, certificate: &str, key: &str) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", subject, "-addext", extension]);
        // A client's is no authority's, or it is not taken for one's own.
        if extension.starts_with("extended") {
            command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        let made =
            command.args(["-keyout", &self.path(key), "-out", &self.path(certificate)]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}
