use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Form, Shown};

/// The entries of a mapping in the order the form has: bytes for JSON, people's for YAML.
pub(super) fn sorted<T>(
    map: &BTreeMap<String, T>,
    form: Form,
    show: impl Fn(&str, &T) -> Shown,
) -> Vec<(String, Shown)> {
    let mut keys: Vec<&String> = map.keys().collect();
    if form == Form::Yaml {
        keys.sort_by(|a, b| natural(a, b));
    }
    keys.into_iter().map(|key| (key.clone(), show(key, &map[key]))).collect()
}

/// The order of YAML's keys: letters after other signs, numbers by what they are worth.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for index in 0..a.len().min(b.len()) {
        let (x, y) = (a[index], b[index]);
        if x == y {
            digits = x.is_ascii_digit();
            continue;
        }
        let less = match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => x < y,
            (true, false) => digits,
            (false, true) => !digits,
            (false, false) => return numbers(&a, &b, index),
        };
        return if less { Ordering::Less } else { Ordering::Greater };
    }
    a.len().cmp(&b.len())
}

fn numbers(a: &[char], b: &[char], index: usize) -> Ordering {
    let mut start = 0i64;
    if a[index] == '0' || b[index] == '0' {
        let before = a[..index].iter().rev().take_while(|c| c.is_ascii_digit());
        start = i64::from(before.into_iter().any(|c| *c != '0'));
    }
    let read = |text: &[char]| {
        text[index..].iter().map_while(|c| c.to_digit(10)).fold((start, index), |(number, end), digit| {
            (number.wrapping_mul(10).wrapping_add(i64::from(digit)), end + 1)
        })
    };
    let ((x, x_end), (y, y_end)) = (read(a), read(b));
    x.cmp(&y).then(x_end.cmp(&y_end)).then(a[index].cmp(&b[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_as_people_would_have_them() {
        let mut keys = vec!["web10", "web2", "a_b", "aB", "ab", "web", "10", "9", "a-b", "A"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(keys, ["9", "10", "A", "a-b", "a_b", "aB", "ab", "web", "web2", "web10"]);
    }
}
