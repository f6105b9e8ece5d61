//! Stages: what stands between one FROM and the next.

use crate::instruction::{From, Instruction, Located};
use crate::source::{self, Directives};
use crate::understand::{self, Parsed};
use crate::{ParseError, Span};

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What the first lines set.
    pub directives: Directives,
    /// `ARG`s before the first FROM: usable in FROM lines, and in a stage that repeats their name.
    pub global_args: Vec<Located>,
    /// The stages, in order; at least one.
    pub stages: Vec<Stage>,
}

/// One FROM and its instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its FROM.
    pub from: From,
    /// Where its FROM stands.
    pub span: Span,
    /// The FROM line as written.
    pub original: String,
    /// What follows.
    pub instructions: Vec<Located>,
}

impl Dockerfile {
    /// The stage with this name (any case) or number; the last of several with one name.
    pub fn stage(&self, name: &str) -> Option<usize> {
        let named =
            |stage: &Stage| stage.from.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.stages
            .iter()
            .rposition(named)
            .or_else(|| name.parse().ok().filter(|number| *number < self.stages.len()))
    }
}

/// The most instructions a file may have, ten times what people write. Each is a step with a history of all before it: what
/// a build keeps grows with the square of their number, and is 1.5 GB at 3,000.
const INSTRUCTIONS_MAX: usize = 2_000;

/// Reads a whole Dockerfile.
pub fn parse(text: &str) -> Result<Dockerfile, ParseError> {
    let (directives, raw) = source::read(text)?;
    if let Some(beyond) = raw.get(INSTRUCTIONS_MAX) {
        let message = format!("file with more than {INSTRUCTIONS_MAX} instructions");
        return Err(ParseError::at(beyond.span, message));
    }
    let mut global_args = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    for raw in &raw {
        let parsed = understand::parse(raw, directives.escape)?;
        let (span, original) = (raw.span, raw.original.trim().to_owned());
        match (parsed, stages.last_mut()) {
            (Parsed::From(from), _) => stages.push(Stage { from, span, original, instructions: Vec::new() }),
            (Parsed::Other(instruction), Some(stage)) => {
                stage.instructions.push(Located { span, original, instruction });
            }
            (Parsed::Other(instruction @ Instruction::Arg(_)), None) => {
                global_args.push(Located { span, original, instruction });
            }
            (Parsed::Other(_), None) => {
                return Err(ParseError::at(span, "no build stage in current context"));
            }
        }
    }
    if raw.is_empty() {
        let last = text.lines().count();
        return Err(ParseError::at(Span { first: last, last }, "file with no instructions"));
    }
    if stages.is_empty() {
        let span = raw.last().map(|raw| raw.span).unwrap_or_default();
        return Err(ParseError::at(span, "dockerfile contains no stages to build"));
    }
    Ok(Dockerfile { directives, global_args, stages })
}

/// Reads instructions that stand alone: ONBUILD triggers, `commit --change`, `import --change`.
pub fn parse_fragment(text: &str) -> Result<Vec<Located>, ParseError> {
    let (directives, raw) = source::read(text)?;
    raw.iter()
        .map(|raw| match understand::parse(raw, directives.escape)? {
            Parsed::Other(instruction) => {
                Ok(Located { span: raw.span, original: raw.original.trim().to_owned(), instruction })
            }
            Parsed::From(_) => Err(ParseError::at(raw.span, "FROM isn't allowed here")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::{Command, Healthcheck};
    use proptest::prelude::*;

    fn only(text: &str) -> Instruction {
        let mut file = parse(&format!("FROM scratch\n{text}")).unwrap_or_else(|e| panic!("{text}: {e}"));
        file.stages.remove(0).instructions.remove(0).instruction
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_more_steps_than_a_build_can_keep_is_refused() {
        let file = |steps: usize| format!("FROM scratch\n{}", "ENV a=b\n".repeat(steps - 1));
        assert!(parse(&file(INSTRUCTIONS_MAX)).is_ok());
        let refused = parse(&file(INSTRUCTIONS_MAX + 1)).unwrap_err().to_string();
        assert!(refused.contains("line 2001: file with more than 2000 instructions"), "{refused}");
    }

    #[test]
    fn stages_and_global_arguments() {
        let file =
            parse("ARG V=1\nFROM a:$V AS One\nRUN x\nFROM --platform=linux/arm64 b\nCOPY --from=one / /\n")
                .unwrap();
        assert_eq!(file.global_args.len(), 1);
        assert_eq!(file.stages[0].from.name.as_deref(), Some("one"));
        assert_eq!(file.stages[1].from.platform, "linux/arm64");
        assert_eq!((file.stage("ONE"), file.stage("1"), file.stage("two")), (Some(0), Some(1), None));
    }

    #[test]
    fn both_forms_of_a_command() {
        assert_eq!(only(r#"CMD ["a", "b"]"#), Instruction::Cmd(Command::Exec(vec!["a".into(), "b".into()])));
        let Instruction::Cmd(Command::Shell { line, .. }) = only("CMD ['a']") else { panic!() };
        assert_eq!(line, "['a']");
        assert_eq!(only("ENTRYPOINT []"), Instruction::Entrypoint(Command::Exec(vec![])));
    }

    #[test]
    fn copies_with_inline_files() {
        let Instruction::Copy(copy) = only("COPY --chmod=755 a <<EOF b/ /dst/\nhello\nEOF") else { panic!() };
        assert_eq!(copy.sources.paths, ["a", "b/"]);
        assert_eq!(copy.sources.inline[0].text(), "hello\n");
        assert_eq!((copy.sources.target.as_str(), copy.sources.chmod.as_str()), ("/dst/", "755"));
    }

    #[test]
    fn health_checks() {
        let text = "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f http://localhost/ || exit 1";
        let Instruction::Healthcheck(Healthcheck::Probe { interval, timeout, retries, .. }) = only(text)
        else {
            panic!()
        };
        assert_eq!((interval, timeout, retries), (90_000_000_000, 500_000_000, 3));
        assert_eq!(only("HEALTHCHECK NONE"), Instruction::Healthcheck(Healthcheck::None));
    }

    #[test]
    fn onbuild_keeps_its_text() {
        assert_eq!(only("ONBUILD   ADD . /app"), Instruction::Onbuild("ADD . /app".into()));
        assert_eq!(parse_fragment("ADD . /app").unwrap().len(), 1);
    }

    #[test]
    fn refusals_name_line_and_word() {
        for (text, message) in [
            ("", "dockerfile parse error on line 0: file with no instructions"),
            ("# only\n", "dockerfile parse error on line 1: file with no instructions"),
            ("RUN x", "dockerfile parse error on line 1: no build stage in current context"),
            (
                "FROM a\nFORM b",
                "dockerfile parse error on line 2: unknown instruction: FORM (did you mean FROM?)",
            ),
            ("FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments"),
            (
                "FROM a AS 1x",
                "dockerfile parse error on line 1: invalid name for build stage: \"1x\", name can't start with a number or contain symbols",
            ),
            ("FROM a\nENV x", "dockerfile parse error on line 2: ENV must have two arguments"),
            (
                "FROM a\nCOPY a",
                "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
            ),
            (
                "FROM a\nCOPY a <<E\nE",
                "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination",
            ),
            (
                "FROM a\nONBUILD FROM b",
                "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
            ),
            (
                "FROM a\nONBUILD ONBUILD RUN b",
                "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
            ),
            (
                "FROM a\n\nSHELL sh",
                "dockerfile parse error on line 3: SHELL requires the arguments to be in JSON form",
            ),
            ("FROM a\nWORKDIR", "dockerfile parse error on line 2: WORKDIR requires exactly one argument"),
            (
                "FROM a\nHEALTHCHECK TRY x",
                "dockerfile parse error on line 2: Unknown type \"TRY\" in HEALTHCHECK (try CMD)",
            ),
            (
                "FROM a\nHEALTHCHECK --interval=1us CMD x",
                "dockerfile parse error on line 2: Interval \"interval\" cannot be less than 1ms",
            ),
            (
                "FROM a\nRUN --mount=type=bnd,target=/x y",
                "dockerfile parse error on line 2: unsupported mount type \"bnd\" (did you mean bind?)",
            ),
            (
                "FROM a\nRUN [\"a\", 1]",
                "dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only",
            ),
            (
                "FROM a\nVOLUME [\"\"]",
                "dockerfile parse error on line 2: VOLUME specified can not be an empty string",
            ),
        ] {
            assert_eq!(refusal(text), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(FROM|RUN|COPY|ENV|ADD|ONBUILD|HEALTHCHECK|#|\\PC| |\n|\\\\|<<|EOF|\"|'|\\[|\\]|--|=|,){0,60}") {
            let _ = parse(&text);
            let _ = parse_fragment(&text);
        }
    }
}
