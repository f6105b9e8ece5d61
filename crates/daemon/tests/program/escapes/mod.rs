//! Escapes that were published for runc, containerd, Docker and BuildKit, tried on this engine: each has a test that
//! shows it shut. Every test names its CVE; `docs/security.md` lists them.

mod build;
mod depth;
mod door;
mod image;
mod links;
mod proc;
mod rights;
mod runtime;
mod strangers;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Engine, Said};

/// Runs a script in a throw-away container, with these flags of `docker run`.
fn run(engine: &Engine, flags: &[&str], script: &str) -> Said {
    let all = ["run", "--rm", "--network", "none"].into_iter().chain(flags.iter().copied());
    engine.docker(all.chain(["busybox", "sh", "-c", script]))
}

/// Makes an image of busybox, spoilt by `spoil`; `changes` are Dockerfile instructions.
fn hostile_image(engine: &Engine, name: &str, changes: &[&str], spoil: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["bin", "etc", "tmp"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    std::fs::set_permissions(root.join("bin/busybox"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["sh", "cat", "ls", "id", "sleep", "true", "readlink", "grep", "ln", "mv", "rm", "stat"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    spoil(root);
    let tar =
        Command::new("tar").arg("-C").arg(root).args(["-c", "."]).stdout(Stdio::piped()).output().unwrap();
    assert!(tar.status.success());
    let changes = changes.iter().flat_map(|change| ["-c", *change]);
    let args = ["import"].into_iter().chain(changes).chain(["-", name]);
    engine.docker_with(args, &tar.stdout).ok();
}
