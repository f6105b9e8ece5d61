//! An expression as Go writes it back in an error: the `<.Foo>` of `executing "" at <.Foo>`.

use gotmpl::parse::{CommandNode, Expr, Number, PipeNode};

use crate::print::quote;

pub(crate) fn expr(e: &Expr) -> String {
    match e {
        Expr::Dot(_) => ".".into(),
        Expr::Field(_, names) => names.iter().map(|n| format!(".{n}")).collect(),
        Expr::Variable(_, name, fields) => {
            let mut out = if name.starts_with('$') { name.to_string() } else { format!("${name}") };
            for field in fields {
                out.push('.');
                out.push_str(field);
            }
            out
        }
        Expr::Identifier(_, name) => name.to_string(),
        Expr::String(_, s) => quote(s),
        Expr::Number(_, Number::Int(n)) => n.to_string(),
        Expr::Number(_, Number::Uint(n)) => n.to_string(),
        Expr::Number(_, Number::Float(n)) => n.to_string(),
        Expr::Bool(_, b) => b.to_string(),
        Expr::Nil(_) => "nil".into(),
        Expr::Pipe(_, p) => format!("({})", pipe(p)),
        Expr::Chain(_, inner, fields) => {
            let mut out = expr(inner);
            for field in fields {
                out.push('.');
                out.push_str(field);
            }
            out
        }
    }
}

pub(crate) fn command(c: &CommandNode) -> String {
    c.args.iter().map(expr).collect::<Vec<_>>().join(" ")
}

pub(crate) fn pipe(p: &PipeNode) -> String {
    p.commands.iter().map(command).collect::<Vec<_>>().join(" | ")
}

/// Go cuts the expression at 20 bytes.
pub(crate) fn shorten(text: String) -> String {
    if text.len() <= 20 {
        return text;
    }
    let cut = (0..=20).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..cut])
}
