//! Images from engine to engine over a real SSH server, without a registry.

use super::line::Line;
use crate::harness::{Engine, gantry};
use crate::sshd::Door;

#[test]
fn an_image_goes_and_comes_by_ssh_and_only_what_lacks_moves() {
    const MORE: usize = 3 << 20;
    let built = gantry().parent().unwrap().display().to_string();
    // With our program on the far side, and with Docker's client alone.
    for path in [format!("{built}:/usr/bin:/bin"), "/usr/local/bin:/usr/bin:/bin".to_owned()] {
        let door = Door::open(&path);
        let line = Line::to(&door.address);
        let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]).with_busybox());
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
