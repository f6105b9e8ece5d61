//! Failures of parsing and executing, in Go's words: scripts match on them.

use gotmpl::TemplateError as Parse;

/// A template that could not be parsed or executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not a template. Go tells the line, not the column.
    #[error("template: :{line}: {message}")]
    Parse {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// The template does not fit the data.
    #[error("template: :{line}:{column}: executing \"\" at <{context}>: {message}")]
    Execute {
        /// Counted from 1.
        line: usize,
        /// Bytes from the start of the line, counted from 0 as Go does.
        column: usize,
        /// The expression, shortened to 20 bytes.
        context: String,
        /// What went wrong with it.
        message: String,
    },
    /// One of the bounds was reached.
    #[error("template: : {0}")]
    Bound(&'static str),
}

impl TemplateError {
    pub(crate) fn parse(line: usize, message: impl Into<String>) -> TemplateError {
        TemplateError::Parse { line, message: message.into() }
    }

    pub(crate) fn from_parser(err: Parse) -> TemplateError {
        match err {
            Parse::Parse { line, message, .. } | Parse::Lex { line, message, .. } => {
                TemplateError::Parse { line, message }
            }
            Parse::UndefinedFunction(name) => {
                TemplateError::parse(1, format!("function \"{name}\" not defined"))
            }
            Parse::UndefinedVariable(name) => {
                TemplateError::parse(1, format!("undefined variable \"{name}\""))
            }
            Parse::RecursionLimit => TemplateError::Bound("nested too deeply"),
            other => TemplateError::parse(1, other.to_string()),
        }
    }
}
