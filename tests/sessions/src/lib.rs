//! The terminal sessions in the documents, replayed against a whole engine.
//!
//! A fenced block marked `console` is a session: lines that begin with `$ ` are typed (`> ` continues one), the lines
//! after them are what must come back. `...` in an expected line stands for any text, a line of only `...` for any
//! lines. A block marked `console norun` is shown to the reader only.

pub mod engine;
pub mod shell;

/// One command and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Line of the document, from one.
    pub line: usize,
    /// What is typed.
    pub command: String,
    /// What comes back.
    pub expected: Vec<String>,
}

/// The sessions of a document, in order.
pub fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, line) in document.lines().enumerate() {
        if let Some(mark) = line.trim_start().strip_prefix("```") {
            inside = !inside && mark.trim() == "console";
        } else if inside {
            match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
                (Some(command), _, _) => {
                    steps.push(Step { line: index + 1, command: command.to_owned(), expected: Vec::new() });
                }
                (None, Some(more), Some(step)) if step.expected.is_empty() => {
                    step.command.push('\n');
                    step.command.push_str(more);
                }
                (_, _, Some(step)) => step.expected.push(line.to_owned()),
                (_, _, None) => {}
            }
        }
    }
    for step in &mut steps {
        while step.expected.last().is_some_and(|line| line.trim().is_empty()) {
            step.expected.pop();
        }
    }
    steps
}

/// Whether `output` is what `expected` describes.
pub fn matches(expected: &[String], output: &str) -> bool {
    let lines: Vec<&str> = output.trim_end().lines().map(str::trim_end).collect();
    match_lines(expected, if output.trim().is_empty() { &[] } else { &lines })
}

fn match_lines(expected: &[String], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=lines.len()).any(|skip| match_lines(rest, &lines[skip..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, below)| match_line(first.trim_end(), line) && match_lines(rest, below)),
    }
}

fn match_line(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_and_other_blocks_are_not() {
        let text = "# x\n```console\n$ echo a \\\n>   b\na b\n$ true\n\n```\n```sh\n$ no\n```\n```console norun\n$ no\n```\n";
        let steps = steps(text);
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].command, "echo a \\\n  b");
        assert_eq!((steps[0].expected.len(), steps[1].expected.len(), steps[1].line), (1, 0, 6));
    }

    #[test]
    fn dots_stand_for_what_changes() {
        let expected = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(matches(&expected("ID   ...  busybox"), "ID   3f2a  busybox\n"));
        assert!(matches(&expected("a\n...\nz"), "a\nb\nc\nz"));
        assert!(matches(&expected("..."), ""));
        assert!(!matches(&expected("a"), "a\nb"));
        assert!(!matches(&expected("a ... b"), "a x c"));
        assert!(!matches(&expected(""), "x"));
    }
}
