//! Every command and flag of Docker's client is one of ours, but for a list that is told here and may only shrink.

use std::collections::BTreeSet;

/// Commands of Docker's that we leave to others: `bake` belongs to the buildx plugin.
const ELSEWHERE: &[&str] = &["bake"];

/// Flags that are not there yet: the cluster's services take many settings, and they come with the cluster.
const WAITING: &[&str] = &["service create", "service update"];

fn commands() -> BTreeSet<String> {
    let listed = include_str!("commands.txt");
    listed.lines().filter_map(|l| l.trim().strip_prefix("docker ").map(str::to_owned)).collect()
}

#[test]
fn every_command_of_dockers_is_there() {
    let ours: BTreeSet<String> = gantry_cli::command_paths().into_iter().collect();
    let missing: Vec<String> =
        commands().into_iter().filter(|c| !ours.contains(c) && !ELSEWHERE.contains(&c.as_str())).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_flag_of_dockers_is_there() {
    let mut missing = Vec::new();
    let mut total = 0;
    for line in include_str!("flags.tsv").lines() {
        let Some((command, flag)) = line.split_once('\t') else { continue };
        if ELSEWHERE.contains(&command) || WAITING.contains(&command) {
            continue;
        }
        total += 1;
        match gantry_cli::command_flags(command) {
            Some(flags) if flags.contains(&flag) => {}
            _ => missing.push(format!("{command} --{flag}")),
        }
    }
    assert!(total > 800, "the list of flags shrank to {total}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Compose's own that we tell as not supported: the verb answers with a sentence, what would be below it is not there.
const TOLD: &[&str] = &["compose alpha ", "compose bridge "];

#[test]
fn every_command_of_composes_is_there() {
    let ours: BTreeSet<String> = gantry_cli::command_paths().into_iter().collect();
    let listed = include_str!("compose-commands.txt").lines();
    let listed: Vec<&str> = listed.filter_map(|l| l.trim().strip_prefix("docker ")).collect();
    assert!(listed.len() > 40, "the list of commands shrank to {}", listed.len());
    let told = |command: &&&str| TOLD.iter().any(|prefix| command.starts_with(prefix));
    let missing: Vec<&&str> = listed.iter().filter(|c| !told(c)).filter(|c| !ours.contains(**c)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
