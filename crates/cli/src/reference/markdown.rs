//! A page in Markdown.

use super::{Page, flag_text};

/// The page.
pub(super) fn page(page: &Page) -> String {
    let mut out = format!("# {}\n\n{}\n\n```\n{}\n```\n", page.called(), page.description(), page.synopsis());
    let flags = page.flags();
    if !flags.is_empty() {
        out.push_str("\n## Options\n\n| option | default | what it does |\n|---|---|---|\n");
    }
    for flag in flags {
        let default = match flag.default {
            "" | "false" | "0" => String::new(),
            default => format!("`{default}`"),
        };
        out.push_str(&format!("| `{}` | {default} | {} |\n", cell(&flag_text(flag)), cell(flag.help)));
    }
    if !page.command.examples.is_empty() {
        out.push_str("\n## Examples\n");
    }
    for (args, what) in page.command.examples {
        out.push_str(&format!("\n{what}:\n\n```sh\n{} {args}\n```\n", page.called()));
    }
    let below = page.below();
    if !below.is_empty() {
        out.push_str("\n## Commands\n\n| command | what it does |\n|---|---|\n");
    }
    for (name, short) in below {
        out.push_str(&format!("| [`{name}`]({}-{name}.md) | {} |\n", page.file(), cell(short)));
    }
    for (title, rows) in page.around() {
        out.push_str(&format!("\n## {title}\n\n| | |\n|---|---|\n"));
        for (name, what) in rows {
            out.push_str(&format!("| `{}` | {} |\n", cell(name), cell(what)));
        }
    }
    let also = page.also();
    if !also.is_empty() {
        out.push_str(&format!("\nAlso called `{}`\n", also.join("`, `")));
    }
    out
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
