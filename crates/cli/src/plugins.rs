//! CLI plugins: programs called `docker-<name>` in the plugin folders, run as `gantry <name>`.

mod answer;
mod listed;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::commands::ROOT;
use crate::failure::{Failure, Outcome};
use crate::flags;
use crate::session::Session;

pub use listed::{Plugin, listed};

/// Our name as a plugin of Docker's client.
pub const OWN_NAME: &str = "docker-gantry";

/// The word with which Docker's client asks a plugin what it is.
pub(crate) const ASKED: &str = "docker-cli-plugin-metadata";

/// What Docker's client asks every plugin first, answered; otherwise `args` loses the word that names us.
pub fn called(args: &mut Vec<String>) -> Option<String> {
    if args.first().is_some_and(|word| word == ASKED) {
        let metadata = serde_json::json!({
            "SchemaVersion": "0.1.0",
            "Vendor": "Gantry",
            "Version": env!("CARGO_PKG_VERSION"),
            "ShortDescription": "Everything of Gantry's client, on Docker's engine",
        });
        return Some(metadata.to_string());
    }
    // Flags of Docker's own come before it, and a context may be called gantry, too. Wrong ones are told later.
    let words = flags::parse(ROOT.flags, false, args).map_or(0, |parsed| parsed.words.len());
    let at = args.len() - words;
    if args.get(at).is_some_and(|word| word == "gantry") {
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

/// The folders of plugins; what is in an earlier one hides the same name in a later one.
fn folders(session: &Session) -> Vec<PathBuf> {
    let mut dirs = vec![session.config_dir().join("cli-plugins")];
    dirs.extend(session.config().list("cliPluginsExtraDirs").into_iter().map(PathBuf::from));
    dirs.extend(SYSTEM_DIRS.iter().map(PathBuf::from));
    dirs
}

/// The plugin called `name`, if it is installed.
pub fn find(session: &Session, name: &str) -> Option<PathBuf> {
    // The name becomes part of a path.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return None;
    }
    folders(session).iter().map(|dir| dir.join(format!("docker-{name}"))).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Whether the installed plugin `name` comes before our own command of that name: buildx does, which has more verbs than
/// we, and what the configuration names, with commas between: `"plugins": {"gantry": {"prefer": "compose"}}`.
pub fn is_preferred(session: &Session, name: &str) -> bool {
    let asked = || {
        let wanted = session.config().object("plugins").map(|plugins| &plugins["gantry"]["prefer"]);
        wanted
            .and_then(|names| names.as_str())
            .is_some_and(|names| names.split(',').any(|n| n.trim() == name))
    };
    (name == "buildx" || (matches!(name, "compose" | "bake") && asked())) && find(session, name).is_some()
}

/// The words with the configuration's alias for the first: Docker has `"aliases": {"builder": "buildx"}`, and no other.
pub fn aliased(session: &Session, mut words: Vec<String>) -> Result<Vec<String>, Failure> {
    for (name, target) in session.config().pairs("aliases") {
        if name != "builder" {
            return Err(format!("not allowed to alias {name:?} (allowed: \"builder\")").into());
        }
        if words.first() == Some(&name) {
            words.splice(..1, target.split_whitespace().map(str::to_owned));
            break;
        }
    }
    Ok(words)
}

/// Becomes the plugin. It gets the command line from the first flag on, as from Docker's client, and the engine by the
/// environment, because its idea of a default engine may be another.
pub fn run(session: &Session, name: &str, args: &[String]) -> Outcome {
    let Some(path) = find(session, name) else {
        return Err(Failure::text(1, format!("no plugin called {name}")));
    };
    let mut command = std::process::Command::new(&path);
    command.args(session.typed()).args(args);
    if let Ok(program) = std::env::current_exe() {
        command.env("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", program);
    }
    command.envs([session.engine_variable()]);
    let err = command.exec();
    Err(Failure::text(1, format!("{}: {}", path.display(), crate::terminal::io_text(&err))))
}
