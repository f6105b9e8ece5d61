//! The lines of a Dockerfile that a failure is about, as BuildKit shows them.

use std::fmt::Write;

use gantry_dockerfile::Span;

/// Lines shown before and after.
const AROUND: usize = 2;

/// The lines of `span` marked, with some around them; empty where the span names none.
pub fn excerpt(file: &str, text: &str, span: Span) -> String {
    if span.first == 0 {
        return String::new();
    }
    let rule = "-".repeat(20);
    let from = span.first.saturating_sub(AROUND).max(1);
    let mut shown = format!("{file}:{}\n{rule}\n", span.first);
    for (index, line) in text.lines().enumerate().take(span.last + AROUND).skip(from - 1) {
        let number = index + 1;
        let mark = if (span.first..=span.last).contains(&number) { ">>>" } else { "   " };
        // Writing into a string cannot fail.
        let _infallible = writeln!(shown, "{number:4} | {mark} {line}");
    }
    shown + &rule + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_is_marked_among_its_neighbours() {
        let text = "FROM a\n\nRUN x \\\n  y\nCMD z\n";
        let shown = excerpt("Dockerfile", text, Span { first: 3, last: 4 });
        assert_eq!(
            shown,
            "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |     \n   3 | >>> RUN x \\\n   4 | >>>   y\n   5 |     \
             CMD z\n--------------------\n"
        );
        assert_eq!(excerpt("Dockerfile", text, Span::default()), "");
    }
}
