//! A small page for people: repositories, their tags, sizes, layers, and how to pull them. No script, no outside
//! resource, every name escaped.

use std::fmt::Write as _;
use std::sync::Arc;

use gantry_names::Digest;
use http::{HeaderName, StatusCode};

use crate::http::Answer;
use crate::manifest::Manifest;
use crate::name::{RepositoryName, Tag};
use crate::refusal::{Code, Refusal};
use crate::server::{Request, Server, bytes, put};
use crate::store::blocking;
use crate::store::manifest::Target;

/// Repositories on the first page; for more there is the catalog.
const LIST_MAX: usize = 1_000;
/// Tags on a repository's page.
const TAGS_MAX: usize = 500;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1d2733}\
a{color:#0b62a8;text-decoration:none}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35em .6em;\
border-bottom:1px solid #dde3ea;vertical-align:top}code{background:#eef2f6;padding:.1em .35em;border-radius:3px}\
small{color:#5b6875}";

fn html(title: &str, inside: &str) -> Answer {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>\
         {inside}</body></html>"
    );
    let mut answer = bytes(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    put(&mut answer, HeaderName::from_static("content-security-policy"), policy);
    answer
}

/// `/`: all repositories.
pub async fn repositories(server: &Arc<Server>, request: &Request) -> Result<Answer, Refusal> {
    let all: Vec<RepositoryName> = server
        .store
        .repositories(None, usize::MAX)
        .into_iter()
        .filter(|name| request.who.may_pull(name))
        .collect();
    let count = all.len();
    let store = Arc::clone(&server.store);
    let rows = blocking(move || -> std::io::Result<String> {
        let mut rows = String::new();
        for name in all.iter().take(LIST_MAX) {
            let tags = store.tags(name)?.unwrap_or_default();
            let shown: Vec<&str> = tags.iter().rev().take(8).map(Tag::as_str).collect();
            // Names and tags are of a grammar without `<`, `&` or quotes.
            write!(
                rows,
                "<tr><td><a href=\"r/{name}\">{name}</a></td><td>{}</td><td>{}</td></tr>",
                tags.len(),
                shown.join(", ")
            )
            .ok();
        }
        Ok(rows)
    });
    let rows = rows.await?;
    let inside = if count == 0 {
        "<p>Nothing was pushed yet.</p>".to_owned()
    } else {
        format!(
            "<p>{count} repositories</p><table><tr><th>Repository</th><th>Tags</th><th></th></tr>{rows}</table>"
        )
    };
    Ok(html("Registry", &inside))
}

struct Row {
    tag: Tag,
    digest: Digest,
    size: u64,
    layers: usize,
    platforms: usize,
}

/// `/r/<name>`: one repository.
pub async fn repository(
    server: &Arc<Server>,
    request: &Request,
    name: RepositoryName,
) -> Result<Answer, Refusal> {
    let (for_rows, of) = (Arc::clone(server), name.clone());
    let rows = blocking(move || -> std::io::Result<Option<Vec<Row>>> {
        let Some(tags) = for_rows.store.tags(&of)? else { return Ok(None) };
        tags.into_iter()
            .rev()
            .take(TAGS_MAX)
            .filter_map(|tag| row(&for_rows, &of, tag).transpose())
            .collect::<Result<_, _>>()
            .map(Some)
    });
    let rows = rows.await?.ok_or_else(|| Refusal::new(Code::NameUnknown))?;
    let host = Request::host(&request.headers);
    // The host comes from outside: only what a host may hold goes on the page.
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(*c)).collect();
    let mut table = String::new();
    for Row { tag, digest, size, layers, platforms } in &rows {
        let shape =
            if *platforms > 0 { format!("{platforms} platforms") } else { format!("{layers} layers") };
        write!(
            table,
            "<tr><td><b>{tag}</b><br><small>{}</small></td><td>{}</td><td>{shape}</td>\
             <td><code>docker pull {host}/{name}:{tag}</code></td></tr>",
            digest.short(),
            human(*size)
        )
        .ok();
    }
    // Relative, so that it holds behind any prefix.
    let up = "../".repeat(name.as_str().matches('/').count() + 1);
    let inside = format!(
        "<p><a href=\"{up}\">all repositories</a></p><table><tr><th>Tag</th><th>Size</th><th></th><th>Pull</th></tr>{table}</table>"
    );
    Ok(html(name.as_str(), &inside))
}

fn row(server: &Server, name: &RepositoryName, tag: Tag) -> std::io::Result<Option<Row>> {
    let Some(stored) = server.store.manifest(name, &Target::Tag(tag.clone()))? else { return Ok(None) };
    let Ok(manifest) = Manifest::parse(&stored.bytes, None) else { return Ok(None) };
    let mut size: u64 = manifest.blobs.iter().map(|blob| blob.size).sum();
    for child in &manifest.children {
        if let Some(stored) = server.store.manifest(name, &Target::Digest(child.digest.clone()))?
            && let Ok(child) = Manifest::parse(&stored.bytes, None)
        {
            size += child.blobs.iter().map(|blob| blob.size).sum::<u64>();
        }
    }
    let layers = manifest.blobs.len().saturating_sub(1);
    Ok(Some(Row { tag, digest: stored.digest.clone(), size, layers, platforms: manifest.children.len() }))
}

fn human(size: u64) -> String {
    let mut value = size as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{value} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}
