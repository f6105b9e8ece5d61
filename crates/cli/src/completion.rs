//! Completion: the shells ask `__complete WORDS...`, the last word being the one under the cursor.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{Command, Names, Shelf};
use crate::commands::ROOT;
use crate::failure::{Failure, Outcome};
use crate::flags::Kind;
use crate::help::SERVERS;
use crate::print;
use crate::session::Session;

/// Bash cuts words at `:` and `=`, we do not: what stands before the last of them is taken off the answers.
const BASH: &str = r#"# bash completion for PROGRAM
_PROGRAM() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n'
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    local current=${words[${#words[@]}-1]}
    IFS=$'\n'
    COMPREPLY=($("${words[0]}" __complete "${words[@]:1}" 2>/dev/null))
    local cut=${current%"${current##*[:=]}"}
    [[ -n $cut ]] && COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    return 0
}
complete -o default -F _PROGRAM PROGRAM
"#;

/// The script for a shell: it asks us for every word.
pub fn script(shell: &str, program: &str) -> Result<String, Failure> {
    match shell {
        "bash" => Ok(BASH.replace("PROGRAM", program)),
        "zsh" => Ok(format!(
            "#compdef {program}\n_{program}() {{\n    local -a found\n    found=(${{(f)\"$(\"${{words[1]}}\" __complete \"${{(@)words[2,CURRENT]}}\" 2>/dev/null)\"}})\n    if (( ${{#found}} )); then compadd -- $found; else _files; fi\n}}\ncompdef _{program} {program}\n"
        )),
        "fish" => Ok(format!(
            "# fish completion for {program}\nfunction __{program}_asks\n    set -l words (commandline -opc) (commandline -ct)\n    set -g __{program}_found ($words[1] __complete $words[2..-1] 2>/dev/null)\n    test (count $__{program}_found) -gt 0\nend\n# Files where we know nothing.\ncomplete -c {program} -f -n __{program}_asks -a '$__{program}_found'\n"
        )),
        other => Err(Failure::text(1, format!("unknown shell {other:?}: bash, zsh and fish are known"))),
    }
}

/// Prints what may stand at the last word.
pub async fn complete(session: &Session, words: &[String]) -> Outcome {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", [].as_slice()),
    };
    let (command, rest) = locate(before);
    let mut found: Vec<String> = Vec::new();
    let inline = last.split_once('=').filter(|_| last.starts_with('-'));
    if let Some((name, _)) = inline {
        if let Some(flag) = flag_of(command, name) {
            let values = flag_values(session, flag.long).await;
            found = values.into_iter().map(|value| format!("{name}={value}")).collect();
        }
    } else if last.starts_with('-') {
        for flag in command.flags.iter().flat_map(|t| t.iter()).filter(|f| !f.hidden) {
            found.push(format!("--{}", flag.long));
        }
    } else if let Some(flag) = open_flag(command, before) {
        found = flag_values(session, flag).await;
    } else if !command.below.is_empty() {
        let shown = command.below.iter().filter(|e| e.shelf != Shelf::Hidden);
        found.extend(shown.flat_map(|e| e.names.iter().map(|n| (*n).to_owned())));
        if std::ptr::eq(command, &ROOT) {
            found.extend(SERVERS.iter().map(|(name, _)| (*name).to_owned()));
        }
    } else {
        let names = match command.names {
            Names::NetworkThenContainer if rest == 0 => Names::Networks,
            Names::NetworkThenContainer => Names::Containers,
            // `run IMAGE COMMAND`: only the first word is an image when what follows is the container's own.
            Names::Images if !command.interspersed && rest > 0 => Names::Files,
            Names::Running if !command.interspersed && rest > 0 => Names::Files,
            names => names,
        };
        found = engine_names(session, names).await;
    }
    found.retain(|name| name.starts_with(last));
    found.sort();
    found.dedup();
    for name in found {
        print::line(&name);
    }
    Ok(())
}

/// The command that the words before the cursor lead to, and how many words follow it.
fn locate(words: &[String]) -> (&'static Command, usize) {
    let mut command: &'static Command = &ROOT;
    let mut plain = 0;
    let mut skip = false;
    for word in words {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word.starts_with('-') {
            skip = takes_value(command, word);
            continue;
        }
        match command.find(word) {
            Some(entry) => command = entry.command,
            None => plain += 1,
        }
    }
    (command, plain)
}

fn flag_of(command: &Command, word: &str) -> Option<&'static crate::flags::Flag> {
    let tables = command.flags.iter().flat_map(|t| t.iter());
    match word.strip_prefix("--") {
        Some(long) => tables.into_iter().find(|f| f.long == long),
        None => {
            let letter = word.chars().last()?;
            tables.into_iter().find(|f| f.short == Some(letter))
        }
    }
}

fn takes_value(command: &Command, word: &str) -> bool {
    !word.contains('=') && flag_of(command, word).is_some_and(|f| f.kind != Kind::Bool)
}

fn open_flag(command: &Command, before: &[String]) -> Option<&'static str> {
    let word = before.last().filter(|w| w.starts_with('-'))?;
    flag_of(command, word).filter(|f| f.kind != Kind::Bool && !word.contains('=')).map(|f| f.long)
}

async fn flag_values(session: &Session, flag: &str) -> Vec<String> {
    let fixed: &[&str] = match flag {
        "network" | "net" => return engine_names(session, Names::Networks).await,
        "volumes-from" | "link" => return engine_names(session, Names::Containers).await,
        "context" => return engine_names(session, Names::Contexts).await,
        "restart" => &["always", "no", "on-failure", "unless-stopped"],
        "pull" => &["always", "missing", "never"],
        "log-driver" => &["json-file", "local", "none"],
        "signal" => &["SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"],
        "format" => &["json", "table"],
        "progress" => &["auto", "plain", "quiet", "rawjson", "tty"],
        "type" => &["container", "image", "network", "volume"],
        _ => &[],
    };
    fixed.iter().map(|s| (*s).to_owned()).collect()
}

/// Names from the engine; an engine that is away completes nothing.
async fn engine_names(session: &Session, names: Names) -> Vec<String> {
    if names == Names::Contexts {
        let mut out: Vec<String> = session.contexts().list().into_iter().map(|c| c.name).collect();
        out.push("default".into());
        return out;
    }
    let Ok(client) = session.client() else { return Vec::new() };
    let text = |v: &Value| v.as_str().map(str::to_owned);
    match names {
        Names::Containers | Names::Running => {
            let query = Query::new().flag("all", names == Names::Containers);
            let list = client.container_list(query).await.unwrap_or_default();
            let first = |c: &Value| Some(text(&c["Names"][0])?.trim_start_matches('/').to_owned());
            list.iter().filter_map(first).collect()
        }
        Names::Images => {
            let list = client.image_list(Query::new()).await.unwrap_or_default();
            let tags = |i: &Value| i["RepoTags"].as_array().cloned().unwrap_or_default();
            list.iter().flat_map(tags).filter_map(|t| text(&t)).filter(|t| !t.contains("<none>")).collect()
        }
        Names::Volumes => {
            let answer = client.volume_list(Query::new()).await.unwrap_or_default();
            let list = answer["Volumes"].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|v| text(&v["Name"])).collect()
        }
        Names::Networks => {
            let list = client.network_list(Query::new()).await.unwrap_or_default();
            list.iter().filter_map(|n| text(&n["Name"])).collect()
        }
        _ => Vec::new(),
    }
}
