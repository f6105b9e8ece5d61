//! Old clients: the same engine, the shapes of their time.

use crate::harness::Engine;

#[test]
fn the_client_speaks_any_version() {
    let engine = Engine::start();
    for version in ["1.24", "1.30", "1.41", "1.44", "1.51"] {
        let run = |args: &[&str]| {
            let output = engine.client().env("DOCKER_API_VERSION", version).args(args).output().unwrap();
            assert!(output.status.success(), "{version} {args:?}: {output:?}");
            String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
        };
        assert_eq!(run(&["run", "--rm", "--network", "none", "busybox", "echo", "hi"]), "hi", "{version}");
        run(&["ps", "-a"]);
        run(&["images"]);
        run(&["info"]);
    }
    let old = engine.client().env("DOCKER_API_VERSION", "1.12").arg("ps").output().unwrap();
    assert!(String::from_utf8_lossy(&old.stderr).contains("client version 1.12 is too old."), "{old:?}");
}

#[test]
fn fields_come_and_go() {
    let engine = Engine::start();
    engine.docker(["create", "--name", "box", "--network", "none", "--annotation", "a=b", "busybox"]).ok();
    let image = |version: &str| engine.http("GET", &format!("/v{version}/images/busybox/json"), "").1;
    assert!(image("1.43")["VirtualSize"].as_i64().unwrap() > 0);
    assert!(image("1.44")["VirtualSize"].is_null());
    assert!(image("1.49")["Config"].get("Hostname").is_some());
    assert!(image("1.50")["Config"].get("Hostname").is_none());
    assert!(image("1.51")["Config"].get("OnBuild").is_some_and(serde_json::Value::is_null));
    let list = |version: &str| engine.http("GET", &format!("/v{version}/containers/json?all=1"), "").1;
    assert_eq!(list("1.51")[0]["HostConfig"]["Annotations"]["a"], "b");
    assert!(list("1.45")[0]["HostConfig"].get("Annotations").is_none());
    let images = |version: &str| engine.http("GET", &format!("/v{version}/images/json"), "").1;
    assert_eq!(
        (&images("1.50")[0]["Containers"], &images("1.51")[0]["Containers"]),
        (&(-1).into(), &1.into())
    );
    let info = |version: &str| engine.http("GET", &format!("/v{version}/info"), "").1;
    assert_eq!(info("1.49")["BridgeNfIptables"], false);
    assert!(info("1.50").get("BridgeNfIptables").is_none());
}

#[test]
fn every_key_of_inspect_is_there() {
    let engine = Engine::start();
    engine.docker(["run", "--name", "box", "--network", "none", "busybox", "true"]).ok();
    let (_, c) = engine.http("GET", "/v1.51/containers/box/json", "");
    for key in [
        "Id",
        "Created",
        "Path",
        "Args",
        "State",
        "Image",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "Name",
        "RestartCount",
        "Driver",
        "Platform",
        "MountLabel",
        "ProcessLabel",
        "AppArmorProfile",
        "ExecIDs",
        "HostConfig",
        "GraphDriver",
        "Mounts",
        "Config",
        "NetworkSettings",
    ] {
        assert!(c.get(key).is_some(), "{key}");
    }
    assert_eq!(c["Name"], "/box");
    assert_eq!(c["State"]["StartedAt"].as_str().map(|t| t.ends_with('Z')), Some(true));
    assert!(c["ExecIDs"].is_null() && c["HostConfig"]["Binds"].is_null());
    assert_eq!(c["HostConfig"]["LogConfig"]["Type"], "json-file");
    assert_eq!(c["HostConfig"]["ShmSize"], 67_108_864);
    assert_eq!(c["HostConfig"]["IpcMode"], "private");
    assert!(
        c["HostConfig"]["MaskedPaths"].as_array().is_some_and(|paths| paths.contains(&"/proc/kcore".into()))
    );
    assert!(std::path::Path::new(c["LogPath"].as_str().unwrap()).exists());
}
