//! `--gpus all`, `--gpus 2`, `--gpus '"device=0,1",capabilities=utility'`.

use serde_json::{Map, Value, json};

use super::csv;

/// One `--gpus`, in the API's form of a device request.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut request =
        json!({"Driver": "", "Count": 0, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": {}});
    let count = |text: &str| -> Result<i64, String> {
        match text {
            "all" => Ok(-1),
            n => n.parse().map_err(|_| {
                format!("invalid count ({n}): value must be either \"all\" or an integer: invalid syntax")
            }),
        }
    };
    let mut seen = Vec::new();
    let mut options = Map::new();
    for field in csv::fields(text)? {
        let (key, value) = field.split_once('=').unwrap_or((&field, ""));
        let key = if value.is_empty() && !field.contains('=') {
            request["Count"] = json!(count(&field)?);
            "count"
        } else {
            match key {
                "driver" => request["Driver"] = json!(value),
                "count" => request["Count"] = json!(count(value)?),
                "device" => request["DeviceIDs"] = json!(value.split(',').collect::<Vec<_>>()),
                "capabilities" => {
                    let mut all = vec!["gpu"];
                    all.extend(value.split(',').filter(|c| *c != "gpu"));
                    request["Capabilities"] = json!([all]);
                }
                "options" => {
                    for option in csv::fields(value)? {
                        let (k, v) = option.split_once('=').unwrap_or((&option, ""));
                        options.insert(k.to_owned(), json!(v));
                    }
                }
                _ => return Err(format!("unexpected key '{key}' in '{field}'")),
            }
            key
        };
        if seen.contains(&key.to_owned()) {
            return Err(format!("gpu request key '{key}' can be specified only once"));
        }
        seen.push(key.to_owned());
    }
    if !seen.iter().any(|k| k == "count") && request["DeviceIDs"].is_null() {
        request["Count"] = json!(1);
    }
    request["Options"] = Value::Object(options);
    Ok(request)
}

/// The check of the flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        assert_eq!(parse("all").unwrap()["Count"], -1);
        let two = parse("\"device=0,1\",capabilities=utility").unwrap();
        assert_eq!(two["DeviceIDs"], json!(["0", "1"]));
        assert_eq!(two["Capabilities"], json!([["gpu", "utility"]]));
        assert_eq!(parse("driver=nvidia").unwrap()["Count"], 1);
        assert!(parse("count=1,2").is_err() && parse("x").is_err() && parse("foo=1").is_err());
    }
}
