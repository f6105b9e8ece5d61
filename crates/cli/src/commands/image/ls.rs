//! `images`.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, Format, Listing, short_id};
use crate::parse::{filters, size, time};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("all", "Show intermediate images too (default hides intermediate images)").short('a'),
    switch("digests", "Show digests"),
    flag("filter", Kind::Filter, "Only what fits").short('f'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("no-trunc", "Do not cut anything"),
    switch("quiet", "Only ids").short('q'),
    switch("tree", "Show the platforms of each image as a tree"),
];

pub static LS: Command = Command {
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    short: "List images",
    examples: &[
        ("--filter dangling=true -q", "Ids of images without a name"),
        ("--format '{{.Repository}}:{{.Tag}} {{.Size}}'", "Columns of your choice"),
    ],
    aliases: &["image ls", "image list", "images"],
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    names: Names::Images,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut wanted = filters::to_map(&m.all("filter"));
    if let Some(pattern) = m.words.first() {
        filters::add(&mut wanted, "reference", pattern);
    }
    let query = Query::new().with_some("filters", filters::encode_map(&wanted)).flag("all", m.on("all"));
    if m.on("tree") {
        for (flag, what) in [
            ("quiet", "--quiet"),
            ("no-trunc", "--no-trunc"),
            ("digests", "--show-digest"),
            ("format", "--format"),
        ] {
            if m.changed(flag) {
                return Err(format!("{what} is not yet supported with --tree").into());
            }
        }
        return super::tree::show(s, query.with("manifests", "1")).await;
    }
    let images = s.client()?.image_list(query).await?;
    let digests = m.on("digests");
    let table = match digests {
        true => {
            "table {{.Repository}}\\t{{.Tag}}\\t{{.Digest}}\\t{{.ID}}\\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\\t{{.Size}}"
        }
        false => {
            "table {{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\\t{{.Size}}"
        }
    };
    let format = match m.on("quiet") {
        true => Format::new("{{.ID}}"),
        false => Format::choose(m.text("format"), s.config().text("imagesFormat"), None, table),
    };
    let by_digest = digests || format.mentions("Digest");
    let trunc = !m.on("no-trunc");
    let mut listing = Listing::new(format, &row(&Value::Null, "", "", "", trunc))?;
    for image in &images {
        for (repository, tag, digest) in names(image, by_digest) {
            listing.add(row(image, &repository, &tag, &digest, trunc))?;
        }
    }
    print::out(&listing.finish());
    Ok(())
}

/// An image's repositories with tags and digests; an image without any is one line of `<none>`.
fn names(image: &Value, by_digest: bool) -> Vec<(String, String, String)> {
    let list = |key: &str| -> Vec<String> {
        let all = image[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        all.filter(|n| !n.starts_with("<none>")).map(str::to_owned).collect()
    };
    let none = || "<none>".to_owned();
    let mut tags: Vec<(String, Vec<String>)> = Vec::new();
    for name in list("RepoTags") {
        if let Some((repository, tag)) = name.rsplit_once(':') {
            match tags.iter_mut().find(|(r, _)| r == repository) {
                Some((_, all)) => all.push(tag.to_owned()),
                None => tags.push((repository.to_owned(), vec![tag.to_owned()])),
            }
        }
    }
    let digests: Vec<(String, String)> = list("RepoDigests")
        .iter()
        .filter_map(|d| d.split_once('@').map(|(r, d)| (r.to_owned(), d.to_owned())))
        .collect();
    let mut out = Vec::new();
    for (repository, all) in &tags {
        let own: Vec<&String> = digests.iter().filter(|(r, _)| r == repository).map(|(_, d)| d).collect();
        for tag in all {
            match (by_digest, own.is_empty()) {
                (true, false) => {
                    out.extend(own.iter().map(|d| (repository.clone(), tag.clone(), (*d).clone())))
                }
                _ => out.push((repository.clone(), tag.clone(), none())),
            }
        }
    }
    for (repository, digest) in &digests {
        if !tags.iter().any(|(r, _)| r == repository) {
            out.push((repository.clone(), none(), if by_digest { digest.clone() } else { none() }));
        }
    }
    if out.is_empty() {
        out.push((none(), none(), none()));
    }
    out
}

fn row(image: &Value, repository: &str, tag: &str, digest: &str, trunc: bool) -> Fields {
    let id = image["Id"].as_str().unwrap_or_default();
    let created = image["Created"].as_i64().unwrap_or(0);
    let bytes = |key: &str| image[key].as_f64().unwrap_or(-1.0);
    let human = |bytes: f64| if bytes < 0.0 { "N/A".to_owned() } else { size::human_precise(bytes, 3) };
    let (total, shared) = (bytes("Size"), bytes("SharedSize"));
    let containers = image["Containers"].as_i64().unwrap_or(-1);
    Fields::new("*formatter.imageContext")
        .with(
            "Containers",
            "CONTAINERS",
            if containers < 0 { "N/A".to_owned() } else { containers.to_string() },
        )
        .with("CreatedAt", "CREATED AT", time::go_string(created))
        // An image without a date has none, rather than one from 1970.
        .with("CreatedSince", "CREATED", if created <= 0 { "N/A".to_owned() } else { time::ago(created) })
        .with("Digest", "DIGEST", digest)
        .with("ID", "IMAGE ID", if trunc { short_id(id) } else { id.to_owned() })
        .with("Repository", "REPOSITORY", repository)
        .with("SharedSize", "SHARED SIZE", human(shared))
        .with("Size", "SIZE", size::human_precise(total.max(0.0), 3))
        .with("Tag", "TAG", tag)
        .with(
            "UniqueSize",
            "UNIQUE SIZE",
            if shared < 0.0 { "N/A".to_owned() } else { human(total - shared) },
        )
        .with("VirtualSize", "SIZE", size::human(total.max(0.0)))
}
