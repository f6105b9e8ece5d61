//! Projects: our `compose` and Docker's own on one engine, each taking over what the other made.

mod bad_days;
mod build;
mod far;
mod first;
mod life;
mod takeover;
mod verbs;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Engine, Said, gantry};

/// A project's folder on an engine of its own.
pub struct Project {
    pub engine: Engine,
    dir: PathBuf,
}

impl Project {
    /// An engine, and a folder called `app` with this compose file in it.
    pub fn new(file: &str) -> Project {
        Project::on(Engine::start(), file)
    }

    /// The same on this engine.
    pub fn on(engine: Engine, file: &str) -> Project {
        let dir = engine.path("app");
        std::fs::create_dir(&dir).expect("a folder can be made");
        let project = Project { engine, dir };
        project.write("compose.yaml", file);
        project
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).expect("a file can be written");
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command on this engine in the project's folder.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).env("DOCKER_HOST", self.engine.host());
        command.env("DOCKER_CONFIG", self.engine.path("client")).env("HOME", self.engine.path(""));
        command.env_remove("DOCKER_CONTEXT").env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROJECT_NAME");
        command.stdin(Stdio::null());
        command
    }

    /// Our program under the name `docker-compose`.
    pub fn program(&self) -> PathBuf {
        self.called("docker-compose")
    }

    /// Our program under a name.
    pub fn called(&self, name: &str) -> PathBuf {
        let link = self.engine.path(name);
        if !link.exists() {
            std::os::unix::fs::symlink(gantry(), &link).expect("a link can be made");
        }
        link
    }

    /// A command of ours.
    pub fn compose<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        said(self.command(&self.program()).args(args))
    }

    /// A container's id and whatever else `format` asks for.
    pub fn inspect(&self, name: &str, format: &str) -> String {
        self.engine.inspect(name, format)
    }

    /// The ids of the project's containers, by name.
    pub fn ids(&self) -> Vec<String> {
        let listed = self.engine.docker(["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]).ok();
        let mut ids: Vec<String> = listed.lines().map(str::to_owned).collect();
        ids.sort();
        ids
    }
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let output = command.output().expect("it can be started");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
