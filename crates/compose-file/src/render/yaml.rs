//! YAML as Compose writes it: block style, two spaces a level, quotes where a reader would take a text for another thing.

use crate::project::Data;
use crate::scalar;

use super::Shown;

/// Writes a document.
pub fn yaml(shown: &Shown) -> String {
    let mut out = String::new();
    match shown {
        Shown::Map(map) if !map.is_empty() => entries(map, 0, &mut out),
        Shown::List(list) if !list.is_empty() => items(list, 0, &mut out),
        other => {
            inline(other, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

fn entries(map: &[(String, Shown)], depth: usize, out: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        // The first one stands behind its list item's dash.
        if index > 0 || !out.ends_with("- ") {
            out.push_str(&"  ".repeat(depth));
        }
        self::key(key, out);
        out.push(':');
        below(value, depth, out);
    }
}

fn below(value: &Shown, depth: usize, out: &mut String) {
    match value {
        Shown::Map(map) if !map.is_empty() => {
            out.push('\n');
            entries(map, depth + 1, out);
        }
        Shown::List(list) if !list.is_empty() => {
            out.push('\n');
            items(list, depth + 1, out);
        }
        other => {
            out.push(' ');
            inline(other, depth + 1, out);
            out.push('\n');
        }
    }
}

fn items(list: &[Shown], depth: usize, out: &mut String) {
    for (index, item) in list.iter().enumerate() {
        if index > 0 || !out.ends_with("- ") {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str("- ");
        match item {
            Shown::Map(map) if !map.is_empty() => entries(map, depth + 1, out),
            Shown::List(list) if !list.is_empty() => items(list, depth + 1, out),
            other => {
                inline(other, depth + 1, out);
                out.push('\n');
            }
        }
    }
}

fn inline(shown: &Shown, depth: usize, out: &mut String) {
    match shown {
        Shown::Null => out.push_str("null"),
        Shown::Switch(switch) => out.push_str(if *switch { "true" } else { "false" }),
        Shown::Integer(number) => out.push_str(&number.to_string()),
        Shown::Single(number) => {
            out.push_str(&short_float(f64::from(*number), &number.to_string(), &format!("{number:e}")))
        }
        Shown::Double(number) => {
            out.push_str(&short_float(*number, &number.to_string(), &format!("{number:e}")))
        }
        Shown::Text(text) => self::text(text, depth, out),
        Shown::List(_) => out.push_str("[]"),
        Shown::Map(_) => out.push_str("{}"),
    }
}

/// With an exponent from a million on and below 0.0001.
fn short_float(number: f64, shortest: &str, scientific: &str) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    if exponent.parse::<i32>().is_ok_and(|exponent| (-4..6).contains(&exponent)) {
        return shortest.to_owned();
    }
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn key(key: &str, out: &mut String) {
    let signs = Signs::of(key);
    if signs.breaks || !signs.single_allowed() || needs_quotes(key) {
        double_quoted(key, out);
    } else if !signs.plain_allowed() {
        single_quoted(key, out);
    } else {
        out.push_str(key);
    }
}

fn text(text: &str, depth: usize, out: &mut String) {
    let signs = Signs::of(text);
    if text.contains('\n') && signs.block_allowed() {
        literal(text, depth, out);
    } else if text.contains('\n') || needs_quotes(text) || !signs.plain_allowed() && !signs.single_allowed() {
        double_quoted(text, out);
    } else if !signs.plain_allowed() {
        single_quoted(text, out);
    } else {
        out.push_str(text);
    }
}

/// Whether a reader would take it for something else than a text.
fn needs_quotes(text: &str) -> bool {
    const OLD: [&str; 16] =
        ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"];
    !matches!(scalar::resolve(text), Data::Text(_))
        || OLD.contains(&text)
        || is_sexagesimal(text)
        || is_timestamp(text)
}

/// `12:30:45`, which YAML 1.1 took for a number.
fn is_sexagesimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && !rest.is_empty()
        && rest.iter().all(|part| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
}

/// `2001-12-14`, with or without a time; a zone stands only behind a `T`.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((&text[at..=at], &text[at + 1..]))),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let dated = year.len() == 4 && number(year, 0, 9999) && number(month, 1, 12) && number(day, 1, 31);
    dated
        && match time {
            None => true,
            Some((" ", time)) => is_time(time),
            Some((_, zoned)) => match zoned.strip_suffix('Z') {
                Some(time) => is_time(time),
                None => zoned.rfind(['+', '-']).is_some_and(|at| {
                    let zone = zoned[at + 1..].split_once(':');
                    is_time(&zoned[..at]) && zone.is_some_and(|(h, m)| number(h, 0, 24) && number(m, 0, 60))
                }),
            },
        }
}

fn is_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&str> = whole.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else { return false };
    number(hours, 0, 23)
        && number(minutes, 0, 59)
        && number(seconds, 0, 59)
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str, least: u16, most: u16) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|number| (least..=most).contains(&number))
}

/// What of a text rules out which way of writing it.
#[derive(Default)]
struct Signs {
    indicator: bool,
    breaks: bool,
    special: bool,
    tab: bool,
    leading: bool,
    trailing: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
    empty: bool,
}

impl Signs {
    fn of(text: &str) -> Self {
        let mut signs = Self {
            empty: text.is_empty(),
            indicator: text.starts_with("---") || text.starts_with("..."),
            leading: text.starts_with([' ', '\n']),
            trailing: text.ends_with([' ', '\n']),
            trailing_space: text.ends_with(' '),
            ..Self::default()
        };
        let mut before = '\n';
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let followed = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t' | '\n'));
            let preceded = matches!(before, ' ' | '\t' | '\n');
            signs.indicator |= match c {
                '#' if first || preceded => true,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    first
                }
                '?' | '-' => first && followed,
                ':' => followed,
                _ => false,
            };
            signs.tab |= c == '\t';
            signs.breaks |= is_break(c);
            signs.special |= c != '\t' && !is_printable(c);
            signs.break_space |= !first && c == ' ' && is_break(before);
            signs.space_break |= !first && is_break(c) && before == ' ';
            before = c;
            first = false;
        }
        signs
    }

    fn plain_allowed(&self) -> bool {
        !(self.empty
            || self.indicator
            || self.leading
            || self.trailing
            || self.break_space
            || self.space_break
            || self.tab
            || self.special
            || self.breaks)
    }

    fn single_allowed(&self) -> bool {
        !(self.break_space || self.space_break || self.tab || self.special)
    }

    fn block_allowed(&self) -> bool {
        !(self.empty || self.trailing_space || self.space_break || self.special)
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

fn single_quoted(text: &str, out: &mut String) {
    out.push('\'');
    out.push_str(&text.replace('\'', "''"));
    out.push('\'');
}

fn double_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            c if is_printable(c) => {
                out.push(c);
                continue;
            }
            c => {
                let number = u32::from(c);
                out.push_str(&match number {
                    0..=0xff => format!("\\x{number:02X}"),
                    0x100..=0xffff => format!("\\u{number:04X}"),
                    _ => format!("\\U{number:08X}"),
                });
                continue;
            }
        };
        out.push('\\');
        out.push(short);
    }
    out.push('"');
}

fn literal(text: &str, depth: usize, out: &mut String) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text.ends_with("\n\n") || text == "\n" {
        out.push('+');
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&"  ".repeat(depth));
            out.push_str(line);
        }
    }
}
