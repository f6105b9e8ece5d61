//! What a person may not mean to give away: asked before anything leaves the machine.

use std::collections::BTreeMap;

use gantry_compose_file::project::{MountKind, Project, Source};

use crate::commands::compose::up;
use crate::failure::Failure;
use crate::flags::Matches;

/// Asks about everything that may be private. Answers whether to go on.
pub async fn are_meant(project: &Project, texts: &[(String, String)], m: &Matches) -> Result<bool, Failure> {
    only_built(project)?;
    let mut questions = Vec::new();
    questions.extend(binds(project));
    questions.extend(secrets(project, texts));
    questions.extend(variables(project, m.on("with-env"))?);
    for question in questions {
        if !m.on("yes") && !up::confirmed(question).await {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A service that has no image anybody could pull.
fn only_built(project: &Project) -> Result<(), Failure> {
    let built = project.services.values().filter(|service| service.image.is_empty());
    let names: String = built.map(|service| format!("- {:?}\n", service.name)).collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(Failure::text(
            1,
            format!(
                "your Compose stack cannot be published as it only contains a build section for service(s):\n{names}"
            ),
        )),
    }
}

fn binds(project: &Project) -> Option<String> {
    let bound = project.services.values().map(|service| {
        let binds = service.volumes.iter().filter(|mount| mount.kind == MountKind::Bind);
        let binds: Vec<String> = binds.map(|mount| format!("{}:{}\n", mount.source, mount.target)).collect();
        (&service.name, binds.concat())
    });
    let bound: String = bound
        .filter(|(_, binds)| !binds.is_empty())
        .map(|(name, binds)| format!("{name}\n{binds}"))
        .collect();
    (!bound.is_empty()).then(|| {
        format!(
            "you are about to publish bind mounts declaration within your OCI artifact.\nonly the bind mount declarations will be added to the OCI artifact (not content)\nplease double check that you are not mounting potential user's sensitive directories or data\n{bound}Are you ok to publish these bind mount declarations?"
        )
    })
}

/// Beginnings of what opens doors, and what each is.
const KEYS: [(&str, &str, usize); 9] = [
    ("AKIA", "AWS Client ID", 20),
    ("ASIA", "AWS Client ID", 20),
    ("ghp_", "GitHub token", 40),
    ("gho_", "GitHub token", 40),
    ("ghs_", "GitHub token", 40),
    ("github_pat_", "GitHub token", 60),
    ("glpat-", "GitLab token", 26),
    ("xoxb-", "Slack token", 30),
    ("eyJhbGciOi", "JSON Web Token", 40),
];

/// Texts that look like keys.
fn secrets(project: &Project, texts: &[(String, String)]) -> Option<String> {
    let sources =
        project.secrets.values().map(|s| &s.source).chain(project.configs.values().map(|c| &c.source));
    let files = sources.filter_map(|source| match source {
        Source::File(path) => Some((path.clone(), std::fs::read_to_string(path).ok()?)),
        _ => None,
    });
    let files: Vec<(String, String)> = files.collect();
    let found: String = texts.iter().chain(&files).flat_map(|(file, text)| found(file, text)).collect();
    (!found.is_empty()).then(|| {
        format!(
            "you are about to publish sensitive data within your OCI artifact.\nplease double check that you are not leaking sensitive data\n{found}Are you ok to publish these sensitive data?"
        )
    })
}

fn found(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", at + 1);
        if line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
            found.push(format!("Private Key\n{place:?}\n"));
        }
        let part = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.');
        for word in line.split(part) {
            let known = KEYS.iter().find(|(begin, _, least)| word.starts_with(begin) && word.len() >= *least);
            if let Some((begin, kind, _)) = known {
                found.push(format!("{kind}\n{place:?}: {begin}...\n"));
            }
        }
    }
    found
}

fn variables(project: &Project, with_env: bool) -> Result<Option<String>, Failure> {
    let mut refused = String::new();
    let mut shown: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for service in project.services.values() {
        if !service.env_file.is_empty() {
            refused.push_str(&format!("service {:?} has env_file declared.\n", service.name));
        }
        if !service.environment.is_empty() {
            refused.push_str(&format!("service {:?} has environment variable(s) declared.\n", service.name));
            let pairs = service.environment.iter();
            let pairs =
                pairs.map(|(name, value)| format!("{name}={}\n", value.as_deref().unwrap_or_default()));
            shown.insert(&service.name, pairs.collect());
        }
    }
    for config in project.configs.values() {
        if let Source::Environment { name, .. } = &config.source {
            refused.push_str(&format!("config {:?} is declare as an environment variable.\n", config.name));
            shown.insert(&config.name, vec![format!("{}={name}\n", config.name)]);
        }
    }
    if !with_env && !refused.is_empty() {
        return Err(Failure::text(
            1,
            format!(
                "{refused}To avoid leaking sensitive data, you must either explicitly allow the sending of environment variables by using the --with-env flag,\nor remove sensitive data from your Compose configuration"
            ),
        ));
    }
    let shown: String =
        shown.iter().map(|(name, pairs)| format!("Service/Config  {name}\n{}", pairs.concat())).collect();
    Ok((!shown.is_empty()).then(|| {
        format!(
            "you are about to publish environment variables within your OCI artifact.\nplease double check that you are not leaking sensitive data\n{shown}Are you ok to publish these environment variables?"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_seen_in_what_is_given_away() {
        let text = "a: b\nKEY=AKIAIOSFODNN7EXAMPLE\n-----BEGIN RSA PRIVATE KEY-----\nghp_short\n";
        let told = found("f", text);
        assert_eq!(told, ["AWS Client ID\n\"f:2\": AKIA...\n", "Private Key\n\"f:3\"\n"]);
    }
}
