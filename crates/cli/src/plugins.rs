//! CLI plugins: programs called `docker-<name>` in the plugin folders, run as `gantry <name>`.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Our name as a plugin of Docker's client.
pub const OWN_NAME: &str = "docker-gantry";

/// What Docker's client asks every plugin first, answered; otherwise `args` loses the word that names us.
pub fn called(args: &mut Vec<String>) -> Option<String> {
    if args.first().is_some_and(|word| word == "docker-cli-plugin-metadata") {
        let metadata = serde_json::json!({
            "SchemaVersion": "0.1.0",
            "Vendor": "Gantry",
            "Version": env!("CARGO_PKG_VERSION"),
            "ShortDescription": "Everything of Gantry's client, on Docker's engine",
        });
        return Some(metadata.to_string());
    }
    // Flags of Docker's own come before it.
    if let Some(at) = args.iter().position(|word| word == "gantry") {
        args.remove(at);
    }
    None
}

/// Where distributions put plugins.
const SYSTEM_DIRS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// The plugin called `name`, if it is installed.
pub fn find(session: &Session, name: &str) -> Option<PathBuf> {
    // The name becomes part of a path.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return None;
    }
    let mut dirs = vec![session.config_dir().join("cli-plugins")];
    dirs.extend(session.config().list("cliPluginsExtraDirs").into_iter().map(PathBuf::from));
    dirs.extend(SYSTEM_DIRS.iter().map(PathBuf::from));
    dirs.iter().map(|dir| dir.join(format!("docker-{name}"))).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Becomes the plugin. It finds the engine through the environment, as we do.
pub fn run(session: &Session, name: &str, args: &[String]) -> Outcome {
    let Some(path) = find(session, name) else {
        return Err(Failure::text(1, format!("no plugin called {name}")));
    };
    let mut command = std::process::Command::new(&path);
    command.args(args);
    if let Ok(program) = std::env::current_exe() {
        command.env("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", program);
    }
    command.envs([session.engine_variable()]);
    let err = command.exec();
    Err(Failure::text(1, format!("{}: {}", path.display(), crate::terminal::io_text(&err))))
}
