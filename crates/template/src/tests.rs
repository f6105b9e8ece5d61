use std::rc::Rc;

use serde_json::{Value, json};

use super::{Datum, MissingKey, Row, Template};

fn render(source: &str, data: Value) -> String {
    Template::parse(source).unwrap().execute(&Datum::Json(data)).unwrap()
}

fn fails(source: &str, data: Value) -> String {
    let template = match Template::parse(source) {
        Ok(t) => t.missing_key(MissingKey::Error),
        Err(err) => return err.to_string(),
    };
    template.execute(&Datum::Json(data)).unwrap_err().to_string()
}

struct Container;

impl Row for Container {
    fn type_name(&self) -> &str {
        "*formatter.ContainerContext"
    }
    fn column(&self, name: &str) -> Option<Datum> {
        (name == "Names").then(|| Datum::text("web"))
    }
    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        (name == "Label").then(|| match args {
            [Value::String(key)] => Ok(Value::String(format!("<{key}>"))),
            _ => Err("wrong number of args for Label: want 1 got 0".into()),
        })
    }
    fn json(&self) -> Value {
        json!({"Names": "web"})
    }
}

#[test]
fn fields_ranges_and_dockers_functions() {
    let data =
        json!({"State": {"Pid": 42, "Running": true}, "Tags": ["a", "b"], "Env": {"B": "2", "A": "1"}});
    assert_eq!(render("{{.State.Pid}}", data.clone()), "42");
    assert_eq!(render("{{json .State}}", data.clone()), r#"{"Pid":42,"Running":true}"#);
    assert_eq!(render("{{range $k, $v := .Env}}{{$k}}={{$v}};{{end}}", data.clone()), "A=1;B=2;");
    assert_eq!(render("{{join .Tags \",\" | upper}}", data.clone()), "A,B");
    assert_eq!(render("{{index .Tags 1}}{{len .Tags}}", data.clone()), "b2");
    assert_eq!(render("{{if eq .State.Pid 42}}yes{{else}}no{{end}}", data.clone()), "yes");
    assert_eq!(render("{{range split \"a:b\" \":\"}}[{{.}}]{{end}}", data.clone()), "[a][b]");
    assert_eq!(
        render("{{pad \"x\" 1 2}}|{{truncate \"abcdef\" 3}}|{{title \"a bc\"}}", data.clone()),
        " x  |abc|A Bc"
    );
    assert_eq!(
        render("{{printf \"%-5s|%05d|%q|%v\" \"ab\" 7 \"x\" .Tags}}", data.clone()),
        "ab   |00007|\"x\"|[a b]"
    );
    assert_eq!(render("{{println 1 2}}", data.clone()), "1 2\n");
    assert_eq!(render("{{.}}", json!({"b": null, "a": 1.5e21})), "map[a:1.5e+21 b:<nil>]");
    assert_eq!(render("{{.Nope}}", data), "<no value>");
    assert_eq!(render("{{range .Tags}}{{.}}{{else}}none{{end}}", json!({"Tags": []})), "none");
    assert_eq!(render("{{with .A}}{{.B}}{{$.C}}{{end}}", json!({"A": {"B": 1}, "C": 2})), "12");
}

#[test]
fn rows_are_called_with_arguments() {
    let row = Datum::Row(Rc::new(Container));
    let t = Template::parse("{{.Names}} {{.Label \"x\"}} {{json .}}").unwrap();
    assert_eq!(t.execute(&row).unwrap(), "web <x> {\"Names\":\"web\"}");
    let err = Template::parse("{{.Foo}}").unwrap().execute(&row).unwrap_err();
    assert_eq!(
        err.to_string(),
        "template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext"
    );
    assert!(t.mentions("Label") && !t.mentions("Nam"));
}

#[test]
fn errors_read_as_gos() {
    assert_eq!(
        fails("{{.Foo}}", json!({})),
        "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""
    );
    assert_eq!(
        fails("a\n  {{.A.Looooooooooooooooong}}", json!({"A": {}})),
        "template: :2:4: executing \"\" at <.A.Loooooooooooooooo...>: map has no entry for key \"Looooooooooooooooong\""
    );
    assert_eq!(
        fails("{{.A.B}}", json!({"A": null})).split(">: ").nth(1),
        Some("nil pointer evaluating interface {}.B")
    );
    assert_eq!(fails("{{nope 1}}", json!({})), "template: :1: function \"nope\" not defined");
    assert!(fails("{{.A", json!({})).starts_with("template: :1: unclosed action"));
    assert!(
        fails("{{index .A 3}}", json!({"A": []})).ends_with("error calling index: index out of range: 3")
    );
}

#[test]
fn a_header_leaves_column_names_alone() {
    let t = Template::parse("{{upper .Names}}\t{{json .ID}}").unwrap();
    let header = Datum::Json(json!({"Names": "Names", "ID": "CONTAINER ID"}));
    assert_eq!(t.execute_header(&header).unwrap(), "Names\tCONTAINER ID");
}

#[test]
fn hostile_templates_are_bounded() {
    let nested = "{{if true}}".repeat(100_000);
    assert!(Template::parse(&nested).is_err());
    let loops = "{{range 1000000}}{{range 1000000}}x{{end}}{{end}}";
    assert!(fails(loops, json!({})).contains("too many iterations"));
    let wide = "{{printf \"%999999999d\" 1}}";
    assert!(render(wide, json!({})).len() <= 1 << 16);
    let recursive = "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}";
    assert!(fails(recursive, json!({})).contains("depth"));
    assert!(Template::parse(&"x".repeat(2 << 20)).is_err());
}
