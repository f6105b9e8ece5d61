//! A listing: rows through a format.

use std::rc::Rc;

use gantry_template::{Datum, MissingKey, Template};
use serde_json::Value;

use super::row::Fields;
use super::table::align;
use crate::failure::Failure;

/// How rows are to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(String);

impl Format {
    /// The format of a command: what was asked for, else what the configuration says, else the noun's table.
    /// `quiet` is the template for `-q`.
    pub fn choose(asked: &str, configured: &str, quiet: Option<&str>, table: &str) -> Format {
        let wanted = match (asked, quiet) {
            ("", Some(quiet)) => return Format(quiet.to_owned()),
            ("" | "table", None) if asked == "table" || configured.is_empty() => table,
            ("", None) => configured,
            ("table", Some(quiet)) => return Format(quiet.to_owned()),
            (asked, _) => asked,
        };
        Format(wanted.to_owned())
    }

    /// A format as it is.
    pub fn new(text: &str) -> Format {
        Format(text.to_owned())
    }

    /// Whether rows stand below a header.
    pub fn is_table(&self) -> bool {
        self.0.starts_with("table")
    }

    /// Whether the text mentions a column.
    pub fn mentions(&self, name: &str) -> bool {
        Template::parse(&self.source()).is_ok_and(|t| t.mentions(name))
    }

    /// Tries the template on an empty row, so that a mistake is told before the engine is asked.
    pub fn rehearse(&self, row: Fields) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let template = Template::parse(&self.source())
            .map_err(|e| Failure::text(1, format!("failed to parse template: {e}")))?;
        match template.execute(&Datum::Row(Rc::new(row))) {
            Ok(_) => Ok(()),
            Err(e) => Err(Failure::text(1, format!("failed to execute template: {e}"))),
        }
    }

    fn source(&self) -> String {
        if self.0 == "json" {
            return "{{json .}}".into();
        }
        let text = self.0.strip_prefix("table").unwrap_or(&self.0);
        text.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n")
    }
}

/// Parses a template as a command's `--format`; the error is Docker's.
pub fn template(source: &str) -> Result<Template, Failure> {
    Template::parse(source).map_err(|e| Failure::text(1, format!("template parsing error: {e}")))
}

/// Rows on their way to the screen.
pub struct Listing {
    format: Format,
    template: Template,
    header: String,
    lines: String,
}

impl Listing {
    /// A listing; `header` is any row of its kind (for the titles).
    pub fn new(format: Format, header: &Fields) -> Result<Listing, Failure> {
        let template = template(&format.source())?;
        let titles = match format.is_table() {
            true => template
                .execute_header(&Datum::Row(Rc::new(header.header())))
                .map_err(|e| Failure::text(1, format!("template parsing error: {e}")))?,
            false => String::new(),
        };
        Ok(Listing { format, template, header: titles, lines: String::new() })
    }

    /// Adds a row.
    pub fn add(&mut self, row: Fields) -> Result<(), Failure> {
        let text = self
            .template
            .execute(&Datum::Row(Rc::new(row)))
            .map_err(|e| Failure::text(1, format!("template parsing error: {e}")))?;
        self.lines.push_str(&text);
        self.lines.push('\n');
        Ok(())
    }

    /// The whole text.
    pub fn finish(self) -> String {
        match self.format.is_table() {
            true => align(&format!("{}\n{}", self.header, self.lines)),
            false => self.lines,
        }
    }

    /// A template over plain JSON, as inspect's `--format`: an unknown key is an error.
    pub fn json(source: &str, value: &Value) -> Result<String, Failure> {
        let source = if source == "json" { "{{json .}}" } else { source };
        let told = |e: &dyn std::fmt::Display| Failure::text(1, format!("template parsing error: {e}"));
        Template::parse(source)
            .map_err(|e| told(&e))?
            .missing_key(MissingKey::Error)
            .execute(&Datum::Json(value.clone()))
            .map_err(|e| told(&e))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, name: &str) -> Fields {
        Fields::new("*formatter.ContainerContext")
            .with("ID", "CONTAINER ID", id)
            .with("Names", "NAMES", name)
            .labels(&json!({"a.b-c": "v"}))
    }

    fn render(format: &str) -> String {
        let mut listing = Listing::new(Format::new(format), &row("", "")).unwrap();
        listing.add(row("abc", "web")).unwrap();
        listing.finish()
    }

    #[test]
    fn tables_templates_and_json() {
        assert_eq!(render("table {{.ID}}\\t{{.Names}}"), "CONTAINER ID   NAMES\nabc            web\n");
        assert_eq!(render("{{.Names}}: {{.Label \"a.b-c\"}}"), "web: v\n");
        assert_eq!(render("table {{.Label \"a.b-c\"}}\t{{.ID}}"), "b c       CONTAINER ID\nv         abc\n");
        assert_eq!(render("json"), "{\"ID\":\"abc\",\"Labels\":\"a.b-c=v\",\"Names\":\"web\"}\n");
    }

    #[test]
    fn quiet_and_configuration_choose_the_format() {
        assert_eq!(Format::choose("", "", Some("{{.ID}}"), "table x"), Format::new("{{.ID}}"));
        assert_eq!(Format::choose("", "{{.Y}}", None, "table x"), Format::new("{{.Y}}"));
        assert_eq!(Format::choose("table", "{{.Y}}", None, "table x"), Format::new("table x"));
        assert_eq!(Format::choose("json", "", Some("{{.ID}}"), "table x"), Format::new("json"));
    }
}
