//! `top`: the container's processes, as the host's `ps` shows them.

use std::collections::HashSet;

use crate::admission::Verb;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};

/// A table of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Top {
    /// Column heads.
    pub titles: Vec<String>,
    /// Rows.
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists a container's processes with `ps` and these arguments (`-ef` without any).
    pub async fn container_top(&self, name: &str, ps_args: &str) -> Result<Top> {
        let container = self.find(name)?;
        let record = container.admit(Verb::Top)?;
        let args = if ps_args.trim().is_empty() { "-ef" } else { ps_args };
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        refuse_own_pids(&args)?;
        let first = record.state.process().map_or(0, |process| process.pid);
        let pids = blocking(move || pids_of(first)).await;
        let output = tokio::process::Command::new("ps").args(&args).output().await;
        let output = output.map_err(|err| Error::Unavailable(format!("Error running ps: {err}")))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            // What follows is the program's usage.
            let first = told.lines().next().unwrap_or_default();
            return Err(Error::Invalid(format!("ps: {first}")));
        }
        let top = parse(&String::from_utf8_lossy(&output.stdout), &pids)?;
        self.container_event(&record, "top", &[]);
        Ok(top)
    }
}

/// `ps -o pid=NAME` would hide the column that is looked for.
fn refuse_own_pids(args: &[String]) -> Result<()> {
    match args.iter().any(|arg| arg.contains("pid=")) {
        true => Err(Error::Invalid("specifying custom ps column titles for pid is not supported".to_owned())),
        false => Ok(()),
    }
}

/// Everything in the cgroup of a process.
fn pids_of(first: i32) -> HashSet<i32> {
    let mut all = HashSet::from([first]);
    let table = std::fs::read_to_string(format!("/proc/{first}/cgroup")).unwrap_or_default();
    for line in table.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let place = match controllers {
            "" => ["/sys/fs/cgroup".to_owned() + path, "/sys/fs/cgroup/unified".to_owned() + path],
            names => [
                format!("/sys/fs/cgroup/{names}{path}"),
                format!("/sys/fs/cgroup/{}{path}", names.trim_start_matches("name=")),
            ],
        };
        for dir in place {
            let text = std::fs::read_to_string(format!("{dir}/cgroup.procs")).unwrap_or_default();
            // The root group holds the whole host.
            if path != "/" {
                all.extend(text.lines().filter_map(|pid| pid.parse::<i32>().ok()));
            }
        }
    }
    all
}

/// Keeps the rows of these processes; the last column takes the rest of its line.
fn parse(text: &str, pids: &HashSet<i32>) -> Result<Top> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let place = titles.iter().position(|title| title == "PID");
    let place = place.ok_or_else(|| Error::Invalid("Couldn't find PID field in ps output".to_owned()))?;
    let mut processes = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(Ok(pid)) = words.get(place).map(|word| word.parse::<i32>()) else { continue };
        if !pids.contains(&pid) {
            continue;
        }
        let (front, rest) = words.split_at(words.len().min(titles.len().saturating_sub(1)));
        let mut row: Vec<String> = front.iter().map(|word| (*word).to_owned()).collect();
        row.push(rest.join(" "));
        processes.push(row);
    }
    Ok(Top { titles, processes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_rows_are_kept_and_commands_stay_whole() {
        let text = "UID PID CMD\nroot 1 init\nroot 7 sleep 100 years\n";
        let top = parse(text, &HashSet::from([7])).unwrap();
        assert_eq!(top.titles, ["UID", "PID", "CMD"]);
        assert_eq!(top.processes, [["root", "7", "sleep 100 years"]]);
        assert!(parse("UID CMD\n", &HashSet::new()).is_err());
    }
}
