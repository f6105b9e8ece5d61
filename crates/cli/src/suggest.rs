//! Did you mean ...?

/// The most letters that may differ.
const FAR: usize = 2;

/// The name nearest to `typed`, when one is near.
pub fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (distance(typed, name), name))
        // Of two letters none may be another: `pss` means `ps`, `px` may mean anything.
        .filter(|(far, name)| {
            *far <= FAR && (*far < name.len().max(2) - 1 || (*far == 1 && typed.len() == 3))
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

/// How many letters must be typed, left away, changed or swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["run", "images", "inspect", "ps", "push"];
        assert_eq!(nearest("imgaes", names.into_iter()), Some("images"));
        assert_eq!(nearest("rnu", names.into_iter()), Some("run"));
        assert_eq!(nearest("pss", names.into_iter()), Some("ps"));
        assert_eq!(nearest("px", names.into_iter()), None);
        assert_eq!(nearest("frobnicate", names.into_iter()), None);
    }
}
