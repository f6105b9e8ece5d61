//! A build that failed: what the step said last, the place in the Dockerfile, the reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::grpc::Status;
use gantry_buildkit::proto::errdefs;
use serde_json::Value;

use super::Story;

/// Lines of output that are shown.
const OUTPUT: usize = 20;

/// Lines of the Dockerfile shown around the place.
const AROUND: u64 = 2;

/// Everything that a person needs to mend it.
pub fn told(status: &Status, story: &Story) -> String {
    let mut out = String::new();
    if let Some(line) = story
        .lines()
        .iter()
        .find(|line| !line.vertex.error.is_empty() && !line.vertex.error.ends_with("context canceled"))
    {
        out.push_str(&format!("------\n > {}:\n", line.vertex.name));
        let output = String::from_utf8_lossy(&line.output);
        let lines: Vec<&str> = output.lines().collect();
        for text in &lines[lines.len().saturating_sub(OUTPUT)..] {
            out.push_str(text);
            out.push('\n');
        }
        out.push_str("------\n");
    }
    for detail in status.details.iter().filter(|detail| detail.type_url.ends_with(errdefs::SOURCE)) {
        if let Some(text) = source(&detail.value) {
            out.push_str(&text);
        }
    }
    out.push_str(&format!("ERROR: failed to solve: {}", status.message));
    out
}

/// The lines of a file around a place, those meant with `>>>`.
fn source(json: &[u8]) -> Option<String> {
    let detail: Value = serde_json::from_slice(json).ok()?;
    let file = detail["info"]["filename"].as_str().unwrap_or("Dockerfile");
    let text = STANDARD.decode(detail["info"]["data"].as_str()?).ok()?;
    let text = String::from_utf8_lossy(&text);
    let ranges = detail["ranges"].as_array()?;
    let first = ranges.iter().filter_map(|range| range["start"]["line"].as_u64()).min()?;
    let last = ranges.iter().filter_map(|range| range["end"]["line"].as_u64()).max().unwrap_or(first);
    let mut out = format!("{file}:{first}\n--------------------\n");
    for (number, line) in (1_u64..).zip(text.split('\n')) {
        if number + AROUND < first || number > last + AROUND {
            continue;
        }
        let mark = if (first..=last).contains(&number) { ">>>" } else { "   " };
        out.push_str(&format!(" {number:3} | {mark} {}\n", line.trim_end_matches('\r')));
    }
    out.push_str("--------------------\n");
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_place_in_the_file_is_shown() {
        let detail = json!({
            "info": { "filename": "Dockerfile", "data": STANDARD.encode("FROM x\nRUN false\nRUN true") },
            "ranges": [{ "start": { "line": 2 }, "end": { "line": 2 } }],
        });
        let status = Status { code: 2, message: "no".into(), details: Vec::new() }
            .with_detail(errdefs::SOURCE, detail.to_string());
        assert_eq!(
            told(&status, &Story::default()),
            "Dockerfile:2\n--------------------\n   1 |     FROM x\n   2 | >>> RUN false\n   3 |     RUN true\n--------------------\nERROR: failed to solve: no"
        );
    }
}
