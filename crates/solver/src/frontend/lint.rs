//! What a Dockerfile may say and better would not: told beside a build, or in place of one (`docker build --check`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{StatusResponse, VertexWarning};
use gantry_buildkit::proto::ops::{Range, SourceInfo};
use gantry_dockerfile::check::{Finding, Known, Report, check};
use gantry_dockerfile::ignore::Ignore;
use gantry_dockerfile::{ParseError, Span};
use gantry_images::ImageStore;
use serde_json::{Value, json};

use super::options::Options;
use crate::job::Job;
use crate::story::with_source;

/// What is known beside the file and the client's options.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// What the context's `.dockerignore` hides.
    pub(super) ignore: Option<Ignore>,
    /// Names of the variables of base images that are here.
    bases: BTreeMap<String, Vec<String>>,
}

impl Around {
    pub(super) fn of(text: &str, ignore: Option<Ignore>, images: &ImageStore) -> Around {
        let stages = gantry_dockerfile::parse(text).map(|file| file.stages).unwrap_or_default();
        let names = stages.into_iter().map(|stage| stage.from.base).filter(|name| !name.contains('$'));
        let bases = names.filter_map(|name| {
            let image = images.inspect(&name, None).ok()?;
            let env = image.config.config.as_ref().and_then(|run| run.env.clone()).unwrap_or_default();
            let name_of = |pair: &String| pair.split('=').next().unwrap_or_default().to_owned();
            Some((name, env.iter().map(name_of).collect()))
        });
        Around { ignore, bases: bases.collect() }
    }
}

fn report(text: &str, options: &Options, around: &Around) -> Result<Report, ParseError> {
    let args: Vec<String> = options.args.keys().cloned().collect();
    check(text, Known { ignore: around.ignore.as_ref(), args: &args, bases: Some(&around.bases) })
}

/// Tells findings as warnings of a line of work. What the file itself calls an error is one.
pub(super) fn warn(
    job: &Job,
    vertex: &str,
    text: &str,
    options: &Options,
    around: &Around,
) -> Result<(), Status> {
    // A file that is none is refused by the build, with its place.
    let Ok(report) = report(text, options, around) else { return Ok(()) };
    let info = SourceInfo {
        filename: options.filename.clone(),
        data: text.as_bytes().to_vec(),
        language: "Dockerfile".into(),
    };
    let warning = |finding: &Finding| VertexWarning {
        vertex: vertex.to_owned(),
        level: 1,
        short: format!("{}: {} (line {})", finding.rule.name(), finding.message, finding.span.first)
            .into_bytes(),
        detail: vec![finding.rule.description().as_bytes().to_vec()],
        url: finding.rule.url(),
        info: Some(info.clone()),
        ranges: vec![Range::lines(finding.span.first, finding.span.last)],
    };
    let warnings: Vec<VertexWarning> = report.findings.iter().map(warning).collect();
    if !warnings.is_empty() {
        job.log.put(StatusResponse { warnings, ..StatusResponse::default() });
    }
    match report.findings.first().filter(|_| report.error) {
        None => Ok(()),
        Some(first) => {
            let mut rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule.name()).collect();
            rules.dedup();
            let text_of = format!("lint violation found for rules: {}", rules.join(", "));
            Err(with_source(Status::new(Code::Unknown, text_of), &options.filename, text, first.span))
        }
    }
}

fn location(span: Span) -> Value {
    json!({ "ranges": [{ "start": { "line": span.first }, "end": { "line": span.last } }] })
}

/// The findings as documents.
pub(super) fn answer(text: &str, options: &Options, around: &Around) -> BTreeMap<String, Vec<u8>> {
    let (findings, error) = match report(text, options, around) {
        Ok(report) => (report.findings, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let warnings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "ruleName": finding.rule.name(),
                "description": finding.rule.description(),
                "url": finding.rule.url(),
                "detail": finding.message,
                "location": location(finding.span),
            })
        })
        .collect();
    let source =
        json!({ "filename": options.filename, "data": STANDARD.encode(text), "language": "Dockerfile" });
    let mut result = json!({ "warnings": warnings, "sources": [source] });
    let mut shown = String::new();
    for finding in &findings {
        let (name, url, line) = (finding.rule.name(), finding.rule.url(), finding.span.first);
        shown.push_str(&format!(
            "\nWARNING: {name} - {url}\n{}\n{}:{line}\n",
            finding.message, options.filename
        ));
    }
    if let Some(error) = &error {
        result["buildError"] = json!({ "message": error.to_string(), "location": location(error.span) });
        shown.push_str(&format!("{error}\n"));
    }
    let status = if findings.is_empty() && error.is_none() { "0" } else { "1" };
    let pretty = serde_json::to_vec_pretty(&result).unwrap_or_default();
    [
        ("result.json", pretty),
        ("result.txt", shown.into_bytes()),
        ("result.statuscode", status.into()),
        ("version", b"1.0.0".to_vec()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::read(&BTreeMap::new()).unwrap()
    }

    #[test]
    fn findings_are_told_with_their_line_and_make_a_build_fail_where_the_file_says_so() {
        let text = "FROM busybox as base\nRUN true\n";
        let documents = answer(text, &options(), &Around::default());
        let json: Value = serde_json::from_slice(&documents["result.json"]).unwrap();
        assert_eq!(json["warnings"][0]["ruleName"], "FromAsCasing");
        assert_eq!(documents["result.statuscode"], b"1");
        let job = Job::new("r", "s", Default::default());
        warn(&job, "v", text, &options(), &Around::default()).unwrap();
        assert_eq!(job.log.all()[0].warnings[0].ranges[0].start.unwrap().line, 1);
        let strict = format!("# check=error=true\n{text}");
        let refused = warn(&job, "v", &strict, &options(), &Around::default()).unwrap_err();
        assert_eq!(refused.message, "lint violation found for rules: FromAsCasing");
        assert_eq!(answer("FROM busybox\n", &options(), &Around::default())["result.statuscode"], b"0");
        assert_eq!(answer("NO\n", &options(), &Around::default())["result.statuscode"], b"1");
    }
}
