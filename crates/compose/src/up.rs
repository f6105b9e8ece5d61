//! Makes what is there what the project says: look, plan, act.

use crate::act::{self, Executor};
use crate::containers::Container;
use crate::failed::Failed;
use crate::observe::{self, Observed};
use crate::plan::{self, Options, Plan};
use crate::progress::Event;
use crate::scene::{Images, Scene};

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
