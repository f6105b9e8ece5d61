//! What a person reads: help, manual, and the answer to a slip of the finger.

use std::path::Path;
use std::process::Command;

use super::said;
use crate::harness::{Said, gantry};

fn ours(args: &[&str]) -> Said {
    let mut command = Command::new(gantry());
    command.args(args).env("COLUMNS", "80");
    said(command)
}

/// Every command by its words, read from the help itself.
fn commands(path: &[String], found: &mut Vec<Vec<String>>) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let text = ours(&args).ok();
    let mut shelf = false;
    for line in text.lines() {
        if !line.starts_with(' ') {
            shelf = line.ends_with("Commands:");
            continue;
        }
        let Some(word) = line.split_whitespace().next().filter(|_| shelf) else { continue };
        let is_plugin = word.ends_with('*');
        // The engine and the registry have their flags' own help.
        if !(is_plugin || path.is_empty() && ["daemon", "registry"].contains(&word)) {
            let below = [path, &[word.to_owned()]].concat();
            commands(&below, found);
            found.push(below);
        }
    }
}

#[test]
fn every_command_has_help_that_fits() {
    let mut found = Vec::new();
    commands(&[], &mut found);
    assert!(found.len() > 200, "{}", found.len());
    for path in found {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let text = ours(&args).ok();
        assert!(text.starts_with("Usage:  gantry ") && text.lines().count() > 2, "{path:?}\n{text}");
        for line in text.lines() {
            assert!(!line.ends_with(' ') && line.chars().count() <= 160, "{path:?}: {line:?}");
        }
    }
}

#[test]
fn a_slip_of_the_finger_gets_the_right_word() {
    for (typed, meant) in [
        (&["rnu"][..], "Did you mean 'gantry run'?"),
        (&["container", "insepct", "x"], "Did you mean 'gantry container inspect'?"),
        (&["run", "--intractive", "busybox"], "Did you mean --interactive?"),
        (&["compose", "lgos"], "logs"),
        (&["network", "conect"], "Did you mean 'gantry network connect'?"),
    ] {
        let complaint = ours(typed).failed();
        assert!(complaint.contains(meant), "{typed:?}: {complaint}");
    }
}

/// The pages are what `man` expects: groff, with all its warnings, has none.
#[test]
fn the_manual_renders_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    ours(&["docs", "man", &at]).ok();
    let pages: Vec<_> = std::fs::read_dir(&at).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(pages.len() > 200, "{}", pages.len());
    let mut groff = Command::new("groff");
    groff.args(["-ww", "-man", "-Tutf8", "-Kutf8"]).args(&pages);
    let told = said(groff);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    // Bold letters may come twice, with a step back between them.
    let mut text = String::new();
    for letter in told.stdout.chars() {
        match letter {
            '\u{8}' => drop(text.pop()),
            letter => text.push(letter),
        }
    }
    for words in
        ["GANTRY-RUN", "SYNOPSIS", "--read-only", "EXAMPLES", "gantry run -it --rm debian bash", "SEE ALSO"]
    {
        assert!(text.contains(words), "{words}");
    }
}

/// Every link of the reference leads somewhere, and every command has its page.
#[test]
fn the_reference_has_no_dead_link() {
    let folder = tempfile::tempdir().unwrap();
    ours(&["docs", "markdown", &folder.path().display().to_string()]).ok();
    let mut links = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            links += 1;
            assert!(
                folder.path().join(target).exists() || target.contains("://"),
                "{}: {target}",
                file.display()
            );
        }
    }
    assert!(links > 150, "{links}");
    assert!(Path::new(&folder.path().join("gantry-compose-up.md")).exists());
}
