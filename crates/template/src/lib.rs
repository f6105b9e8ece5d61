//! Go templates with Docker's functions, over JSON values and over rows of a table.
//!
//! What it is: the language of `--format` and of log tags. The syntax tree comes from the `gotmpl` crate; it is
//! executed here, because Docker's rows are called with arguments (`{{.Label "x"}}`) and because people and
//! scripts read Go's error texts (`template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"`).
//! What it is not: a general template engine. There is no I/O and no way to register functions.
//!
//! Start reading at [`Template`], then `exec.rs` (the walk over the tree) and `functions.rs` (what may be called).
//!
//! Templates come from people and from other machines: nesting, iterations and output are bounded (`bounds.rs`).

mod bounds;
mod error;
mod exec;
mod functions;
mod print;
mod printf;
mod show;
mod value;

pub use error::TemplateError;
pub use exec::MissingKey;
pub use functions::Functions;
pub use print::display;
pub use value::{Datum, Row};

use std::collections::BTreeMap;

use gotmpl::parse::{DefineNode, ListNode, Parser};

/// A parsed template, ready to be executed over many values.
pub struct Template {
    source: String,
    tree: ListNode,
    defines: BTreeMap<String, ListNode>,
    missing_key: MissingKey,
    functions: Functions,
}

impl Template {
    /// Parses `source`. The text of a failure is Go's: `template: :1: unclosed action`.
    pub fn parse(source: &str) -> Result<Template, TemplateError> {
        if source.len() > bounds::MAX_SOURCE {
            return Err(TemplateError::parse(1, "template too large"));
        }
        let (tree, defines) =
            Parser::new(source, "{{", "}}").and_then(Parser::parse).map_err(TemplateError::from_parser)?;
        functions::check_known(&tree, &defines)?;
        let defines = defines.into_iter().map(|d: DefineNode| (d.name.to_string(), d.body)).collect();
        Ok(Template {
            source: source.to_owned(),
            tree,
            defines,
            missing_key: MissingKey::NoValue,
            functions: Functions::Values,
        })
    }

    /// What a key that is not there means: `<no value>` (the default) or an error.
    #[must_use]
    pub fn missing_key(mut self, missing_key: MissingKey) -> Template {
        self.missing_key = missing_key;
        self
    }

    /// The text for `data`, with Docker's functions.
    pub fn execute(&self, data: &Datum) -> Result<String, TemplateError> {
        exec::execute(self, data, self.functions)
    }

    /// The text of a table's header: functions that would change a column's name leave it alone.
    pub fn execute_header(&self, data: &Datum) -> Result<String, TemplateError> {
        exec::execute(self, data, Functions::Header)
    }

    /// Whether the template's text mentions `.name` anywhere (to ask the engine for sizes only when needed).
    pub fn mentions(&self, name: &str) -> bool {
        let needle = format!(".{name}");
        self.source.match_indices(&needle).any(|(at, _)| {
            !self.source[at + needle.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    }
}

#[cfg(test)]
mod tests;
