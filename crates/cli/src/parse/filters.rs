//! `--filter name=value`, as the API wants them: `{"name": {"value": true}}`.

use serde_json::{Map, Value, json};

/// The filters as a JSON object; empty when there are none.
pub fn to_map(filters: &[String]) -> Map<String, Value> {
    let mut map = Map::new();
    for filter in filters {
        let Some((name, value)) = filter.split_once('=') else { continue };
        add(&mut map, &name.trim().to_lowercase(), value.trim());
    }
    map
}

/// Adds one condition.
pub fn add(map: &mut Map<String, Value>, name: &str, value: &str) {
    if let Value::Object(values) = map.entry(name.to_owned()).or_insert_with(|| json!({})) {
        values.insert(value.to_owned(), json!(true));
    }
}

/// The query's text; empty when there are none.
pub fn encode(filters: &[String]) -> String {
    encode_map(&to_map(filters))
}

/// The same for filters already collected.
pub fn encode_map(map: &Map<String, Value>) -> String {
    if map.is_empty() { String::new() } else { Value::Object(map.clone()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_gather() {
        let filters = ["Status=running".to_owned(), "status=exited ".to_owned(), "label=a=b".to_owned()];
        assert_eq!(encode(&filters), r#"{"status":{"running":true,"exited":true},"label":{"a=b":true}}"#);
        assert_eq!(encode(&[]), "");
    }
}
