//! Progress as JSON, a line for all that came at once: BuildKit's `SolveStatus`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::proto::Timestamp;
use gantry_buildkit::proto::control::{StatusResponse, Vertex};
use serde_json::{Map, Value, json};

/// The line.
pub fn line(news: &StatusResponse) -> String {
    let mut all = Map::new();
    let mut put = |name: &str, list: Vec<Value>| {
        if !list.is_empty() {
            all.insert(name.to_owned(), Value::Array(list));
        }
    };
    put("vertexes", news.vertexes.iter().map(vertex).collect());
    let statuses = news.statuses.iter().map(|part| {
        filled(json!({
            "id": part.id, "vertex": part.vertex, "name": part.name, "total": part.total, "current": part.current,
            "timestamp": time(part.timestamp), "started": time(part.started), "completed": time(part.completed),
        }))
    });
    put("statuses", statuses.collect());
    let logs = news.logs.iter().map(|log| {
        filled(json!({
            "vertex": log.vertex, "stream": log.stream, "data": STANDARD.encode(&log.msg),
            "timestamp": time(log.timestamp),
        }))
    });
    put("logs", logs.collect());
    let warnings = news.warnings.iter().map(|warning| {
        filled(json!({
            "vertex": warning.vertex, "level": warning.level, "short": STANDARD.encode(&warning.short),
            "detail": warning.detail.iter().map(|text| STANDARD.encode(text)).collect::<Vec<_>>(),
            "url": warning.url,
        }))
    });
    put("warnings", warnings.collect());
    format!("{}\n", Value::Object(all))
}

fn vertex(vertex: &Vertex) -> Value {
    filled(json!({
        "digest": vertex.digest, "inputs": vertex.inputs, "name": vertex.name, "started": time(vertex.started),
        "completed": time(vertex.completed), "cached": vertex.cached, "error": vertex.error,
    }))
}

fn time(time: Option<Timestamp>) -> Value {
    let time = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok());
    time.map_or(Value::Null, |time| json!(time.to_string()))
}

/// Without what says nothing, as Go leaves it out.
fn filled(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|name, value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Number(number) => number.as_i64() != Some(0) || name == "current",
            _ => true,
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        let vertex = Vertex {
            digest: "sha256:a".into(),
            name: "x".into(),
            started: Some(Timestamp { seconds: 0, nanos: 5_000_000 }),
            ..Vertex::default()
        };
        let news = StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() };
        assert_eq!(
            line(&news),
            "{\"vertexes\":[{\"digest\":\"sha256:a\",\"name\":\"x\",\"started\":\"1970-01-01T00:00:00.005Z\"}]}\n"
        );
    }
}
