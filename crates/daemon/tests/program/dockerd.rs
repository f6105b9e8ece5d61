//! Called as `dockerd`, with every flag that Docker's help (28.5) lists.

use crate::harness::{Engine, gantry};
use std::process::{Command, Output};

const KEYS: &str = include_str!("../../../../tests/checklists/daemon-keys.txt");
const FLAGS: &str = include_str!("../../../../tests/checklists/dockerd-flags.tsv");

/// The flags whose meaning is this, each with a value.
fn words(meaning: &str) -> Vec<&'static str> {
    let lines = FLAGS.lines().skip(1).map(|line| line.split_once('\t').expect("word and meaning"));
    lines.filter(|(_, means)| *means == meaning).map(|(word, _)| word).collect()
}

struct Dockerd(tempfile::TempDir);

impl Dockerd {
    fn new() -> Dockerd {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(gantry(), folder.path().join("dockerd")).unwrap();
        Dockerd(folder)
    }

    fn validate(&self, word: &str) -> Output {
        Command::new(self.0.path().join("dockerd")).arg(word).arg("--validate").output().unwrap()
    }
}

#[test]
fn every_flag_is_taken_or_refused_with_its_reason() {
    let dockerd = Dockerd::new();
    for word in words("kept").into_iter().chain(words("told")) {
        let said = dockerd.validate(word);
        assert!(said.status.success(), "{word}: {said:?}");
        assert_eq!(String::from_utf8_lossy(&said.stderr), "configuration OK\n", "{word}");
    }
    for word in words("refused") {
        let said = dockerd.validate(word);
        let flag = word.split('=').next().unwrap();
        assert_eq!(said.status.code(), Some(1), "{word}: {said:?}");
        assert!(String::from_utf8_lossy(&said.stderr).contains(&format!("{flag}: ")), "{word}: {said:?}");
    }
    let unknown = dockerd.validate("--no-such-flag");
    assert_eq!(unknown.status.code(), Some(125), "{unknown:?}");
}

/// Every key that Docker's own engine (28.5) takes in its file.
#[test]
fn every_key_of_the_file_is_taken_and_wrong_ones_are_named() {
    let dockerd = Dockerd::new();
    let file = dockerd.0.path().join("daemon.json");
    let validate = |text: &str| {
        std::fs::write(&file, text).unwrap();
        dockerd.validate(&format!("--config-file={}", file.display()))
    };
    for line in KEYS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let said = validate(&format!("{{{line}}}"));
        assert!(said.status.success(), "{line}: {}", String::from_utf8_lossy(&said.stderr));
    }
    for (line, wanted) in [
        (r#""nope": 1"#, "nope"),
        (r#""debug": "yes""#, "debug"),
        (r#""runtimes": {"x": {"runtimeType": "io.containerd.kata.v2"}}"#, "io.containerd.kata.v2"),
        (r#""log-level": "loud""#, "loud"),
    ] {
        let said = validate(&format!("{{{line}}}"));
        assert_eq!(said.status.code(), Some(1), "{line}");
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(told.contains(wanted), "{line}: {told}");
    }
}

#[test]
fn what_means_nothing_here_is_told_in_the_log() {
    let told = words("told");
    let engine = Engine::empty(&told);
    let log = engine.log();
    for word in told {
        let flag = word.split('=').next().unwrap();
        let lines = log.lines().filter(|line| line.contains(&format!("{flag} has no effect: "))).count();
        assert_eq!(lines, 1, "{word}\n{log}");
    }
}
