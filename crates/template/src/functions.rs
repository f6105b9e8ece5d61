//! What a template may call: Go's built-in functions and Docker's.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use gotmpl::parse::{DefineNode, Expr, ListNode, Node, PipeNode};
use serde_json::Value;

use crate::bounds::MAX_WIDTH;
use crate::error::TemplateError;
use crate::print::{self, display};
use crate::printf::sprintf;
use crate::value::Datum;

/// Which functions a template is executed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    /// Docker's: `json`, `split`, `join`, `title`, `lower`, `upper`, `pad`, `truncate`.
    Values,
    /// The same names for a table's header, where they leave the column's name as it is (all but `pad`).
    Header,
}

const KNOWN: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "join", "js", "json", "le", "len", "lower", "lt", "ne",
    "not", "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
    "urlquery",
];

type Outcome = Result<Datum, String>;

pub(crate) fn call(set: Functions, name: &str, args: &[Datum]) -> Outcome {
    if set == Functions::Header
        && matches!(name, "json" | "split" | "join" | "title" | "lower" | "upper" | "truncate")
        && let Some(first) = args.first()
    {
        return Ok(first.clone());
    }
    let want = |n: usize| match args.len() == n {
        true => Ok(()),
        false => Err(format!("wrong number of args for {name}: want {n} got {}", args.len())),
    };
    match name {
        "json" => want(1).and_then(|()| json(&args[0])),
        "lower" => want(1).and_then(|()| Ok(Datum::text(text(&args[0])?.to_lowercase()))),
        "upper" => want(1).and_then(|()| Ok(Datum::text(text(&args[0])?.to_uppercase()))),
        "title" => want(1).and_then(|()| Ok(Datum::text(title(&text(&args[0])?)))),
        "split" => want(2).and_then(|()| {
            let (source, by) = (text(&args[0])?, text(&args[1])?);
            let parts: Vec<Value> = match by.is_empty() {
                true => source.chars().map(|c| Value::String(c.into())).collect(),
                false => source.split(by.as_str()).map(Value::from).collect(),
            };
            Ok(Datum::Json(Value::Array(parts)))
        }),
        "join" => want(2).and_then(|()| join(&args[0], &text(&args[1])?)),
        "pad" => want(3).and_then(|()| {
            let source = text(&args[0])?;
            if source.is_empty() {
                return Ok(Datum::text(source));
            }
            let (before, after) = (width(&args[1])?, width(&args[2])?);
            Ok(Datum::text(format!("{}{source}{}", " ".repeat(before), " ".repeat(after))))
        }),
        "truncate" => want(2).and_then(|()| {
            let (source, length) = (text(&args[0])?, width(&args[1])?);
            if source.len() < length {
                return Ok(Datum::text(source));
            }
            let cut = (0..=length).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
            Ok(Datum::text(&source[..cut]))
        }),
        "len" => want(1).and_then(|()| len(&args[0])),
        "index" => index(args),
        "slice" => slice(args),
        "not" => want(1).map(|()| Datum::Json(Value::Bool(!args[0].is_true()))),
        "print" => Ok(Datum::text(print_all(args, false))),
        "println" => Ok(Datum::text(print_all(args, true) + "\n")),
        "printf" => {
            let Some(format) = args.first() else {
                return Err("wrong number of args for printf: want at least 1 got 0".into());
            };
            let rest: Vec<Value> = args[1..].iter().map(Datum::json).collect();
            Ok(Datum::text(sprintf(&text(format)?, &rest)))
        }
        "html" => Ok(Datum::text(gotmpl::html_escape(&print_all(args, false)).to_string())),
        "js" => Ok(Datum::text(gotmpl::js_escape(&print_all(args, false)).to_string())),
        "urlquery" => Ok(Datum::text(gotmpl::url_encode(&print_all(args, false)).to_string())),
        "eq" => compare_any(args),
        "ne" => want(2).and_then(|()| Ok(Datum::Json(Value::Bool(!equal(&args[0], &args[1])?)))),
        "lt" => want(2).and_then(|()| order(args, |o| o == Ordering::Less)),
        "le" => want(2).and_then(|()| order(args, |o| o != Ordering::Greater)),
        "gt" => want(2).and_then(|()| order(args, |o| o == Ordering::Greater)),
        "ge" => want(2).and_then(|()| order(args, |o| o != Ordering::Less)),
        "call" => Err("error calling call: non-function".into()),
        _ => Err(format!("\"{name}\" is not a defined function")),
    }
}

fn text(datum: &Datum) -> Result<String, String> {
    match datum {
        Datum::Json(Value::String(s)) => Ok(s.clone()),
        Datum::Missing | Datum::Json(Value::Null) => Err("invalid value; expected string".to_string()),
        other => Err(format!("wrong type for value; expected string; got {}", other.type_name())),
    }
}

fn width(datum: &Datum) -> Result<usize, String> {
    match datum.json().as_i64() {
        Some(n) if n >= 0 => Ok((n as usize).min(MAX_WIDTH)),
        Some(_) => Err("negative length".into()),
        None => Err(format!("expected integer; found {}", display(&datum.json()))),
    }
}

fn json(datum: &Datum) -> Outcome {
    let text = serde_json::to_string(&datum.json()).map_err(|e| e.to_string())?;
    Ok(Datum::text(match datum {
        // Docker's rows write themselves, and they keep HTML out of strings; nothing else does.
        Datum::Row(_) => text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
        _ => text,
    }))
}

fn title(source: &str) -> String {
    let mut start = true;
    source
        .chars()
        .map(|c| {
            let out = if start { c.to_ascii_uppercase() } else { c };
            start = !(c.is_alphanumeric() || c == '_' || c == '\'');
            out
        })
        .collect()
}

fn join(list: &Datum, by: &str) -> Outcome {
    match list.json() {
        Value::Null => Ok(Datum::text("")),
        Value::Array(items) => Ok(Datum::text(items.iter().map(display).collect::<Vec<_>>().join(by))),
        Value::Object(map) => {
            let mut items: Vec<String> = map.values().map(display).collect();
            items.sort();
            Ok(Datum::text(items.join(by)))
        }
        _ => Err(format!("error calling join: expected slice, got {}", list.type_name())),
    }
}

fn len(datum: &Datum) -> Outcome {
    let n = match datum {
        Datum::Json(Value::String(s)) => s.len(),
        Datum::Json(Value::Array(a)) => a.len(),
        Datum::Json(Value::Object(o)) => o.len(),
        Datum::Missing | Datum::Json(Value::Null) => {
            return Err("error calling len: len of nil pointer".into());
        }
        other => return Err(format!("error calling len: len of type {}", other.type_name())),
    };
    Ok(Datum::Json(n.into()))
}

fn index(args: &[Datum]) -> Outcome {
    let Some((first, keys)) = args.split_first() else {
        return Err("wrong number of args for index: want at least 1 got 0".into());
    };
    let mut at = first.json();
    for key in keys {
        let key = key.json();
        at = match (&at, &key) {
            (Value::Null, _) => return Err("error calling index: index of untyped nil".into()),
            (Value::Array(items), Value::Number(n)) => match n.as_u64().and_then(|n| items.get(n as usize)) {
                Some(item) => item.clone(),
                None => return Err(format!("error calling index: index out of range: {n}")),
            },
            (Value::String(s), Value::Number(n)) => {
                match n.as_u64().and_then(|n| s.as_bytes().get(n as usize)) {
                    Some(byte) => Value::from(*byte),
                    None => return Err(format!("error calling index: index out of range: {n}")),
                }
            }
            (Value::Object(map), Value::String(k)) => match map.get(k) {
                Some(item) => item.clone(),
                None => return Ok(Datum::Missing),
            },
            (Value::Array(_) | Value::String(_), other) => {
                let got = Datum::Json(other.clone());
                return Err(format!(
                    "error calling index: cannot index slice/array with type {}",
                    got.type_name()
                ));
            }
            (Value::Object(_), other) => {
                let got = Datum::Json(other.clone());
                return Err(format!(
                    "error calling index: value has type {}; should be string",
                    got.type_name()
                ));
            }
            (other, _) => {
                let got = Datum::Json(other.clone());
                return Err(format!("error calling index: can't index item of type {}", got.type_name()));
            }
        };
    }
    Ok(Datum::Json(at))
}

fn slice(args: &[Datum]) -> Outcome {
    let Some((first, bounds)) = args.split_first() else {
        return Err("wrong number of args for slice: want at least 1 got 0".into());
    };
    let total = match first.json() {
        Value::String(s) => s.len(),
        Value::Array(a) => a.len(),
        _ => return Err(format!("error calling slice: can't slice item of type {}", first.type_name())),
    };
    let mut cut = [0, total, total];
    for (at, bound) in bounds.iter().enumerate() {
        if at > 2 {
            return Err(format!("error calling slice: too many slice indexes: {}", bounds.len()));
        }
        let n = width(bound).map_err(|e| format!("error calling slice: {e}"))?;
        if n > total {
            return Err(format!("error calling slice: index out of range: {n}"));
        }
        cut[at] = n;
    }
    if cut[0] > cut[1] {
        return Err(format!("error calling slice: invalid slice index: {} > {}", cut[0], cut[1]));
    }
    Ok(match first.json() {
        Value::String(s) => match s.get(cut[0]..cut[1]) {
            Some(part) => Datum::text(part),
            None => return Err("error calling slice: index inside a character".into()),
        },
        Value::Array(a) => Datum::Json(Value::Array(a[cut[0]..cut[1]].to_vec())),
        _ => Datum::Missing,
    })
}

/// `fmt.Sprint` puts a space between two operands when neither is a string, `fmt.Sprintln` always.
fn print_all(args: &[Datum], always: bool) -> String {
    let mut out = String::new();
    let mut last_is_text = true;
    for (i, arg) in args.iter().enumerate() {
        let value = arg.json();
        let is_text = value.is_string();
        if i > 0 && (always || (!is_text && !last_is_text)) {
            out.push(' ');
        }
        print::value(&value, &mut out);
        last_is_text = is_text;
    }
    out
}

fn compare_any(args: &[Datum]) -> Outcome {
    let Some((first, rest)) = args.split_first() else {
        return Err("wrong number of args for eq: want at least 1 got 0".into());
    };
    if rest.is_empty() {
        return Err("error calling eq: missing argument for comparison".into());
    }
    for other in rest {
        if equal(first, other)? {
            return Ok(Datum::Json(Value::Bool(true)));
        }
    }
    Ok(Datum::Json(Value::Bool(false)))
}

fn equal(a: &Datum, b: &Datum) -> Result<bool, String> {
    match (a.json(), b.json()) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (Value::Number(a), Value::Number(b)) => Ok(a.as_f64() == b.as_f64()),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err("error calling eq: non-comparable type".into())
        }
        _ => Err("error calling eq: incompatible types for comparison".into()),
    }
}

fn order(args: &[Datum], wanted: impl Fn(Ordering) -> bool) -> Outcome {
    let found = match (args[0].json(), args[1].json()) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64().partial_cmp(&b.as_f64()),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(&b)),
        _ => return Err("error calling lt: incompatible types for comparison".into()),
    };
    Ok(Datum::Json(Value::Bool(found.is_some_and(wanted))))
}

/// Go refuses an unknown function when it parses, before any data is seen.
pub(crate) fn check_known(tree: &ListNode, defines: &[DefineNode]) -> Result<(), TemplateError> {
    let mut unknown = BTreeSet::new();
    list(tree, &mut unknown);
    for define in defines {
        list(&define.body, &mut unknown);
    }
    match unknown.into_iter().next() {
        Some((line, name)) => Err(TemplateError::parse(line, format!("function \"{name}\" not defined"))),
        None => Ok(()),
    }
}

fn list(nodes: &ListNode, unknown: &mut BTreeSet<(usize, String)>) {
    for node in &nodes.nodes {
        match node {
            Node::List(inner) => list(inner, unknown),
            Node::Action(action) => pipe(&action.pipe, unknown),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                pipe(&branch.pipe, unknown);
                list(&branch.body, unknown);
                if let Some(other) = &branch.else_body {
                    list(other, unknown);
                }
            }
            Node::Template(call) => {
                if let Some(p) = &call.pipe {
                    pipe(p, unknown);
                }
            }
            Node::Define(define) => list(&define.body, unknown),
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

fn pipe(p: &PipeNode, unknown: &mut BTreeSet<(usize, String)>) {
    for command in &p.commands {
        for arg in &command.args {
            expression(arg, unknown);
        }
    }
}

fn expression(e: &Expr, unknown: &mut BTreeSet<(usize, String)>) {
    match e {
        Expr::Identifier(pos, name) if !KNOWN.contains(&name.as_str()) => {
            unknown.insert((pos.line, name.to_string()));
        }
        Expr::Pipe(_, p) => pipe(p, unknown),
        Expr::Chain(_, inner, _) => expression(inner, unknown),
        _ => {}
    }
}
