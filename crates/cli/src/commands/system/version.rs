//! `version`: ours and the engine's.

use serde_json::{Value, json};

use crate::command::{COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, text};
use crate::format::{Listing, aligned};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("format", "Format of the output: 'json' or a Go template").short('f')];

pub static VERSION: Command = Command {
    usage: "[OPTIONS]",
    short: "Show the version information",
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    if !m.text("format").is_empty() && m.text("format") != "json" {
        crate::format::template(m.text("format"))?;
    }
    let client = s.client()?;
    let answer = client.server_version().await;
    let version = client.version().await.unwrap_or_else(|_| gantry_client::NEWEST_API.into());
    let mut all = json!({
        "Client": {
            "Version": env!("CARGO_PKG_VERSION"),
            "ApiVersion": version,
            "DefaultAPIVersion": gantry_client::NEWEST_API,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": arch(),
            "BuildTime": "",
            "Context": s.context_name(),
        },
        "Server": Value::Null,
    });
    if let Ok(server) = &answer {
        all["Server"] = server.clone();
    }
    match m.text("format") {
        "" => print::out(&pretty(&all)),
        format => print::line(&Listing::json(format, &all).map_err(super::info::bare)?),
    }
    match answer {
        Ok(_) => Ok(()),
        Err(err) => Err(Failure::from(err)),
    }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn pretty(all: &Value) -> String {
    let word = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let client = &all["Client"];
    let (mine, newest) = (word(client, "ApiVersion"), word(client, "DefaultAPIVersion"));
    let api = if mine == newest { mine } else { format!("{mine} (downgraded from {newest})") };
    let mut out = String::from("Client:\n");
    out.push_str(&format!(" Version:\t{}\n API version:\t{api}\n", word(client, "Version")));
    out.push_str(&format!(" OS/Arch:\t{}/{}\n", word(client, "Os"), word(client, "Arch")));
    out.push_str(&format!(" Context:\t{}\n", word(client, "Context")));
    let server = &all["Server"];
    if server.is_object() {
        let platform = server["Platform"]["Name"].as_str().unwrap_or_default();
        out.push_str(&format!(
            "\nServer:{}\n",
            if platform.is_empty() { String::new() } else { format!(" {platform}") }
        ));
        for component in server["Components"].as_array().into_iter().flatten() {
            let detail = |key: &str| word(&component["Details"], key);
            out.push_str(&format!(
                " {}:\n  Version:\t{}\n",
                word(component, "Name"),
                word(component, "Version")
            ));
            if component["Name"] == "Engine" {
                out.push_str(&format!(
                    "  API version:\t{} (minimum version {})\n",
                    detail("ApiVersion"),
                    detail("MinAPIVersion")
                ));
                for (key, title) in
                    [("GoVersion", "Go version"), ("GitCommit", "Git commit"), ("BuildTime", "Built")]
                {
                    if !detail(key).is_empty() {
                        out.push_str(&format!("  {title}:\t{}\n", detail(key)));
                    }
                }
                out.push_str(&format!("  OS/Arch:\t{}/{}\n", detail("Os"), detail("Arch")));
                out.push_str(&format!("  Experimental:\t{}\n", detail("Experimental")));
            } else {
                out.push_str(&format!("  GitCommit:\t{}\n", detail("GitCommit")));
            }
        }
    }
    aligned(&out, 19, 1)
}
