//! Commands at points of a container's life.

use gantry_client::{Frames, StreamKind};
use gantry_compose_file::project::{Hook, Service};
use serde_json::json;

use crate::failed::Failed;
use crate::scene::Scene;

/// Runs `post_start`, one after another; a failure is the start's.
pub(crate) async fn post_start(
    scene: &Scene<'_>,
    service: &Service,
    id: &str,
    name: &str,
) -> Result<(), Failed> {
    for hook in &service.post_start {
        run(scene, service, hook, id, name).await?;
    }
    Ok(())
}

/// Runs `pre_stop`; a container that has ended already needs none.
pub(crate) async fn pre_stop(
    scene: &Scene<'_>,
    service: &Service,
    id: &str,
    name: &str,
) -> Result<(), Failed> {
    for hook in &service.pre_stop {
        match run(scene, service, hook, id, name).await {
            Err(Failed::Client(err)) if matches!(err.status(), Some(404 | 409)) => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

async fn run(scene: &Scene<'_>, service: &Service, hook: &Hook, id: &str, name: &str) -> Result<(), Failed> {
    let environment =
        hook.environment.iter().map(|(k, v)| v.as_ref().map_or(k.clone(), |v| format!("{k}={v}")));
    let body = json!({
        "User": hook.user,
        "Privileged": hook.privileged,
        "Env": environment.collect::<Vec<_>>(),
        "WorkingDir": hook.working_dir,
        "Cmd": hook.command,
        "AttachStdout": true,
        "AttachStderr": true,
    });
    let session = scene.client.exec_create(id, &body).await?;
    let streams = scene.client.exec_attach(&session, &json!({"Detach": false, "Tty": false})).await?;
    let mut frames = Frames::new(streams.reader);
    while let Some(frame) = frames.next().await? {
        if matches!(frame.kind, StreamKind::Stdout | StreamKind::Stderr) {
            let text = String::from_utf8_lossy(&frame.bytes);
            for line in text.lines() {
                scene.progress.hook(name, line);
            }
        }
    }
    match scene.client.exec_inspect(&session).await?["ExitCode"].as_i64() {
        Some(0) => Ok(()),
        code => Err(Failed::Hook { service: service.name.clone(), code: code.unwrap_or(-1) }),
    }
}
