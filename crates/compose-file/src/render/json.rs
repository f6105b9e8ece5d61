use super::Shown;

/// On one line, as hashes are computed over.
pub fn compact(shown: &Shown) -> String {
    let mut out = String::new();
    write(shown, None, &mut out);
    out
}

/// On many lines, two spaces a level.
pub fn indented(shown: &Shown) -> String {
    let mut out = String::new();
    write(shown, Some(0), &mut out);
    out
}

fn write(shown: &Shown, depth: Option<usize>, out: &mut String) {
    match shown {
        Shown::Null => out.push_str("null"),
        Shown::Switch(switch) => out.push_str(if *switch { "true" } else { "false" }),
        Shown::Integer(number) => out.push_str(&number.to_string()),
        Shown::Single(number) => out.push_str(&number.to_string()),
        Shown::Double(number) => out.push_str(&number.to_string()),
        Shown::Text(text) => quote(text, out),
        Shown::List(list) => nested(out, depth, ('[', ']'), list, write),
        Shown::Map(map) => nested(out, depth, ('{', '}'), map, |(key, value), depth, out| {
            quote(key, out);
            out.push_str(if depth.is_some() { ": " } else { ":" });
            write(value, depth, out);
        }),
    }
}

fn nested<T>(
    out: &mut String,
    depth: Option<usize>,
    (open, close): (char, char),
    items: &[T],
    each: impl Fn(&T, Option<usize>, &mut String),
) {
    out.push(open);
    let inner = depth.map(|depth| depth + 1);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        line(inner, out);
        each(item, inner, out);
    }
    if !items.is_empty() {
        line(depth, out);
    }
    out.push(close);
}

fn line(depth: Option<usize>, out: &mut String) {
    if let Some(depth) = depth {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
}

/// With the signs of HTML escaped too, as Compose's own writer does.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
