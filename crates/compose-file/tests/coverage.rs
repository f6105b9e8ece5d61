//! The list of Compose's attributes against what the loader does with each. Run with `--nocapture` to read the counts.

use std::collections::BTreeMap;

use gantry_compose_file::coverage::{Standing, standing};

const CHECKLIST: &str = include_str!("../../../tests/checklists/compose-attributes.tsv");

#[test]
fn every_attribute_of_the_list_is_honoured_or_told() {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut missing = Vec::new();
    for line in CHECKLIST.lines() {
        let (path, name) = line.split_once('\t').unwrap_or_else(|| panic!("not a line of the list: {line}"));
        let word = match standing(path, name) {
            Standing::Honoured => "honoured",
            Standing::Told(reason) => {
                println!("told     {path}.{name}: {reason}");
                "told"
            }
            Standing::Missing => {
                missing.push(format!("{path}.{name}"));
                "missing"
            }
        };
        *counts.entry((path.split('.').next().unwrap_or_default(), word)).or_default() += 1;
    }
    for ((area, word), count) in &counts {
        println!("{area:10} {word:9} {count}");
    }
    assert!(counts.values().sum::<usize>() > 300, "the list is short: {counts:?}");
    assert!(missing.is_empty(), "missing: {missing:?}");
}

#[test]
fn what_compose_does_not_have_is_missing() {
    assert_eq!(standing("service", "imge"), Standing::Missing);
    assert_eq!(standing("service.deploy.resources", "limit"), Standing::Missing);
    assert_eq!(standing("nonsense", "name"), Standing::Missing);
}
