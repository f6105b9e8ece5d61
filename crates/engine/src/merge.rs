//! The image's defaults under what was asked, as Docker merges them. Pure.

use std::collections::HashSet;

use gantry_images::RunConfig;

use crate::error::{Error, Result};
use crate::spec::{ContainerSpec, Healthcheck};

/// Fills what `spec` leaves open from the image's run configuration.
pub fn merge(spec: &mut ContainerSpec, image: &RunConfig) -> Result<()> {
    if spec.user.is_empty() {
        spec.user.clone_from(&image.user);
    }
    if spec.working_dir.is_empty() {
        spec.working_dir.clone_from(&image.working_dir);
    }
    if spec.stop_signal.is_empty() {
        spec.stop_signal.clone_from(&image.stop_signal);
    }
    if spec.stop_timeout.is_none() {
        spec.stop_timeout = image.stop_timeout;
    }
    if spec.shell.is_none() {
        spec.shell.clone_from(&image.shell);
    }
    for port in image.exposed_ports.keys() {
        spec.exposed_ports.insert(port.parse().map_err(|err| Error::Invalid(format!("{err}")))?);
    }
    let key = |word: &str| word.split_once('=').map_or(word, |(key, _)| key).to_owned();
    let mut known: HashSet<String> = spec.env.iter().map(|word| key(word)).collect();
    for word in image.env.iter().flatten() {
        if known.insert(key(word)) {
            spec.env.push(word.clone());
        }
    }
    for (name, value) in image.labels.iter().flatten() {
        spec.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for place in image.volumes.iter().flat_map(|volumes| volumes.keys()) {
        spec.volumes.insert(place.clone());
    }
    if spec.entrypoint.is_none() {
        // An own entrypoint makes the image's command meaningless; without one both come from the image.
        if spec.command.as_ref().is_none_or(Vec::is_empty) {
            spec.command.clone_from(&image.cmd);
        }
        spec.entrypoint.clone_from(&image.entrypoint);
    } else if spec.entrypoint.as_ref().is_some_and(|words| words.len() == 1 && words[0].is_empty()) {
        // `--entrypoint ""`.
        spec.entrypoint = None;
    }
    merge_health(spec, image);
    Ok(())
}

fn merge_health(spec: &mut ContainerSpec, image: &RunConfig) {
    let Some(from) = &image.healthcheck else { return };
    let Some(own) = &mut spec.healthcheck else {
        spec.healthcheck = Some(Healthcheck {
            test: from.test.clone(),
            interval_ns: from.interval,
            timeout_ns: from.timeout,
            start_period_ns: from.start_period,
            start_interval_ns: from.start_interval,
            retries: from.retries,
        });
        return;
    };
    if own.test.is_empty() {
        own.test = from.test.clone();
    }
    for (own, from) in [
        (&mut own.interval_ns, from.interval),
        (&mut own.timeout_ns, from.timeout),
        (&mut own.start_period_ns, from.start_period),
        (&mut own.start_interval_ns, from.start_interval),
        (&mut own.retries, from.retries),
    ] {
        if *own == 0 {
            *own = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn image() -> RunConfig {
        RunConfig {
            user: "web".into(),
            env: words(&["A=1", "B=2"]),
            cmd: words(&["serve"]),
            entrypoint: words(&["/entry"]),
            exposed_ports: [("80/tcp".to_owned(), serde_json::json!({}))].into(),
            labels: Some([("x".to_owned(), "image".to_owned())].into()),
            ..RunConfig::default()
        }
    }

    fn merged(spec: ContainerSpec) -> ContainerSpec {
        let mut spec = spec;
        merge(&mut spec, &image()).unwrap();
        spec
    }

    #[test]
    fn what_was_asked_wins_and_the_rest_is_the_images() {
        let spec = merged(ContainerSpec {
            env: vec!["B=3".into()],
            labels: [("x".to_owned(), "mine".to_owned())].into(),
            ..Default::default()
        });
        assert_eq!(spec.user, "web");
        assert_eq!(spec.env, ["B=3", "A=1"]);
        assert_eq!(spec.labels["x"], "mine");
        assert_eq!(spec.command, words(&["serve"]));
        assert_eq!(spec.entrypoint, words(&["/entry"]));
        assert_eq!(spec.exposed_ports.len(), 1);
    }

    #[test]
    fn an_own_entrypoint_drops_the_images_command() {
        let spec = merged(ContainerSpec { entrypoint: words(&["/mine"]), ..Default::default() });
        assert_eq!((spec.entrypoint, spec.command), (words(&["/mine"]), None));
        let cleared =
            merged(ContainerSpec { entrypoint: words(&[""]), command: words(&["ls"]), ..Default::default() });
        assert_eq!((cleared.entrypoint, cleared.command), (None, words(&["ls"])));
    }
}
