//! What a container uses, once or every second.

use crate::call::Call;
use crate::convert::stats::stats;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_engine::Sample;
use std::time::Duration;

routes! {
    GET "/containers/{}/stats" => usage,
}

/// Docker's pace.
const EVERY: Duration = Duration::from_secs(1);

async fn usage(call: Call) -> Answer {
    let stream = call.query.flag_or("stream", true);
    let one_shot = call.version.since(41) && call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Failure::invalid("cannot have stream=true and one-shot=true"));
    }
    let (app, name) = (call.app, call.name);
    let first = app.engine.container_stats(&name).await?;
    if !stream {
        if one_shot || !first.running {
            return reply::ok(&stats(&first, None));
        }
        // A percentage needs two samples.
        tokio::time::sleep(EVERY).await;
        let second = app.engine.container_stats(&name).await?;
        return reply::ok(&stats(&second, Some(&first)));
    }
    let (sender, answer) = reply::stream("application/json");
    tokio::spawn(async move {
        let mut before: Option<Sample> = None;
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let mut sample = first;
        loop {
            let Ok(bytes) = reply::json_bytes(&stats(&sample, before.as_ref())) else { return };
            if sender.send(bytes).await.is_err() {
                return;
            }
            before = Some(sample).filter(|sample| sample.running);
            tokio::select! {
                _ = tick.tick() => {}
                () = sender.over(&app.ending) => return,
            }
            match app.engine.container_stats(&name).await {
                Ok(next) => sample = next,
                // It was removed: the stream ends.
                Err(_) => return,
            }
        }
    });
    Ok(answer)
}
