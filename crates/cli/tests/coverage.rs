//! Every command and flag of Docker's client is one of ours, but for a list that is told here and may only shrink. Run with
//! `--nocapture` to read the counts.

use std::collections::{BTreeMap, BTreeSet};

/// Commands of Docker's that we leave to others, and to whom.
const ELSEWHERE: &[(&str, &str)] = &[("bake", "belongs to the buildx plugin")];

fn elsewhere(command: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find_map(|(name, whose)| (*name == command).then_some(*whose))
}

/// Flags that are not there yet: the cluster's services take many settings, and they come with the cluster.
const WAITING: &[&str] = &["service create", "service update"];

fn commands() -> BTreeSet<String> {
    let listed = include_str!("commands.txt");
    listed.lines().filter_map(|l| l.trim().strip_prefix("docker ").map(str::to_owned)).collect()
}

#[test]
fn every_command_of_dockers_is_there() {
    let ours: BTreeSet<String> = gantry_cli::command_paths().into_iter().collect();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut missing = Vec::new();
    for command in commands() {
        let word = match elsewhere(&command) {
            _ if ours.contains(&command) => "implemented",
            Some(reason) => {
                println!("refused  docker {command}: {reason}");
                "refused"
            }
            None => {
                missing.push(command.clone());
                "missing"
            }
        };
        let noun = command.split_once(' ').map_or("(one word)", |(noun, _)| noun);
        *counts.entry((noun.to_owned(), word)).or_default() += 1;
    }
    for ((noun, word), count) in counts {
        println!("{noun:12} {word:12} {count}");
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_flag_of_dockers_is_there() {
    let mut missing = Vec::new();
    let mut total = 0;
    for line in include_str!("flags.tsv").lines() {
        let Some((command, flag)) = line.split_once('\t') else { continue };
        if elsewhere(command).is_some() || WAITING.contains(&command) {
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

/// `compose-flags.sh` writes the list.
#[test]
fn every_flag_of_composes_is_there_with_its_letter() {
    let listed: Vec<Vec<&str>> =
        include_str!("compose-flags.tsv").lines().map(|line| line.split('\t').collect()).collect();
    assert!(listed.len() > 200, "the list of flags shrank to {}", listed.len());
    let wrong = listed.iter().filter(|line| {
        let [command, flag, letter, value] = line[..] else { return true };
        let wanted = (letter.chars().next(), !value.is_empty());
        gantry_cli::command_flag(command, flag) != Some(wanted)
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
