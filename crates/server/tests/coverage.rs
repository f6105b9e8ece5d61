//! The list of Docker's endpoints against what this server answers. Run with `--nocapture` to read the list.

use gantry_server::{Coverage, coverage};
use std::collections::BTreeMap;

const CHECKLIST: &str = include_str!("../../../tests/checklists/engine-api-endpoints.tsv");

/// Areas that must be answered by the engine itself; in the others a reason is an answer.
const OURS: &[&str] = &["Container", "Exec", "Volume", "Network"];

/// Endpoints of our areas that another part of the house brings.
const ELSEWHERE: &[&str] = &["/images/search", "/images/{name}/push", "/build", "/auth"];

#[test]
fn every_endpoint_of_the_list_is_answered() {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut missing = Vec::new();
    for line in CHECKLIST.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(area), Some(method), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            panic!("not a line of the list: {line}")
        };
        let word = match coverage(method, path) {
            Coverage::Implemented => "implemented",
            Coverage::Refused(reason) => {
                println!("refused  {method:6} {path}: {reason}");
                let must = OURS.contains(&area)
                    || (matches!(area, "Image" | "System") && !ELSEWHERE.contains(&path));
                assert!(!must, "{method} {path} must not be refused");
                "refused"
            }
            Coverage::Missing => {
                missing.push(format!("{method} {path}"));
                "missing"
            }
        };
        *counts.entry((area, word)).or_default() += 1;
    }
    for ((area, word), count) in counts {
        println!("{area:12} {word:12} {count}");
    }
    assert!(missing.is_empty(), "missing: {missing:?}");
}

#[test]
fn what_docker_does_not_have_is_missing() {
    assert_eq!(coverage("GET", "/nonsense"), Coverage::Missing);
    assert_eq!(coverage("PATCH", "/containers/json"), Coverage::Missing);
}
