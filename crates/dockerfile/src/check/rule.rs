/// The rules, by BuildKit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "a rule's name says what it is; `description` says it in a sentence")]
pub enum Rule {
    StageNameCasing,
    FromAsCasing,
    NoEmptyContinuation,
    ConsistentInstructionCasing,
    DuplicateStageName,
    ReservedStageName,
    JsonArgsRecommended,
    MaintainerDeprecated,
    UndefinedArgInFrom,
    WorkdirRelativePath,
    UndefinedVar,
    MultipleInstructionsDisallowed,
    LegacyKeyValueFormat,
    RedundantTargetPlatform,
    SecretsUsedInArgOrEnv,
    InvalidDefaultArgInFrom,
    FromPlatformFlagConstDisallowed,
    CopyIgnoredFile,
    InvalidDefinitionDescription,
    ExposeProtoCasing,
    ExposeInvalidFormat,
}

impl Rule {
    /// BuildKit's name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::StageNameCasing => "StageNameCasing",
            Rule::FromAsCasing => "FromAsCasing",
            Rule::NoEmptyContinuation => "NoEmptyContinuation",
            Rule::ConsistentInstructionCasing => "ConsistentInstructionCasing",
            Rule::DuplicateStageName => "DuplicateStageName",
            Rule::ReservedStageName => "ReservedStageName",
            Rule::JsonArgsRecommended => "JSONArgsRecommended",
            Rule::MaintainerDeprecated => "MaintainerDeprecated",
            Rule::UndefinedArgInFrom => "UndefinedArgInFrom",
            Rule::WorkdirRelativePath => "WorkdirRelativePath",
            Rule::UndefinedVar => "UndefinedVar",
            Rule::MultipleInstructionsDisallowed => "MultipleInstructionsDisallowed",
            Rule::LegacyKeyValueFormat => "LegacyKeyValueFormat",
            Rule::RedundantTargetPlatform => "RedundantTargetPlatform",
            Rule::SecretsUsedInArgOrEnv => "SecretsUsedInArgOrEnv",
            Rule::InvalidDefaultArgInFrom => "InvalidDefaultArgInFrom",
            Rule::FromPlatformFlagConstDisallowed => "FromPlatformFlagConstDisallowed",
            Rule::CopyIgnoredFile => "CopyIgnoredFile",
            Rule::InvalidDefinitionDescription => "InvalidDefinitionDescription",
            Rule::ExposeProtoCasing => "ExposeProtoCasing",
            Rule::ExposeInvalidFormat => "ExposeInvalidFormat",
        }
    }

    /// What it asks for, in a sentence.
    pub fn description(self) -> &'static str {
        match self {
            Rule::StageNameCasing => "Names of stages are lower case",
            Rule::FromAsCasing => "FROM and AS are of one case",
            Rule::NoEmptyContinuation => "No empty line inside an instruction",
            Rule::ConsistentInstructionCasing => "All instructions are of one case",
            Rule::DuplicateStageName => "No two stages have one name",
            Rule::ReservedStageName => "scratch and context are no names for stages",
            Rule::JsonArgsRecommended => {
                "CMD and ENTRYPOINT are JSON lists, so that signals reach the program"
            }
            Rule::MaintainerDeprecated => "The author is a label",
            Rule::UndefinedArgInFrom => "FROM uses only arguments that were declared before",
            Rule::WorkdirRelativePath => "The first WORKDIR of a stage is absolute",
            Rule::UndefinedVar => "Variables are declared before they are used",
            Rule::MultipleInstructionsDisallowed => "CMD, ENTRYPOINT and HEALTHCHECK stand once in a stage",
            Rule::LegacyKeyValueFormat => "ENV and LABEL have an equals sign",
            Rule::RedundantTargetPlatform => "FROM takes the target's platform by itself",
            Rule::SecretsUsedInArgOrEnv => "Secrets are no ARG and no ENV: both stay in the image",
            Rule::InvalidDefaultArgInFrom => "FROM makes sense with the arguments' defaults",
            Rule::FromPlatformFlagConstDisallowed => "FROM's platform is no constant",
            Rule::CopyIgnoredFile => "What is copied is not hidden by .dockerignore",
            Rule::InvalidDefinitionDescription => {
                "The comment before a stage or argument begins with its name"
            }
            Rule::ExposeProtoCasing => "Protocols in EXPOSE are lower case",
            Rule::ExposeInvalidFormat => "EXPOSE names ports of the container only",
        }
    }

    /// Where it is explained.
    pub fn url(self) -> String {
        let words = self.name().char_indices().fold(String::new(), |mut words, (at, letter)| {
            let bytes = self.name().as_bytes();
            let after_small = at > 0 && bytes[at - 1].is_ascii_lowercase();
            let before_small = at > 0 && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            if letter.is_ascii_uppercase() && (after_small || before_small) {
                words.push('-');
            }
            words.push(letter.to_ascii_lowercase());
            words
        });
        format!("https://docs.docker.com/go/dockerfile/rule/{words}/")
    }

    /// Only told where the file asks for it.
    pub fn is_experimental(self) -> bool {
        self == Rule::InvalidDefinitionDescription
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_buildkits() {
        let end = |rule: Rule| rule.url().trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        assert_eq!(end(Rule::JsonArgsRecommended), "json-args-recommended");
        assert_eq!(end(Rule::SecretsUsedInArgOrEnv), "secrets-used-in-arg-or-env");
    }
}
