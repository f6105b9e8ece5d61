//! Makes what is there what the project says: look, plan, act.

use std::time::Duration;

use crate::act::{self, Executor};
use crate::containers::Container;
use crate::failed::Failed;
use crate::observe::{self, Observed};
use crate::plan::{self, Options, Plan, Recreate};
use crate::progress::Event;
use crate::scene::{Images, Scene};
use crate::{settle, start};

/// Before it is looked once more because others changed meanwhile what was looked at. An interrupted command's
/// requests are over within a moment; who still meddles after three seconds is told.
const PAUSES_MS: [u64; 6] = [50, 100, 200, 400, 800, 1600];

/// Plans; says what is to be known before anything is done.
pub fn prepare(
    scene: &Scene<'_>,
    observed: &Observed,
    images: &Images,
    options: &Options,
    tell_orphans: bool,
) -> Result<Plan, Failed> {
    let plan = plan::plan(scene.project, observed, images, scene.separator, options)?;
    for warning in &plan.warnings {
        scene.progress.warn(warning);
    }
    if tell_orphans && !plan.orphans.is_empty() {
        scene.progress.warn(&format!(
            "Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.",
            plan.orphans.join(" ")
        ));
    }
    Ok(plan)
}

/// Does it, up to the point where all containers are made. Answers the project's containers.
pub async fn create(
    scene: &Scene<'_>,
    observed: Observed,
    images: &Images,
    plan: &Plan,
) -> Result<Vec<Container>, Failed> {
    for name in &plan.untouched {
        scene.progress.tell(Event::done(format!("Container {name}"), "Running"));
    }
    if scene.dry_run {
        return Ok(act::rehearse(scene, plan, observed.containers));
    }
    if plan.steps.is_empty() {
        return Ok(observed.containers);
    }
    Executor::new(scene, images, &observed, plan).run().await?;
    Ok(observe::list_containers(scene.client, &scene.project.name, true).await?)
}

/// What `bring` is asked for.
pub struct Wish<'a> {
    /// How to go about it.
    pub options: &'a Options,
    /// Whether orphans are told.
    pub tell_orphans: bool,
    /// How to start; none: nothing starts.
    pub starts: Option<start::Options>,
    /// Called when all containers are made, before they start.
    pub made: &'a dyn Fn(),
}

/// Plans, acts, and starts where it is asked for. Where an interrupted command still works in the engine, or somebody
/// else does, it is looked and planned once more, a bounded number of times. Answers the project's containers.
pub async fn bring(
    scene: &Scene<'_>,
    mut observed: Observed,
    images: &Images,
    wish: &Wish<'_>,
) -> Result<Vec<Container>, Failed> {
    let (hands_over, shared) = (observed.hands_over, observed.shared.clone());
    let mut tell_orphans = wish.tell_orphans;
    for pause in PAUSES_MS.into_iter().map(Some).chain([None]) {
        let begin = settle::now();
        if settle::stops(scene, &observed.containers).await? {
            observed.containers = observe::list_containers(scene.client, &scene.project.name, true).await?;
        }
        let done = once(scene, observed, images, &Wish { tell_orphans, ..*wish }).await;
        let Some(pause) = pause else { return done };
        match &done {
            Ok(_) => {}
            Err(failure) if failure.is_stale() => {
                scene.progress.warn(&looking_again(failure));
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Err(_) => return done,
        }
        observed = observe::look(scene.client, &scene.project.name).await?;
        observed.hands_over = hands_over;
        observed.shared.clone_from(&shared);
        if done.is_ok() && is_done(scene, &observed, images, wish.options, begin).await? {
            return done;
        }
        tell_orphans = false;
    }
    unreachable!("the last round has no pause and returns")
}

/// The sentence for a person who sees it happen.
pub fn looking_again(failure: &Failed) -> String {
    format!("what is there changed meanwhile, looking once more: {failure}")
}

async fn once(
    scene: &Scene<'_>,
    observed: Observed,
    images: &Images,
    wish: &Wish<'_>,
) -> Result<Vec<Container>, Failed> {
    let plan = prepare(scene, &observed, images, wish.options, wish.tell_orphans)?;
    let containers = create(scene, observed, images, &plan).await?;
    (wish.made)();
    if let Some(options) = wish.starts {
        start::start(scene, &containers, options).await?;
    }
    Ok(containers)
}

/// Whether nobody made or stopped anything of the project behind our back.
async fn is_done(
    scene: &Scene<'_>,
    observed: &Observed,
    images: &Images,
    options: &Options,
    begin: Duration,
) -> Result<bool, Failed> {
    // What was forced was forced once.
    let recreate = |asked| if asked == Recreate::Never { asked } else { Recreate::Diverged };
    let options = Options {
        recreate: recreate(options.recreate),
        recreate_dependencies: recreate(options.recreate_dependencies),
        renew_anonymous: false,
        ..options.clone()
    };
    let left = plan::plan(scene.project, observed, images, scene.separator, &options)?;
    Ok(left.steps.is_empty() && !settle::stopped_since(scene, &observed.containers, begin).await?)
}
