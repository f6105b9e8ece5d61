//! Files into and out of containers, as tar streams.

use crate::bridge::{self, BodyWriter};
use crate::call::Call;
use crate::failure::Failure;
use crate::reply::{self, Answer, Reply};
use crate::route::routes;
use crate::timestamp::rfc3339_nano;
use base64::Engine as _;
use gantry_api::container::PathStat;
use gantry_engine::TarWriter;
use http::StatusCode;
use http::header::HeaderName;

routes! {
    HEAD "/containers/{}/archive" => stat,
    GET "/containers/{}/archive" => get,
    PUT "/containers/{}/archive" => put,
    GET "/containers/{}/export" => export,
}

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

/// The path that every archive request names.
fn path(call: &Call) -> Result<String, Failure> {
    match call.query.get("path") {
        // The missing space is Docker's.
        "" => Err(Failure::invalid("bad parameter: pathcannot be empty")),
        path => Ok(path.to_owned()),
    }
}

fn with_stat(answer: Reply, stat: gantry_engine::PathStat) -> Answer {
    let stat = PathStat {
        name: stat.name,
        size: stat.size,
        mode: stat.mode,
        mtime: rfc3339_nano(stat.mtime),
        link_target: stat.link_target,
    };
    let json = serde_json::to_vec(&stat).map_err(|e| Failure::internal(e.to_string()))?;
    Ok(reply::with_header(answer, PATH_STAT, &base64::engine::general_purpose::STANDARD.encode(json)))
}

async fn stat(call: Call) -> Answer {
    let stat = call.app.engine.container_path_stat(&call.name, &path(&call)?).await?;
    with_stat(reply::status(StatusCode::OK), stat)
}

async fn get(call: Call) -> Answer {
    let (stat, write) = call.app.engine.container_archive(&call.name, &path(&call)?).await?;
    with_stat(tar(write), stat)
}

async fn export(call: Call) -> Answer {
    let write = call.app.engine.container_export(&call.name).await?;
    let mut answer = tar(write);
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/octet-stream"));
    Ok(answer)
}

/// A stream that somebody writes on a thread of its own.
pub(super) fn tar(write: TarWriter) -> Reply {
    let (sender, answer) = reply::stream("application/x-tar");
    tokio::task::spawn_blocking(move || {
        let mut writer = BodyWriter::new(sender);
        let outcome = write(&mut writer);
        if let Err(err) = &outcome {
            tracing::debug!(%err, "writing an archive");
        }
        writer.finish(outcome);
    });
    answer
}

async fn put(call: Call) -> Answer {
    let path = path(&call)?;
    let (no_overwrite, copy_ids) = (call.query.flag("noOverwriteDirNonDir"), call.query.flag("copyUIDGID"));
    let (app, name) = (call.app, call.name);
    let body = Box::new(bridge::reader(call.body));
    app.engine.container_extract(&name, &path, no_overwrite, copy_ids, body).await?;
    Ok(reply::status(StatusCode::OK))
}
