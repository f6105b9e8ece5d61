//! Credentials of registries: in the file, or with a helper program (`docker-credential-<name>`).

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value, json};

use super::file::ConfigFile;

/// The key of Docker Hub's credentials.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

/// Credentials for one program or one job: JSON as in the file, `{"auths": {...}}`. They come before the file's.
const VARIABLE: &str = "DOCKER_AUTH_CONFIG";

/// Somebody's credentials for one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// The login name.
    pub username: String,
    /// The password or a personal token.
    pub password: String,
    /// A token of the registry instead of a password.
    pub identity_token: String,
}

/// The registry of an image's name: `docker.io` or its host.
pub fn registry_of(image: &str) -> String {
    match gantry_names::Reference::parse(image) {
        Ok(reference) => reference.domain().to_owned(),
        Err(_) => "docker.io".into(),
    }
}

/// The key of a registry in the file.
pub fn server_key(registry: &str) -> String {
    match registry {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB_KEY.into(),
        other => other.trim_start_matches("https://").trim_start_matches("http://").to_owned(),
    }
}

/// The credentials for a registry, when there are any.
pub fn lookup(config: &ConfigFile, registry: &str) -> Result<Option<Auth>, String> {
    let key = server_key(registry);
    if let Some(auth) = of_environment(&key)? {
        return Ok(Some(auth));
    }
    if let Some(helper) = helper_for(config, &key) {
        return match run_helper(&helper, "get", &key) {
            Ok(text) => {
                let value: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                let (user, secret) = (word(&value, "Username"), word(&value, "Secret"));
                Ok(Some(match user == TOKEN_USER {
                    true => Auth { identity_token: secret, ..Auth::default() },
                    false => Auth { username: user, password: secret, ..Auth::default() },
                }))
            }
            Err(why) if why.contains("credentials not found") => Ok(None),
            Err(why) => Err(format!("error getting credentials - err: {why}")),
        };
    }
    config.object("auths").map_or(Ok(None), |auths| among(auths, &key))
}

/// Credentials for every registry that the configuration names, by its key: for a build that may ask for any of them.
pub fn all(config: &ConfigFile) -> Vec<(String, Auth)> {
    let names = |key: &str| config.object(key).into_iter().flat_map(|map| map.keys().cloned());
    let mut keys: BTreeSet<String> = names("auths").chain(names("credHelpers")).collect();
    let store = config.text("credsStore");
    if is_helper(store) {
        // A store that cannot list is told when one of its registries is asked for.
        let listed = run_helper(store, "list", "").unwrap_or_default();
        keys.extend(
            serde_json::from_str::<Map<String, Value>>(&listed).unwrap_or_default().into_iter().map(|e| e.0),
        );
    }
    keys.extend(environment().ok().flatten().into_iter().flat_map(|auths| auths.into_iter().map(|e| e.0)));
    let found = keys.into_iter().filter_map(|key| {
        let auth = lookup(config, &key).ok()??;
        Some((key, auth))
    });
    found.collect()
}

fn of_environment(key: &str) -> Result<Option<Auth>, String> {
    environment()?.map_or(Ok(None), |auths| among(&auths, key))
}

fn environment() -> Result<Option<Map<String, Value>>, String> {
    let Some(text) = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => Ok(value["auths"].as_object().cloned()),
        Err(why) => Err(format!("invalid {VARIABLE}: {why}")),
    }
}

/// The entry of a registry: under its key, or under an address of it that another program has written.
fn among(auths: &Map<String, Value>, key: &str) -> Result<Option<Auth>, String> {
    let host = |k: &str| -> String {
        let k = k.trim_start_matches("https://").trim_start_matches("http://");
        k.split('/').next().unwrap_or_default().to_owned()
    };
    let found = auths.get(key).or_else(|| auths.iter().find(|(k, _)| host(k) == host(key)).map(|(_, v)| v));
    let Some(entry) = found else { return Ok(None) };
    let mut auth = Auth {
        username: word(entry, "username"),
        password: word(entry, "password"),
        identity_token: word(entry, "identitytoken"),
    };
    if let Some(text) = entry["auth"].as_str().filter(|a| !a.is_empty()) {
        let decoded = STANDARD.decode(text).map_err(|e| format!("invalid auth configuration file: {e}"))?;
        let text = String::from_utf8_lossy(&decoded).into_owned();
        let (user, password) = text.split_once(':').ok_or("invalid auth configuration file")?;
        auth.username = user.to_owned();
        auth.password = password.trim_end_matches('\0').to_owned();
    }
    Ok((auth != Auth::default()).then_some(auth))
}

/// Keeps credentials. The answer says where: a helper's name, or `None` for the file itself.
pub fn save(config: &mut ConfigFile, registry: &str, auth: &Auth) -> Result<Option<String>, String> {
    let key = server_key(registry);
    if let Some(helper) = helper_for(config, &key) {
        let (user, secret) = match auth.identity_token.is_empty() {
            true => (auth.username.as_str(), auth.password.as_str()),
            false => (TOKEN_USER, auth.identity_token.as_str()),
        };
        let input = json!({"ServerURL": key, "Username": user, "Secret": secret}).to_string();
        run_helper(&helper, "store", &input)
            .map_err(|why| format!("error storing credentials - err: {why}"))?;
        config.object_mut("auths").insert(key, json!({}));
        config.save().map_err(|e| crate::terminal::io_text(&e))?;
        return Ok(Some(helper));
    }
    let mut entry = json!({"auth": STANDARD.encode(format!("{}:{}", auth.username, auth.password))});
    if !auth.identity_token.is_empty() {
        entry = json!({"auth": STANDARD.encode(format!("{}:", auth.username)), "identitytoken": auth.identity_token});
    }
    config.object_mut("auths").insert(key, entry);
    config.save().map_err(|e| crate::terminal::io_text(&e))?;
    Ok(None)
}

/// Forgets credentials; whether there were any.
pub fn erase(config: &mut ConfigFile, registry: &str) -> Result<bool, String> {
    let key = server_key(registry);
    let known = config.object("auths").is_some_and(|a| a.contains_key(&key));
    if let Some(helper) = helper_for(config, &key) {
        run_helper(&helper, "erase", &key)?;
    }
    if known {
        config.object_mut("auths").shift_remove(&key);
        config.save().map_err(|e| crate::terminal::io_text(&e))?;
    }
    Ok(known)
}

/// The `X-Registry-Auth` header for credentials, or for none.
pub fn registry_header(auth: Option<&Auth>, registry: &str) -> String {
    let value = match auth {
        None => json!({}),
        Some(auth) if !auth.identity_token.is_empty() => {
            json!({"identitytoken": auth.identity_token, "serveraddress": server_key(registry)})
        }
        Some(auth) => json!({
            "username": auth.username,
            "password": auth.password,
            "serveraddress": server_key(registry),
        }),
    };
    URL_SAFE.encode(value.to_string())
}

fn word(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn helper_for(config: &ConfigFile, key: &str) -> Option<String> {
    let special = config.object("credHelpers").and_then(|h| h.get(key)).and_then(Value::as_str);
    let name = special.unwrap_or_else(|| config.text("credsStore"));
    is_helper(name).then(|| name.to_owned())
}

/// The name becomes part of a program's name: nothing that leaves it.
fn is_helper(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// The most that a helper may say: a name and a secret.
const ANSWER_MAX: u64 = 1 << 20;

fn run_helper(name: &str, verb: &str, input: &str) -> Result<String, String> {
    ask(&format!("docker-credential-{name}"), verb, input)
}

fn ask(program: &str, verb: &str, input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("exec: {program:?}: {}", crate::terminal::io_text(&e)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read says why with its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // One that is not read to its end is killed by its own pipe.
        stdout.take(ANSWER_MAX + 1).read_to_end(&mut said).map_err(|e| e.to_string())?;
    }
    if said.len() as u64 > ANSWER_MAX {
        // It may have ended by itself meanwhile.
        child.kill().ok();
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    if said.len() as u64 > ANSWER_MAX {
        return Err(format!("{program}: its answer is longer than {ANSWER_MAX} bytes"));
    }
    let text = String::from_utf8_lossy(&said).trim().to_owned();
    match status.success() {
        true => Ok(text),
        false => Err(format!("{status}, out: `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_that_never_stops_talking_is_stopped() {
        assert_eq!(ask("echo", "hello", ""), Ok("hello".into()));
        let long = ask("cat", "/dev/zero", "").unwrap_err();
        assert!(long.contains("its answer is longer than"), "{long}");
    }

    #[test]
    fn credentials_in_the_file_come_back_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let (mut config, _) = ConfigFile::load(dir.path());
        let auth = Auth { username: "me".into(), password: "a:b".into(), ..Auth::default() };
        assert_eq!(save(&mut config, "r.example:5000", &auth), Ok(None));
        assert_eq!(lookup(&config, "r.example:5000"), Ok(Some(auth)));
        assert_eq!(lookup(&config, "docker.io"), Ok(None));
        assert_eq!(erase(&mut config, "https://r.example:5000"), Ok(true));
        assert_eq!(erase(&mut config, "r.example:5000"), Ok(false));
    }

    #[test]
    fn registries_have_one_key() {
        assert_eq!(server_key("docker.io"), HUB_KEY);
        assert_eq!(server_key("https://r.example"), "r.example");
        assert_eq!(registry_of("ubuntu:14.04"), "docker.io");
        assert_eq!(registry_of("r.example:5000/x"), "r.example:5000");
    }
}
