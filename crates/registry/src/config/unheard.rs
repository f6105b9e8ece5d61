//! Settings that are not acted on: told, never passed over in silence.

use std::collections::BTreeSet;

use serde_json::Value;

use super::tree::ConfigError;

/// Acted on, with everything below.
const HEARD: &[&str] = &[
    "version",
    "log.level",
    "log.formatter",
    "log.accesslog.disabled",
    "loglevel",
    "storage.filesystem.rootdirectory",
    "storage.s3.accesskey",
    "storage.s3.secretkey",
    "storage.s3.sessiontoken",
    "storage.s3.region",
    "storage.s3.regionendpoint",
    "storage.s3.forcepathstyle",
    "storage.s3.bucket",
    "storage.s3.encrypt",
    "storage.s3.keyid",
    "storage.s3.secure",
    "storage.s3.skipverify",
    "storage.s3.chunksize",
    "storage.s3.rootdirectory",
    "storage.gcs.bucket",
    "storage.gcs.keyfile",
    "storage.gcs.credentials",
    "storage.gcs.rootdirectory",
    "storage.gcs.chunksize",
    "storage.gcs.endpoint",
    "storage.gcs.anonymous",
    "storage.azure.accountname",
    "storage.azure.accountkey",
    "storage.azure.container",
    "storage.azure.realm",
    "storage.azure.rootdirectory",
    "storage.azure.credentials",
    "storage.azure.endpoint",
    "storage.azure.chunksize",
    "storage.swift.authurl",
    "storage.swift.authversion",
    "storage.swift.username",
    "storage.swift.password",
    "storage.swift.tenant",
    "storage.swift.tenantid",
    "storage.swift.domain",
    "storage.swift.domainid",
    "storage.swift.tenantdomain",
    "storage.swift.tenantdomainid",
    "storage.swift.trustid",
    "storage.swift.region",
    "storage.swift.endpointtype",
    "storage.swift.container",
    "storage.swift.prefix",
    "storage.swift.rootdirectory",
    "storage.swift.insecureskipverify",
    "storage.swift.chunksize",
    "storage.swift.secretkey",
    "storage.swift.tempurlcontainerkey",
    "storage.delete.enabled",
    "storage.maintenance.readonly.enabled",
    "storage.maintenance.uploadpurging.enabled",
    "storage.maintenance.uploadpurging.age",
    "storage.redirect.disable",
    "auth.htpasswd",
    "auth.token.realm",
    "auth.token.service",
    "auth.token.issuer",
    "auth.token.rootcertbundle",
    "auth.token.jwks",
    "auth.token.autoredirect",
    "auth.token.autoredirectpath",
    "http.addr",
    "http.host",
    "http.prefix",
    "http.relativeurls",
    "http.headers",
    "http.draintimeout",
    "http.tls.certificate",
    "http.tls.key",
    "http.tls.clientcas",
    "http.tls.minimumtls",
    "http.debug.addr",
    "notifications.endpoints.name",
    "notifications.endpoints.disabled",
    "notifications.endpoints.url",
    "notifications.endpoints.headers",
    "notifications.endpoints.timeout",
    "notifications.endpoints.backoff",
    "notifications.endpoints.ignoredmediatypes",
    "notifications.endpoints.ignore",
    "proxy.remoteurl",
    "proxy.username",
    "proxy.password",
    "proxy.ttl",
    "validation.manifests.indexes.platforms",
    "gantry",
];

/// Docker's registry's, and without meaning here, with everything below; and why.
const IDLE: &[(&str, &str)] = &[
    ("log.fields", "log lines have their own fields"),
    ("log.hooks", "the log goes to standard error"),
    ("storage.cache", "the cache is built in"),
    ("storage.tag", "tags are looked up without such a limit"),
    ("storage.swift.accesskey", "addresses are signed with secretkey alone"),
    ("storage.swift.tempurlmethods", "only reading is ever signed"),
    ("storage.filesystem.maxthreads", "there is no such limit"),
    (
        "storage.maintenance.uploadpurging.interval",
        "purging goes with the collection, see gantry.collect.interval",
    ),
    ("storage.maintenance.uploadpurging.dryrun", "purging is never only told"),
    ("http.secret", "uploads need no signed state"),
    ("http.debug.prometheus", "numbers are always at /metrics"),
    ("http.http2", "HTTP/1.1 is spoken"),
    ("http.h2c", "HTTP/1.1 is spoken"),
    ("http.tls.ciphersuites", "only strong ones are offered"),
    ("notifications.endpoints.threshold", "an event is repeated until it is taken"),
    ("redis", "nothing is kept elsewhere"),
    ("health", "/debug/health looks at the storage when it is asked"),
    ("compatibility", "schema 1 is not served"),
    ("reporting", "errors are in the log"),
];

/// Refuses what must not be passed over: the registry would be open, or plain, and its file says otherwise.
pub fn refuse(tree: &Value) -> Result<(), ConfigError> {
    let set = |pointer: &str| tree.pointer(pointer).is_some_and(|value| !value.is_null());
    let acme = ["hosts", "cachefile", "email", "directoryurl"]
        .iter()
        .any(|key| tree.pointer(&format!("/http/tls/letsencrypt/{key}")).is_some_and(full));
    let text = if acme {
        "http.tls.letsencrypt is not part of this build: set certificate and key (they are read again when they change)"
    } else if set("/auth/silly") {
        "auth.silly lets everybody in and is not part of this build"
    } else if tree.pointer("/http/net").and_then(Value::as_str).is_some_and(|net| net != "tcp") {
        "http.net: only tcp is part of this build"
    } else {
        return Ok(());
    };
    Err(ConfigError::Value(text.to_owned()))
}

fn full(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(full),
        _ => true,
    }
}

/// A sentence for each setting that is not acted on.
pub fn warnings(tree: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    leaves(tree, "", &mut paths);
    // Many settings of one section are told once.
    let told: BTreeSet<String> = paths.iter().filter_map(|path| told(path)).collect();
    told.into_iter().collect()
}

fn leaves(tree: &Value, path: &str, found: &mut Vec<String>) {
    match tree {
        Value::Object(map) => {
            for (key, value) in map {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &below, found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| leaves(item, path, found));
        }
        Value::Null => {}
        _ => found.push(path.to_owned()),
    }
}

fn told(path: &str) -> Option<String> {
    let below =
        |known: &str| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // `storage: s3` alone names a driver.
    if path == "storage" || HEARD.iter().any(|known| below(known)) {
        return None;
    }
    Some(match IDLE.iter().find(|(known, _)| below(known)) {
        Some((known, because)) => format!("the setting {known} has no meaning here: {because}"),
        None => format!("the setting {path} is not known and not acted on"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    #[test]
    fn what_is_not_acted_on_is_told_and_the_rest_is_not() {
        let text = "
version: 0.1
log: {level: info, fields: {service: registry}}
storage: {filesystem: {rootdirectory: /x}, cache: {blobdescriptor: inmemory}}
http: {addr: ':5000', headers: {X-A: [b]}, colour: red}
notifications: {endpoints: [{name: a, url: 'http://x', threshold: 5}]}
";
        let told = warnings(&tree::parse(text).unwrap());
        let about: Vec<_> = told.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        let expected = ["http.colour", "log.fields", "notifications.endpoints.threshold", "storage.cache"];
        assert_eq!(about, expected);
        assert!(told[0].contains("not known"));
    }

    #[test]
    fn what_would_leave_the_registry_open_is_refused() {
        for text in
            ["http: {tls: {letsencrypt: {email: a@b.c}}}", "auth: {silly: {realm: x}}", "http: {net: unix}"]
        {
            assert!(refuse(&tree::parse(text).unwrap()).is_err(), "{text}");
        }
        assert!(refuse(&tree::parse("http: {tls: {letsencrypt: {email: ''}}, net: tcp}").unwrap()).is_ok());
    }
}
