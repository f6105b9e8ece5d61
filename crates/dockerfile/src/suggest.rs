//! "Did you mean": the nearest of the right words.

/// `message (did you mean x?)` where a known word is near `given`, else `message`.
pub fn with_nearest(message: String, given: &str, known: &[&str]) -> String {
    match nearest(given, known) {
        Some(word) if !word.eq_ignore_ascii_case(given) => format!("{message} (did you mean {word}?)"),
        _ => message,
    }
}

/// The known word that is nearest to `given`, if one is near enough to be meant.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let nearest = known.iter().map(|word| (distance(&given, &word.to_lowercase()), *word)).min();
    nearest.filter(|(distance, word)| *distance <= 2.min(word.len() / 2)).map(|(_, word)| word)
}

/// Edits (insert, delete, replace, each one) between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        assert_eq!(with_nearest("unknown".into(), "FORM", &["FROM", "RUN"]), "unknown (did you mean FROM?)");
        assert_eq!(with_nearest("unknown".into(), "BANANA", &["FROM", "RUN"]), "unknown");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
