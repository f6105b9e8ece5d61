//! The distribution's SSH server for one test, and a client that knows its keys.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, gantry};

/// The distribution's SSH server on a port and with keys of its own, and an `ssh` that knows them.
pub struct Door {
    dir: tempfile::TempDir,
    process: Child,
    /// Where it listens.
    pub address: String,
}

impl Door {
    /// `path` is what programs are looked for in on the far side.
    pub fn open(path: &str) -> Door {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for key in ["host", "mine"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
            assert!(made.unwrap().success());
        }
        let public = std::fs::read_to_string(at("mine.pub")).unwrap();
        std::fs::write(at("known"), format!("environment=\"PATH={path}\" {public}")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let port = address.rsplit_once(':').unwrap().1;
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             PermitRootLogin yes\nPermitUserEnvironment yes\nPasswordAuthentication no\nMaxStartups 100\nUsePAM no\n",
            at("host"),
            at("known")
        );
        std::fs::write(at("config"), config).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f", &at("config")]).stdin(Stdio::null());
        let process =
            command.stderr(std::fs::File::create(at("log")).unwrap()).spawn().expect("sshd is installed");
        std::fs::create_dir(at("bin")).unwrap();
        std::fs::write(
            at("bin/ssh"),
            format!(
                "#!/bin/sh\nexec /usr/bin/ssh -F /dev/null -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                 -o LogLevel=ERROR \"$@\"\n",
                at("mine")
            ),
        )
        .unwrap();
        std::fs::set_permissions(at("bin/ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Door { dir, process, address }
    }

    /// A client that finds our `ssh`, and no other engine.
    pub fn command(&self, program: &Path, words: &[&str]) -> Command {
        let path = format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.args(words).env("PATH", path).env("DOCKER_CONFIG", self.dir.path().join("client"));
        command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").stdin(Stdio::null());
        command
    }

    /// The port it listens at.
    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    /// Our client's output.
    pub fn client(&self, words: &[&str]) -> String {
        let told = self.command(&gantry(), words).output().unwrap();
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(told.status.success(), "{words:?}: {told:?}\n{log}");
        String::from_utf8_lossy(&told.stdout).trim_end().to_owned()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It is our own child; one that is gone already needs no stopping.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}
