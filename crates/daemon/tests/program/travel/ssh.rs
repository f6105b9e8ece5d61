//! Images from engine to engine over a real SSH server, without a registry.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::line::Line;
use crate::harness::{Engine, PATIENCE, busybox, gantry};

/// The distribution's SSH server on a port and with keys of its own, and an `ssh` that knows them.
struct Door {
    dir: tempfile::TempDir,
    process: Child,
    address: String,
}

impl Door {
    /// `path` is what programs are looked for in on the far side.
    fn open(path: &str) -> Door {
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

    /// Our client, which finds our `ssh`.
    fn client(&self, words: &[&str]) -> String {
        let path = format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(gantry());
        command.args(words).env("PATH", path).env("DOCKER_CONFIG", self.dir.path().join("client"));
        let told = command.env_remove("DOCKER_HOST").output().unwrap();
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

fn with_busybox() -> Engine {
    let engine = Engine::shared(&[]);
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    engine
}

#[test]
fn an_image_goes_and_comes_by_ssh_and_only_what_lacks_moves() {
    const MORE: usize = 3 << 20;
    let built = gantry().parent().unwrap().display().to_string();
    // With our program on the far side, and with Docker's client alone.
    for path in [format!("{built}:/usr/bin:/bin"), "/usr/local/bin:/usr/bin:/bin".to_owned()] {
        let door = Door::open(&path);
        let line = Line::to(&door.address);
        let (here, there) = (with_busybox(), with_busybox());
        let mut noise = vec![0; MORE];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut noise).unwrap();
        std::fs::write(here.path("noise"), &noise).unwrap();
        here.docker(["create", "--name", "box", "--network", "none", "busybox"]).ok();
        here.docker(["cp", "-q", &here.path("noise").display().to_string(), "box:/more"]).ok();
        here.docker(["commit", "box", "more:1"]).ok();
        let far = format!("ssh://root@127.0.0.1:{}{}", line.port(), there.path("gantry.sock").display());
        let id = |engine: &Engine| engine.docker(["images", "-q", "--no-trunc", "more:1"]).ok();

        let said = door.client(&["-H", &here.host(), "image", "copy", "more:1", &far]);
        assert!(said.starts_with("more:1: 1 of 2 layers to copy\n"), "{said}");
        assert_eq!(id(&here), id(&there));
        assert_eq!(there.docker(["run", "--rm", "--network", "none", "more:1", "ls", "/more"]).ok(), "/more");

        here.docker(["rm", "box"]).ok();
        here.docker(["rmi", "more:1"]).ok();
        let before = line.came();
        let said = door.client(&["-H", &here.host(), "image", "copy", "--from", &far, "-q", "more:1"]);
        assert_eq!(said, "more:1");
        assert_eq!(id(&here), id(&there));
        // The layer of random bytes, and not busybox's, which is as large as a third of it.
        let came = line.came() - before;
        assert!(came > MORE as u64 && came < MORE as u64 + 700_000, "{came} bytes came");

        let before = line.came();
        let said = door.client(&["-H", &here.host(), "image", "copy", "--from", &far, "more:1"]);
        assert!(said.starts_with("more:1: 0 of 2 layers to copy\n"), "{said}");
        assert!(line.came() - before < 200_000, "{} bytes came for nothing", line.came() - before);
    }
}
