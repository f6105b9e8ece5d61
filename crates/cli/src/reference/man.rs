//! A page in the macros of `man`. Source: man(7).

use super::{Page, flag_text};

/// The page.
pub(super) fn page(page: &Page) -> String {
    let title = page.file();
    let version = env!("CARGO_PKG_VERSION");
    let mut out =
        format!(".TH \"{}\" 1 \"\" \"Gantry {version}\" \"Gantry\"\n", escape(&title.to_uppercase()));
    out.push_str(&format!(".SH NAME\n{} \\- {}\n", escape(&title), escape(page.command.short)));
    out.push_str(&format!(".SH SYNOPSIS\n\\fB{}\\fR\n", escape(&page.synopsis())));
    out.push_str(".SH DESCRIPTION\n");
    for (at, paragraph) in page.description().split("\n\n").enumerate() {
        if at > 0 {
            out.push_str(".PP\n");
        }
        out.push_str(&format!("{}\n", escape(paragraph)));
    }
    let flags = page.flags();
    if !flags.is_empty() {
        out.push_str(".SH OPTIONS\n");
    }
    for flag in flags {
        out.push_str(&format!(".TP\n\\fB{}\\fR\n{}", escape(&flag_text(flag)), escape(flag.help)));
        match flag.default {
            "" | "false" | "0" => out.push('\n'),
            default => out.push_str(&format!(" (default {})\n", escape(default))),
        }
    }
    if !page.command.examples.is_empty() {
        out.push_str(".SH EXAMPLES\n");
    }
    for (args, what) in page.command.examples {
        out.push_str(&format!(
            ".TP\n\\fB{} {}\\fR\n{}\n",
            escape(&page.called()),
            escape(args),
            escape(what)
        ));
    }
    let below = page.below();
    if !below.is_empty() {
        out.push_str(".SH COMMANDS\n");
    }
    for (name, short) in below {
        out.push_str(&format!(".TP\n\\fB{}\\-{}\\fR(1)\n{}\n", escape(&title), escape(name), escape(short)));
    }
    for (title, rows) in page.around() {
        out.push_str(&format!(".SH {}\n", title.to_uppercase()));
        for (name, what) in rows {
            out.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escape(name), escape(what)));
        }
    }
    let also = page.also();
    if !also.is_empty() {
        out.push_str(&format!(".SH ALSO CALLED\n{}\n", escape(&also.join(", "))));
    }
    if let [rest @ .., _] = page.path.as_slice()
        && !rest.is_empty()
    {
        out.push_str(&format!(".SH SEE ALSO\n\\fB{}\\fR(1)\n", escape(&rest.join("-"))));
    }
    out
}

/// A line that begins with a dot or a quote would be a macro, and a hyphen would become a dash.
fn escape(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        format!("{guard}{}", line.replace('\\', "\\e").replace('-', "\\-"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn no_text_becomes_a_macro() {
        assert_eq!(escape(".TH a-b\\"), "\\&.TH a\\-b\\e");
    }
}
