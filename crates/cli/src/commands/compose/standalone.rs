//! The names under which `compose` is a program of its own: `docker-compose`, `fig`, and Docker's plugin.

use serde_json::json;

use gantry_compose::labels::SPOKEN;

/// How the program was called.
#[derive(Debug, PartialEq, Eq)]
pub enum Called {
    /// As `docker-compose` or `fig`: flags of the connection, and the rest.
    Program {
        /// Flags that say where the engine is.
        connection: Vec<String>,
        /// `compose`'s own words.
        words: Vec<String>,
    },
    /// Docker asks what plugin this is.
    Metadata(String),
}

/// Flags of `docker` itself that `docker-compose` takes as well: those with a value, and switches.
const WITH_VALUE: [&str; 10] = [
    "--tlscacert",
    "--tlscert",
    "--tlskey",
    "--host",
    "-H",
    "--context",
    "-c",
    "--log-level",
    "-l",
    "--config",
];
const SWITCHES: [&str; 4] = ["--debug", "-D", "--tls", "--tlsverify"];

/// Takes the command line of `docker-compose`, `fig` or the plugin apart.
pub fn called(args: &[String]) -> Called {
    if args.first().is_some_and(|word| word == "docker-cli-plugin-metadata") {
        let metadata = json!({
            "SchemaVersion": "0.1.0",
            "Vendor": "Gantry",
            "Version": format!("v{SPOKEN}"),
            "ShortDescription": "Docker Compose",
        });
        return Called::Metadata(metadata.to_string());
    }
    let (mut connection, mut words) = (Vec::new(), Vec::new());
    let mut rest = args.iter().peekable();
    while let Some(word) = rest.next() {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if SWITCHES.contains(&name) {
            connection.push(word.clone());
        } else if WITH_VALUE.contains(&name) {
            connection.push(word.clone());
            if name == word {
                connection.extend(rest.next().cloned());
            }
        } else if word.starts_with('-') {
            // One of compose's own; its value, when it has one, follows.
            words.push(word.clone());
            let takes = super::GLOBAL.iter().find(|f| {
                word.strip_prefix("--").is_some_and(|w| w == f.long)
                    || f.short.is_some_and(|c| *word == format!("-{c}"))
            });
            if takes.is_some_and(|f| f.kind != crate::flags::Kind::Bool) {
                words.extend(rest.next().cloned());
            }
        } else {
            // Docker calls its plugin with its own command line, from the plugin's name on.
            if word != "compose" {
                words.push(word.clone());
            }
            words.extend(rest.cloned());
            break;
        }
    }
    Called::Program { connection, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(line: &str) -> (String, String) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match called(&args) {
            Called::Program { connection, words } => (connection.join(" "), words.join(" ")),
            Called::Metadata(text) => (text, String::new()),
        }
    }

    #[test]
    fn the_engine_s_flags_are_told_from_compose_s() {
        assert_eq!(go("-f a.yml -H tcp://x:1 up -d"), ("-H tcp://x:1".into(), "-f a.yml up -d".into()));
        assert_eq!(go("--tlsverify compose -p x ps"), ("--tlsverify".into(), "-p x ps".into()));
        assert_eq!(go("run web compose -H x"), (String::new(), "run web compose -H x".into()));
        assert!(go("docker-cli-plugin-metadata").0.contains("\"SchemaVersion\":\"0.1.0\""));
    }
}
