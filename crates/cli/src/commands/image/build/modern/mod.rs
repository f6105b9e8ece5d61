//! BuildKit's protocol: we serve a session, the engine asks for what it needs, and tells how it goes.

mod attrs;
mod exposed;
mod folders;
mod output;
mod place;
mod progress;
mod received;
mod secrets;
mod stores;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use gantry_buildkit::grpc::client::Channel;
use gantry_buildkit::grpc::{Code, Status, server};
use gantry_buildkit::proto::control::{SolveRequest, SolveResponse, StatusRequest, StatusResponse};
use gantry_buildkit::session;
use gantry_client::Client;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::print;
use crate::session::Session;
use exposed::Exposed;
use output::{Goal, Output};
use place::Place;
use progress::{Show, Story};
use stores::Stores;

const SOLVE: &str = "/moby.buildkit.v1.Control/Solve";
const STATUS: &str = "/moby.buildkit.v1.Control/Status";

/// How often the picture on a terminal is drawn.
const TICK: Duration = Duration::from_millis(150);

/// How long the last news may take to arrive behind the result.
const NEWS: Duration = Duration::from_secs(5);

/// The exit code of a build that was interrupted: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Builds by BuildKit's protocol.
pub async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut place = Place::find(m.word(0), m.text("file"))?;
    let mut stores = Stores::default();
    for context in m.all("build-context") {
        place.add(&context, &mut stores)?;
    }
    let question = question(m)?;
    let outputs = outputs(m)?;
    let mut attrs = attrs::of(s, m)?;
    let cache = attrs::cache(m, &mut attrs, &mut stores)?;
    for output in &outputs {
        if let Goal::Layout(folder) = &output.goal {
            stores.result(folder)?;
        }
    }
    attrs.append(&mut place.attrs);
    // The flag's word, else the variable's that buildx knows.
    let wanted =
        std::env::var("BUILDKIT_PROGRESS").ok().filter(|word| !word.is_empty() && !m.changed("progress"));
    let progress = wanted.as_deref().unwrap_or_else(|| m.text("progress"));
    let show = if m.on("quiet") { Show::Quiet } else { Show::of(progress)? };
    let reference = random();
    if place.upload.is_some() {
        attrs.insert("context".into(), format!("http://buildkit-session/{reference}"));
    }
    if let Some(question) = question {
        attrs.insert("requestid".into(), question.to_owned());
        attrs.insert("frontend.caps".into(), "moby.buildkit.frontend.subrequests".into());
    }
    let exposed = Arc::new(Exposed {
        folders: place.folders.clone(),
        upload: Mutex::new(place.upload.take()),
        secrets: secrets::Secrets::parse(&m.all("secret"))?,
        agents: secrets::Agents::parse(&m.all("ssh"))?,
        goals: outputs.iter().map(|output| output.goal.clone()).collect(),
        stores,
        config: s.config().clone(),
    });
    let exporters: Vec<_> = match question {
        Some(_) => Vec::new(),
        None => outputs.iter().map(|o| o.exporter.clone()).filter(|e| e.kind != "cacheonly").collect(),
    };
    let first = exporters.first().cloned().unwrap_or_default();
    let request = SolveRequest {
        reference,
        session: random(),
        frontend: "dockerfile.v0".into(),
        frontend_attrs: attrs,
        cache: Some(cache),
        entitlements: m.all("allow"),
        exporter_deprecated: first.kind,
        exporter_attrs_deprecated: first.attrs.into_iter().collect(),
        exporters,
        ..SolveRequest::default()
    };
    let key = shared_key(&place);
    let done = build(s.client()?, Arc::clone(&exposed), request, show, &key).await?;
    exposed.stores.finish(&done)?;
    if question.is_some() {
        print::out(done.get("result.txt").map(String::as_str).unwrap_or_default());
        return Ok(());
    }
    finish(m, &done)
}

/// `--call`: what is asked of the Dockerfile instead of an image.
fn question(m: &Matches) -> Result<Option<&'static str>, Failure> {
    match m.text("call") {
        "" | "build" if m.on("check") => Ok(Some("frontend.lint")),
        "" | "build" => Ok(None),
        "check" | "lint" => Ok(Some("frontend.lint")),
        "outline" => Ok(Some("frontend.outline")),
        "targets" => Ok(Some("frontend.targets")),
        other => Err(format!("unknown call {other:?}: build, check, outline and targets are known").into()),
    }
}

/// Where the result goes, with its names.
fn outputs(m: &Matches) -> Result<Vec<Output>, Failure> {
    let mut outputs: Vec<Output> =
        m.all("output").iter().map(|text| output::parse(text)).collect::<Result<_, _>>()?;
    if outputs.iter().filter(|output| output.goal == Goal::Stdout).count() > 1 {
        return Err("only one output can go to standard output".into());
    }
    if outputs.is_empty() || (m.on("load") && !outputs.iter().any(|o| o.exporter.kind == "moby")) {
        outputs.push(Output::store());
    }
    let names: Vec<String> = m
        .all("tag")
        .iter()
        .filter_map(|tag| gantry_names::Reference::parse(tag).ok())
        .map(|name| name.or_latest().to_string())
        .collect();
    let annotations = m.map("annotation");
    for output in outputs.iter_mut().filter(|output| output.is_named()) {
        if !names.is_empty() {
            output.exporter.attrs.entry("name".into()).or_insert_with(|| names.join(","));
        }
        if m.on("push") && ["moby", "image"].contains(&output.exporter.kind.as_str()) {
            output.exporter.attrs.insert("push".into(), "true".into());
        }
        for (name, value) in &annotations {
            let value = value.as_str().unwrap_or_default();
            output.exporter.attrs.insert(format!("annotation.{name}"), value.to_owned());
        }
    }
    Ok(outputs)
}

/// What keeps the files of one folder together between builds.
fn shared_key(place: &Place) -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    match place.folders.get("context") {
        Some(folder) => format!("{}:{}", host.trim(), folder.display()),
        None => String::new(),
    }
}

/// A name that nobody else has, as long as buildx's.
fn random() -> String {
    gantry_names::ContainerId::random().to_string().chars().take(25).collect()
}

/// Opens the session, asks for the build, shows how it goes.
async fn build(
    client: &Client,
    exposed: Arc<Exposed>,
    request: SolveRequest,
    mut show: Show,
    key: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut headers = vec![
        (session::UUID, request.session.clone()),
        ("x-docker-expose-session-name", "gantry".to_owned()),
        (session::SHARED_KEY, key.to_owned()),
    ];
    headers.extend(exposed.methods().into_iter().map(|method| (session::METHOD, method.to_owned())));
    let io = client.build_session(headers).await?.joined();
    let serving = tokio::spawn(server::serve(io, exposed));
    let channel = Channel::over(client.buildkit().await?.joined()).await.map_err(plain)?;
    let mut story = Story::default();
    let solved = solve(&channel, &request, &mut story, &mut show).await;
    serving.abort();
    show.end(&story);
    solved.map_err(|status| match status.code {
        code if code == i32::from(Code::Cancelled) => {
            Failure::text(INTERRUPTED, format!("ERROR: failed to solve: Canceled: {}", status.message))
        }
        _ if show.tells_failures() => Failure::text(1, progress::told(&status, &story)),
        _ => plain(status),
    })
}

fn plain(status: Status) -> Failure {
    Failure::text(1, format!("ERROR: failed to solve: {}", status.message))
}

async fn solve(
    channel: &Channel,
    request: &SolveRequest,
    story: &mut Story,
    show: &mut Show,
) -> Result<BTreeMap<String, String>, Status> {
    let status = StatusRequest { reference: request.reference.clone() };
    let (mut outbound, mut news) = channel.open(STATUS, HeaderMap::new()).await?;
    outbound.send(&status).await?;
    outbound.close()?;
    let solving = channel.unary::<_, SolveResponse>(SOLVE, HeaderMap::new(), request);
    tokio::pin!(solving);
    let mut tick = tokio::time::interval(TICK);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let (mut result, mut is_telling) = (None, true);
    // The result may come before the last news of how it came about.
    let deadline = tokio::time::sleep(Duration::MAX / 4);
    tokio::pin!(deadline);
    while result.is_none() || is_telling {
        tokio::select! {
            done = &mut solving, if result.is_none() => {
                result = Some(done);
                deadline.as_mut().reset(tokio::time::Instant::now() + NEWS);
            }
            told = news.next::<StatusResponse>(), if is_telling => match told {
                Ok(Some(told)) => {
                    story.take(&told);
                    show.news(&told, story);
                }
                // Why the news end is told by the result.
                Ok(None) | Err(_) => is_telling = false,
            },
            _ = tick.tick() => show.tick(story),
            () = &mut deadline, if result.is_some() => is_telling = false,
            _ = &mut interrupted => {
                return Err(Status::new(Code::Cancelled, "context canceled"));
            }
        }
    }
    let lost = || Status::unavailable("the engine ended the build without a word");
    Ok(result.ok_or_else(lost)??.exporter_response)
}

/// Prints the id, and writes the files that were asked for.
fn finish(m: &Matches, done: &BTreeMap<String, String>) -> Outcome {
    let id = done.get("containerimage.config.digest").or_else(|| done.get("containerimage.digest"));
    if m.changed("iidfile") {
        let id =
            id.ok_or_else(|| format!("this output makes no image. Cannot write {}", m.text("iidfile")))?;
        std::fs::write(m.text("iidfile"), id)?;
    }
    if m.changed("metadata-file") {
        let told: Map<String, Value> = done.iter().map(|(k, v)| (k.clone(), decoded(v))).collect();
        let text = crate::config::indented(&Value::Object(told), "  ");
        let path = m.text("metadata-file");
        let beside = format!("{path}.{}", std::process::id());
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, path)?;
    }
    if m.on("quiet") || m.text("progress") == "quiet" {
        // Files and archives have no id.
        if let Some(id) = id {
            print::line(id);
        }
    }
    Ok(())
}

/// A value that is JSON in base64 as that JSON; any other as a text.
fn decoded(value: &str) -> Value {
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok();
    let object = bytes.and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok());
    object.map_or_else(|| json!(value), Value::Object)
}
