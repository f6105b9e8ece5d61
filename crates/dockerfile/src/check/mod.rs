//! Lint: what a Dockerfile may say and better would not. Rules and their names are BuildKit's.
//!
//! Source: the Dockerfile reference's "build checks". Nothing is looked up: a rule that needs the base image's own
//! variables ([`Rule::UndefinedVar`]) speaks only where these are [`Known`], or where a name is a near miss.

mod rule;
mod stage;
mod whole;

pub use rule::Rule;

use std::collections::{BTreeMap, BTreeSet};

use crate::ignore::Ignore;
use crate::source::{self, RawInstruction};
use crate::{Dockerfile, ParseError, Span, stage as stages};

/// One thing that better would not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule it breaks.
    pub rule: Rule,
    /// What is wrong, in a sentence.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// What a check knows beside the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The context's `.dockerignore`.
    pub ignore: Option<&'a Ignore>,
    /// Names of the build arguments that are given.
    pub args: &'a [String],
    /// Names of the variables of base images, by what FROM calls them.
    pub bases: Option<&'a BTreeMap<String, Vec<String>>>,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// The file asks that findings count as errors: `# check=error=true`.
    pub error: bool,
}

/// Checks a file. One that is no Dockerfile is refused as by [`crate::parse`].
pub fn check(text: &str, known: Known<'_>) -> Result<Report, ParseError> {
    let file = stages::parse(text)?;
    let (_, raw) = source::read(text)?;
    let settings = Settings::read(file.directives.check.as_deref().unwrap_or_default());
    let mut findings = Vec::new();
    {
        let mut tell = |rule: Rule, span: Span, message: String| {
            if settings.wants(rule) {
                findings.push(Finding { rule, message, span });
            }
        };
        whole::check(text, &file, &raw, known, &mut tell);
        for (index, raw) in of_stages(&raw).into_iter().enumerate() {
            stage::check(&file, index, &raw, known, &mut tell);
        }
    }
    findings.sort_by_key(|finding| (finding.span.first, finding.rule));
    findings.dedup();
    Ok(Report { findings, error: settings.error })
}

/// Takes findings.
type Tell<'a> = dyn FnMut(Rule, Span, String) + 'a;

/// The raw instructions by stage, each stage's FROM first.
fn of_stages(raw: &[RawInstruction]) -> Vec<Vec<&RawInstruction>> {
    let mut all: Vec<Vec<&RawInstruction>> = Vec::new();
    for one in raw {
        match (one.keyword.eq_ignore_ascii_case("FROM"), all.last_mut()) {
            (true, _) => all.push(vec![one]),
            (false, Some(stage)) => stage.push(one),
            (false, None) => {}
        }
    }
    all
}

/// `# check=skip=A,B;error=true;experimental=all`.
#[derive(Debug, Default)]
struct Settings {
    skip: BTreeSet<String>,
    skip_all: bool,
    experimental: BTreeSet<String>,
    error: bool,
}

impl Settings {
    fn read(text: &str) -> Settings {
        let mut settings = Settings::default();
        let names = |value: &str| value.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        for part in text.split(';') {
            match part.trim().split_once('=') {
                Some(("skip", "all")) => settings.skip_all = true,
                Some(("skip", value)) => settings.skip = names(value),
                Some(("experimental", value)) => settings.experimental = names(value),
                Some(("error", value)) => settings.error = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        settings
    }

    fn wants(&self, rule: Rule) -> bool {
        let name = rule.name().to_ascii_lowercase();
        let experimental = self.experimental.contains("all") || self.experimental.contains(&name);
        !self.skip_all && !self.skip.contains(&name) && (!rule.is_experimental() || experimental)
    }
}

/// The variables that a set of declared names lacks, with the nearest one that is there.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.collect();
    crate::suggest::nearest(name, &known)
}

/// What every build declares by itself.
const PREDEFINED: [&str; 9] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// The names an ARG before the first FROM declares.
fn global_names(file: &Dockerfile) -> Vec<(String, Option<String>)> {
    let args = file.global_args.iter().filter_map(|located| match &located.instruction {
        crate::Instruction::Arg(args) => Some(args.clone()),
        _ => None,
    });
    args.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let report = check(text, Known::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
        report
            .findings
            .iter()
            .map(|finding| format!("{}:{} {}", finding.span.first, finding.rule.name(), finding.message))
            .collect()
    }

    #[test]
    fn every_rule_finds_what_it_is_for() {
        for (text, expected) in [
            ("FROM a AS Base", "1:StageNameCasing Stage name 'Base' should be lowercase"),
            ("FROM a as b", "1:FromAsCasing 'as' and 'FROM' keywords' casing do not match"),
            ("FROM a\nRUN x \\\n\n  y", "4:NoEmptyContinuation Empty continuation line"),
            (
                "FROM a\nRUN x\nrun y",
                "3:ConsistentInstructionCasing Command 'run' should match the case of the command majority (uppercase)",
            ),
            (
                "FROM a AS b\nFROM a AS b",
                "2:DuplicateStageName Duplicate stage name \"b\", stage names should be unique",
            ),
            (
                "FROM a AS scratch",
                "1:ReservedStageName Stage name should not use the same name as reserved stage \"scratch\"",
            ),
            (
                "FROM a\nCMD x y",
                "2:JSONArgsRecommended JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            ),
            (
                "FROM a\nMAINTAINER x",
                "2:MaintainerDeprecated Maintainer instruction is deprecated in favor of using label",
            ),
            (
                "ARG BASE=a\nFROM $BASF",
                "2:UndefinedArgInFrom FROM argument 'BASF' is not declared (did you mean BASE?)",
            ),
            (
                "ARG V\nFROM a:$V",
                "2:InvalidDefaultArgInFrom Default value for ARG a:$V results in empty or invalid base image name",
            ),
            (
                "FROM a\nWORKDIR x",
                "2:WorkdirRelativePath Relative workdir \"x\" can have unexpected results if the base image changes",
            ),
            (
                "FROM scratch\nARG HOME_DIR=/h\nWORKDIR $HOME_DRI",
                "3:UndefinedVar Usage of undefined variable '$HOME_DRI' (did you mean $HOME_DIR?)",
            ),
            (
                "FROM a\nCMD [\"x\"]\nCMD [\"y\"]",
                "2:MultipleInstructionsDisallowed Multiple CMD instructions should not be used in the same stage because only the last one will be used",
            ),
            (
                "FROM a\nENV x y",
                "2:LegacyKeyValueFormat \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
            ),
            (
                "FROM --platform=$TARGETPLATFORM a",
                "1:RedundantTargetPlatform Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            ),
            (
                "FROM a\nENV API_KEY=x",
                "2:SecretsUsedInArgOrEnv Do not use ARG or ENV instructions for sensitive data (ENV \"API_KEY\")",
            ),
            (
                "FROM --platform=linux/amd64 a AS b",
                "1:FromPlatformFlagConstDisallowed FROM --platform flag should not use constant value \"linux/amd64\"",
            ),
            (
                "FROM a\nEXPOSE 80/TcP",
                "2:ExposeProtoCasing Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
            ),
            (
                "FROM a\nEXPOSE 127.0.0.1:80:80",
                "2:ExposeInvalidFormat EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
            ),
            (
                "# check=experimental=all\n# wrong\nFROM a AS b",
                "3:InvalidDefinitionDescription Comment for build stage should follow the format: `# b <description>`",
            ),
        ] {
            assert_eq!(told(text), [expected], "{text:?}");
        }
    }

    #[test]
    fn good_files_are_silent() {
        for text in [
            "ARG V=1\nFROM a:$V AS build\nARG V\nENV X=$V PUBLIC_KEY=x KEY_FILE=y\nWORKDIR /w\nWORKDIR sub\nRUN x \\\n # c\n y\n",
            "FROM a\nSHELL [\"/bin/sh\", \"-c\"]\nCMD x",
            "FROM --platform=$BUILDPLATFORM a AS one\nFROM --platform=linux/arm64 a AS for-arm64\nCOPY --from=one / /",
            "from a as b\nrun x",
            "FROM a\nENV JAVA_OPTS=$JAVA_HOME/x",
            "FROM a\nRUN echo $UNKNOWN \"$1\"",
            "ARG REGISTRY=r\nFROM ${REGISTRY:-x}/a",
            "FROM a\nEXPOSE 80 443/tcp 5000-5010/udp $PORT",
        ] {
            assert_eq!(told(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn a_file_says_what_is_not_to_be_checked_and_what_counts_as_an_error() {
        assert_eq!(told("# check=skip=StageNameCasing\nFROM a AS Base"), Vec::<String>::new());
        assert_eq!(told("# check=skip=all\nFROM a AS Base"), Vec::<String>::new());
        assert!(check("# check=error=true\nFROM a", Known::default()).unwrap().error);
        assert!(check("FORM a", Known::default()).is_err());
    }

    #[test]
    fn what_the_ignore_file_hides_is_told_where_it_is_copied() {
        let ignore = Ignore::parse("*.log\n").unwrap();
        let known = Known { ignore: Some(&ignore), ..Known::default() };
        let report = check("FROM a AS b\nCOPY x.log /\nCOPY --from=b y.log /\nADD z /", known).unwrap();
        let [finding] = &report.findings[..] else { panic!("{report:?}") };
        assert_eq!(finding.message, "Attempting to Copy file \"x.log\" that is excluded by .dockerignore");
    }

    #[test]
    fn variables_of_a_base_image_that_is_known_are_all_there_are() {
        let bases = BTreeMap::from([("java".to_owned(), vec!["JAVA_HOME".to_owned()])]);
        let told = |text: &str| {
            let report = check(text, Known { bases: Some(&bases), ..Known::default() }).unwrap();
            report.findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(told("FROM java AS one\nFROM one\nENV X=$JAVA_HOME Y=$PATH"), Vec::<String>::new());
        assert_eq!(told("FROM other\nENV X=$NOWHERE"), Vec::<String>::new());
        assert_eq!(told("FROM java\nENV X=$NOWHERE"), ["Usage of undefined variable '$NOWHERE'"]);
        assert_eq!(
            told("FROM java\nENV X=$JAVA_HOM"),
            ["Usage of undefined variable '$JAVA_HOM' (did you mean $JAVA_HOME?)"]
        );
    }
}
