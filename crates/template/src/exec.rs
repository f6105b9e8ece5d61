//! The walk over a template's tree.

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos};
use serde_json::Value;

use crate::bounds::{MAX_DEPTH, MAX_ITERATIONS, MAX_OUTPUT};
use crate::error::TemplateError;
use crate::functions::{self, Functions};
use crate::value::Datum;
use crate::{Template, print, show};

/// What a key that is not there means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// It prints as `<no value>`.
    NoValue,
    /// It is an error: `map has no entry for key "Foo"`.
    Error,
}

enum Stop {
    Failed(Box<TemplateError>),
    Break,
    Continue,
}

impl From<TemplateError> for Stop {
    fn from(err: TemplateError) -> Stop {
        Stop::Failed(Box::new(err))
    }
}

struct Walk<'t> {
    template: &'t Template,
    functions: Functions,
    out: String,
    variables: Vec<(String, Datum)>,
    iterations: u64,
    depth: usize,
}

pub(crate) fn execute(
    template: &Template,
    data: &Datum,
    functions: Functions,
) -> Result<String, TemplateError> {
    let mut walk = Walk {
        template,
        functions,
        out: String::new(),
        variables: vec![("$".into(), data.clone())],
        iterations: 0,
        depth: 0,
    };
    match walk.list(&template.tree, data) {
        Ok(()) => Ok(walk.out),
        Err(Stop::Failed(err)) => Err(*err),
        Err(Stop::Break | Stop::Continue) => Err(TemplateError::Bound("break outside of a range")),
    }
}

impl Walk<'_> {
    fn fail(&self, pos: Pos, context: String, message: impl Into<String>) -> Stop {
        let source = &self.template.source;
        let at = pos.offset.min(source.len());
        let column = match source.get(..at).and_then(|s| s.rfind('\n')) {
            Some(newline) => at - newline - 1,
            None => at,
        };
        TemplateError::Execute {
            line: pos.line,
            column,
            context: show::shorten(context),
            message: message.into(),
        }
        .into()
    }

    fn list(&mut self, list: &ListNode, dot: &Datum) -> Result<(), Stop> {
        for node in &list.nodes {
            self.node(node, dot)?;
            if self.out.len() > MAX_OUTPUT {
                return Err(TemplateError::Bound("output too large").into());
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Datum) -> Result<(), Stop> {
        match node {
            Node::Text(text) => self.out.push_str(&text.text),
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot)?;
                if action.pipe.decl.is_empty() {
                    print::action(&value, &mut self.out);
                }
            }
            Node::If(branch) => self.branch(branch, dot, false)?,
            Node::With(branch) => self.branch(branch, dot, true)?,
            Node::Range(branch) => self.deeper(|walk| walk.range(branch, dot))?,
            Node::Template(call) => {
                let inner = match &call.pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Datum::Missing,
                };
                let template = self.template;
                let Some(body) = template.defines.get(call.name.as_str()) else {
                    let message = format!("template \"{}\" not defined", call.name);
                    return Err(self.fail(call.pos, format!("{{{{template \"{}\"}}}}", call.name), message));
                };
                self.deeper(|walk| {
                    let kept = std::mem::replace(&mut walk.variables, vec![("$".into(), inner.clone())]);
                    let done = walk.list(body, &inner);
                    walk.variables = kept;
                    done
                })?;
            }
            Node::Define(_) => {}
            Node::List(list) => self.list(list, dot)?,
            Node::Break(_) => return Err(Stop::Break),
            Node::Continue(_) => return Err(Stop::Continue),
        }
        Ok(())
    }

    fn deeper(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        if self.depth >= MAX_DEPTH {
            return Err(TemplateError::Bound("exceeded maximum template depth").into());
        }
        self.depth += 1;
        let mark = self.variables.len();
        let done = work(self);
        self.variables.truncate(mark);
        self.depth -= 1;
        done
    }

    fn branch(&mut self, branch: &BranchNode, dot: &Datum, with: bool) -> Result<(), Stop> {
        self.deeper(|walk| {
            let value = walk.pipe(&branch.pipe, dot)?;
            if value.is_true() {
                walk.list(&branch.body, if with { &value } else { dot })
            } else if let Some(other) = &branch.else_body {
                walk.list(other, dot)
            } else {
                Ok(())
            }
        })
    }

    fn range(&mut self, branch: &BranchNode, dot: &Datum) -> Result<(), Stop> {
        // The declared variables are set per item, not by the pipeline.
        let over = self.commands(&branch.pipe, dot)?;
        let items: Vec<(Value, Datum)> = match over.json() {
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(i, v)| (Value::from(i), Datum::Json(v))).collect()
            }
            Value::Object(map) => {
                let mut pairs: Vec<_> = map.into_iter().collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs.into_iter().map(|(k, v)| (Value::String(k), Datum::Json(v))).collect()
            }
            Value::Number(n) if n.as_u64().is_some() => {
                let n = n.as_u64().unwrap_or(0).min(MAX_ITERATIONS + 1);
                (0..n).map(|i| (Value::from(i), Datum::Json(Value::from(i)))).collect()
            }
            Value::Null => Vec::new(),
            other => {
                let context = show::pipe(&branch.pipe);
                let message = format!("range can't iterate over {}", print::display(&other));
                return Err(self.fail(branch.pipe.pos, context, message));
            }
        };
        if items.is_empty() {
            return match &branch.else_body {
                Some(other) => self.list(other, dot),
                None => Ok(()),
            };
        }
        let mark = self.variables.len();
        for (key, item) in items {
            self.iterations += 1;
            if self.iterations > MAX_ITERATIONS {
                return Err(TemplateError::Bound("too many iterations").into());
            }
            let pairs: Vec<(&str, Datum)> = match branch.pipe.decl.as_slice() {
                [] => Vec::new(),
                [one] => vec![(one.as_str(), item.clone())],
                [first, second, ..] => {
                    vec![(first.as_str(), Datum::Json(key)), (second.as_str(), item.clone())]
                }
            };
            for (name, value) in pairs {
                match branch.pipe.is_assign {
                    true => self.assign(name, value),
                    false => self.variables.push((name.to_owned(), value)),
                }
            }
            let done = self.list(&branch.body, &item);
            self.variables.truncate(mark);
            match done {
                Ok(()) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(failed) => return Err(failed),
            }
        }
        Ok(())
    }

    fn assign(&mut self, name: &str, value: Datum) {
        match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            Some(slot) => slot.1 = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipe(&mut self, pipe: &PipeNode, dot: &Datum) -> Result<Datum, Stop> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.decl {
            match pipe.is_assign {
                true => self.assign(name, value.clone()),
                false => self.variables.push((name.to_string(), value.clone())),
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &PipeNode, dot: &Datum) -> Result<Datum, Stop> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or(Datum::Missing))
    }

    fn command(&mut self, command: &CommandNode, dot: &Datum, piped: Option<Datum>) -> Result<Datum, Stop> {
        let Some((first, rest)) = command.args.split_first() else { return Ok(Datum::Missing) };
        let has_args = !rest.is_empty() || piped.is_some();
        match first {
            Expr::Identifier(pos, name) => self.function(*pos, name, rest, dot, piped, command),
            Expr::Chain(_, inner, fields) if matches!(**inner, Expr::Identifier(..)) => {
                let Expr::Identifier(pos, name) = &**inner else { return Ok(Datum::Missing) };
                let value = self.function(*pos, name, rest, dot, piped, command)?;
                self.fields(value, fields, first)
            }
            Expr::Field(_, fields) if has_args => {
                let (last, before) = match fields.split_last() {
                    Some(split) => split,
                    None => return Ok(Datum::Missing),
                };
                let target = self.fields(dot.clone(), before, first)?;
                let mut args = Vec::with_capacity(rest.len() + 1);
                for arg in rest {
                    args.push(self.expression(arg, dot)?.json());
                }
                args.extend(piped.map(|p| p.json()));
                self.method(target, last, &args, first)
            }
            Expr::Nil(pos) => Err(self.fail(*pos, "nil".into(), "nil is not a command")),
            _ if has_args => {
                let context = show::expr(first);
                let message = format!("can't give argument to non-function {context}");
                Err(self.fail(first.pos(), context, message))
            }
            _ => self.expression(first, dot),
        }
    }

    fn method(&self, target: Datum, name: &str, args: &[Value], at: &Expr) -> Result<Datum, Stop> {
        let context = show::expr(at);
        if let Datum::Row(row) = &target {
            return match row.call(name, args) {
                Some(Ok(value)) => Ok(Datum::Json(value)),
                Some(Err(message)) => Err(self.fail(at.pos(), context, message)),
                None if row.column(name).is_some() => {
                    let message = format!("wrong number of args for {name}: want 0 got {}", args.len());
                    Err(self.fail(at.pos(), context, message))
                }
                None => {
                    let message = format!("can't evaluate field {name} in type {}", row.type_name());
                    Err(self.fail(at.pos(), context, message))
                }
            };
        }
        let message = format!("{name} has arguments but cannot be invoked as function");
        Err(self.fail(at.pos(), context, message))
    }

    fn function(
        &mut self,
        pos: Pos,
        name: &str,
        rest: &[Expr],
        dot: &Datum,
        piped: Option<Datum>,
        command: &CommandNode,
    ) -> Result<Datum, Stop> {
        if name == "and" || name == "or" {
            return self.short_circuit(name == "or", rest, dot, piped);
        }
        let mut args = Vec::with_capacity(rest.len() + 1);
        for arg in rest {
            args.push(self.expression(arg, dot)?);
        }
        args.extend(piped);
        functions::call(self.functions, name, &args).map_err(|message| {
            // Go points at the argument for a wrong type and at the call otherwise; the call is enough here.
            self.fail(pos, show::command(command), message)
        })
    }

    fn short_circuit(
        &mut self,
        stop_at: bool,
        rest: &[Expr],
        dot: &Datum,
        piped: Option<Datum>,
    ) -> Result<Datum, Stop> {
        let mut last = Datum::Missing;
        for arg in rest {
            last = self.expression(arg, dot)?;
            if last.is_true() == stop_at {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    fn expression(&mut self, e: &Expr, dot: &Datum) -> Result<Datum, Stop> {
        match e {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(_, fields) => self.fields(dot.clone(), fields, e),
            Expr::Variable(pos, name, fields) => {
                match self.variables.iter().rev().find(|(n, _)| n == name.as_str()) {
                    Some((_, value)) => self.fields(value.clone(), fields, e),
                    None => Err(self.fail(*pos, show::expr(e), format!("undefined variable: {name}"))),
                }
            }
            Expr::String(_, s) => Ok(Datum::text(&**s)),
            Expr::Number(_, Number::Int(n)) => Ok(Datum::Json((*n).into())),
            Expr::Number(_, Number::Float(n)) => Ok(Datum::Json((*n).into())),
            Expr::Number(pos, Number::Uint(n)) => {
                Err(self.fail(*pos, n.to_string(), format!("{n} overflows int")))
            }
            Expr::Bool(_, b) => Ok(Datum::Json((*b).into())),
            Expr::Nil(_) => Ok(Datum::Json(Value::Null)),
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot),
            Expr::Identifier(pos, name) => {
                functions::call(self.functions, name, &[]).map_err(|m| self.fail(*pos, show::expr(e), m))
            }
            Expr::Chain(_, inner, fields) => {
                let value = self.expression(inner, dot)?;
                self.fields(value, fields, e)
            }
        }
    }

    fn fields<S: AsRef<str>>(&self, mut value: Datum, fields: &[S], at: &Expr) -> Result<Datum, Stop> {
        for field in fields {
            value = self.field(value, field.as_ref(), at)?;
        }
        Ok(value)
    }

    fn field(&self, value: Datum, name: &str, at: &Expr) -> Result<Datum, Stop> {
        let message = match &value {
            Datum::Row(row) => match row.column(name) {
                Some(found) => return Ok(found),
                None if row.call(name, &[]).is_some() => {
                    format!("wrong number of args for {name}: want 1 got 0")
                }
                None => format!("can't evaluate field {name} in type {}", row.type_name()),
            },
            Datum::Json(Value::Object(map)) => match (map.get(name), self.template.missing_key) {
                (Some(found), _) => return Ok(Datum::Json(found.clone())),
                (None, MissingKey::NoValue) => return Ok(Datum::Missing),
                (None, MissingKey::Error) => format!("map has no entry for key \"{name}\""),
            },
            Datum::Missing if self.template.missing_key == MissingKey::NoValue => return Ok(Datum::Missing),
            Datum::Missing | Datum::Json(Value::Null) => {
                format!("nil pointer evaluating interface {{}}.{name}")
            }
            Datum::Json(_) => format!("can't evaluate field {name} in type interface {{}}"),
        };
        // Go's position is that of the field itself in a chain; its dot is the expression's first for one field.
        Err(self.fail(at.pos(), show::expr(at), message))
    }
}
