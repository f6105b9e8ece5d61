//! What a container uses, once or every second.

use crate::call::Call;
use crate::convert::ancient;
use crate::convert::stats::stats;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::container::Stats;
use gantry_api::version::ApiVersion;
use gantry_engine::Sample;
use serde_json::Value;
use std::time::Duration;

routes! {
    GET "/containers/{}/stats" => usage,
}

/// Docker's pace.
const EVERY: Duration = Duration::from_secs(1);

/// A sample as a version has it.
fn shaped(sample: &Stats, version: ApiVersion) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(sample).map_err(|e| Failure::internal(e.to_string()))?;
    ancient::stats(&mut value, version);
    Ok(value)
}

async fn usage(call: Call) -> Answer {
    let stream = call.query.flag_or("stream", true);
    let one_shot = call.version.since(41) && call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Failure::invalid("cannot have stream=true and one-shot=true"));
    }
    let (app, name, version) = (call.app, call.name, call.version);
    let first = app.engine.container_stats(&name).await?;
    if !stream {
        if one_shot || !first.running {
            return reply::ok(&shaped(&stats(&first, None), version)?);
        }
        // A percentage needs two samples.
        tokio::time::sleep(EVERY).await;
        let second = app.engine.container_stats(&name).await?;
        return reply::ok(&shaped(&stats(&second, Some(&first)), version)?);
    }
    let leaving = app.engine.container_leaving(&name)?;
    let (sender, answer) = reply::stream("application/json");
    tokio::spawn(async move {
        let mut leaving = std::pin::pin!(leaving);
        let mut before: Option<Sample> = None;
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let mut sample = first;
        loop {
            let told = stats(&sample, before.as_ref());
            let Ok(bytes) = shaped(&told, version).and_then(|told| reply::json_bytes(&told)) else { return };
            if sender.send(bytes).await.is_err() {
                return;
            }
            before = Some(sample).filter(|sample| sample.running);
            tokio::select! {
                _ = tick.tick() => {}
                () = sender.over(&app.ending) => return,
                () = leaving.as_mut() => return,
            }
            match app.engine.container_stats(&name).await {
                Ok(next) => sample = next,
                // It was removed between the two.
                Err(_) => return,
            }
        }
    });
    Ok(answer)
}
