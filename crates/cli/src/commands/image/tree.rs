//! `images --tree`: each image with its platforms below it.

use gantry_client::Query;
use serde_json::Value;

use crate::failure::Outcome;
use crate::format::{align, short_id};
use crate::parse::size;
use crate::print;
use crate::session::Session;

/// Shows the tree of the images that `query` finds.
pub async fn show(s: &Session, query: Query) -> Outcome {
    let images = s.client()?.image_list(query).await?;
    let human = |v: &Value| size::human_precise(v.as_f64().unwrap_or(0.0), 3);
    let mut text = String::from("IMAGE\tID\tDISK USAGE\tCONTENT SIZE\n");
    for image in &images {
        let names: Vec<&str> =
            image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let id = short_id(image["Id"].as_str().unwrap_or_default());
        let name = names.first().copied().unwrap_or("<untagged>");
        text.push_str(&format!("\n{name}\t{id}\t{}\t{}\n", human(&image["Size"]), content(image)));
        for more in names.iter().skip(1) {
            text.push_str(&format!("{more}\t\t\t\n"));
        }
        let manifests: Vec<&Value> =
            image["Manifests"].as_array().into_iter().flatten().filter(|m| m["Kind"] == "image").collect();
        for (at, manifest) in manifests.iter().enumerate() {
            let branch = if at + 1 == manifests.len() { "└─" } else { "├─" };
            let platform = &manifest["ImageData"]["Platform"];
            let word = |key: &str| platform[key].as_str().unwrap_or_default();
            let mut place = format!("{}/{}", word("os"), word("architecture"));
            if !word("variant").is_empty() {
                place = format!("{place}/{}", word("variant"));
            }
            let id = short_id(manifest["ID"].as_str().unwrap_or_default());
            let sizes = &manifest["Size"];
            text.push_str(&format!(
                "{branch} {place}\t{id}\t{}\t{}\n",
                human(&sizes["Total"]),
                human(&sizes["Content"])
            ));
        }
    }
    print::out(&align(&text));
    Ok(())
}

fn content(image: &Value) -> String {
    let sum: f64 = image["Manifests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|m| m["Size"]["Content"].as_f64())
        .sum();
    size::human_precise(sum, 3)
}
