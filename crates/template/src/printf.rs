//! Go's `fmt.Sprintf` for the values a template can hold.

use serde_json::Value;

use crate::bounds::MAX_WIDTH;
use crate::print;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// The text of `format` filled with `args`; mistakes are told inside the text, as Go does (`%!d(string=x)`).
pub(crate) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(&f) = chars.peek() {
            match f {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '0' => spec.zero = true,
                ' ' => spec.space = true,
                '#' => spec.sharp = true,
                _ => break,
            }
            chars.next();
        }
        spec.width = number(&mut chars, args, &mut next);
        if chars.peek() == Some(&'.') {
            chars.next();
            spec.precision = Some(number(&mut chars, args, &mut next).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.get(next) {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(arg) => {
                    next += 1;
                    pad(&mut out, &spec, &one(verb, &spec, arg));
                }
            },
        }
    }
    if next < args.len() {
        let extra: Vec<String> =
            args[next..].iter().map(|a| format!("{}={}", type_name(a), print::display(a))).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn number(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    args: &[Value],
    next: &mut usize,
) -> Option<usize> {
    if chars.peek() == Some(&'*') {
        chars.next();
        let n = args.get(*next).and_then(Value::as_u64).unwrap_or(0);
        *next += 1;
        return Some((n as usize).min(MAX_WIDTH));
    }
    let mut found = None;
    while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        found = Some((found.unwrap_or(0usize) * 10 + d as usize).min(MAX_WIDTH));
    }
    found
}

fn pad(out: &mut String, spec: &Spec, text: &str) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if spec.zero {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(d) => ("-", d),
            None => ("", text),
        };
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

fn one(verb: char, spec: &Spec, arg: &Value) -> String {
    match (verb, arg) {
        ('v', _) if spec.sharp => format!("{arg}"),
        ('v', Value::Number(n)) if spec.plus && !n.is_f64() && !n.to_string().starts_with('-') => {
            format!("+{n}")
        }
        ('v', _) => print::display(arg),
        ('s', Value::String(s)) => match spec.precision {
            Some(p) => s.chars().take(p).collect(),
            None => s.clone(),
        },
        ('s', Value::Array(_) | Value::Object(_)) => print::display(arg),
        ('q', Value::String(s)) => print::quote(s),
        ('q', Value::Array(items)) => {
            format!("[{}]", items.iter().map(|i| one('q', spec, i)).collect::<Vec<_>>().join(" "))
        }
        ('t', Value::Bool(b)) => b.to_string(),
        ('T', _) => type_name(arg).into(),
        ('x', Value::String(s)) => s.bytes().map(|b| format!("{b:02x}")).collect(),
        ('X', Value::String(s)) => s.bytes().map(|b| format!("{b:02X}")).collect(),
        ('d' | 'x' | 'X' | 'o' | 'b' | 'c' | 'U', Value::Number(n)) if !n.is_f64() => {
            integer(verb, spec, n.as_i64().unwrap_or(i64::MAX))
        }
        ('f' | 'F', Value::Number(n)) if n.is_f64() => {
            format!("{:.*}", spec.precision.unwrap_or(6), n.as_f64().unwrap_or(0.0))
        }
        ('g' | 'e', Value::Number(n)) if n.is_f64() => print::number(n),
        _ => format!("%!{verb}({}={})", type_name(arg), print::display(arg)),
    }
}

fn integer(verb: char, spec: &Spec, n: i64) -> String {
    let (sign, size) = (if n < 0 { "-" } else { "" }, n.unsigned_abs());
    match verb {
        'x' => format!("{sign}{}{size:x}", if spec.sharp { "0x" } else { "" }),
        'X' => format!("{sign}{}{size:X}", if spec.sharp { "0X" } else { "" }),
        'o' => format!("{sign}{size:o}"),
        'b' => format!("{sign}{size:b}"),
        'c' => u32::try_from(n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string(),
        'U' => format!("U+{size:04X}"),
        _ if spec.plus && n >= 0 => format!("+{n}"),
        _ if spec.space && n >= 0 => format!(" {n}"),
        _ => n.to_string(),
    }
}

fn type_name(v: &Value) -> &'static str {
    match v {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
