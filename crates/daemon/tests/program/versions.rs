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

/// Tools from before 1.24, where the engine is told to serve them: what they say is understood, what they look for is there.
#[test]
fn versions_from_before_are_served_on_demand() {
    let engine = Engine::shared_with(&[], "", &[("DOCKER_MIN_API_VERSION", "1.12")]);
    engine.docker(["load", "-q", "-i", &crate::harness::busybox().display().to_string()]).ok();
    let (_, of_itself) = engine.http("GET", "/version", "");
    assert_eq!((&of_itself["MinAPIVersion"], &of_itself["ApiVersion"]), (&"1.12".into(), &"1.51".into()));
    for minor in 12..=23 {
        let expect = |wanted: u16, method: &str, path: &str, body: &str| {
            let (status, answer) = engine.http(method, &format!("/v1.{minor}{path}"), body);
            assert_eq!(status, wanted, "1.{minor} {method} {path}: {answer}");
            answer
        };
        let body = r#"{"Image": "busybox", "Cmd": ["sleep", "100"], "Memory": 8388608, "CpuShares": 512, "Cpuset": "0",
            "HostConfig": {"NetworkMode": "none", "Binds": ["/srv:/data:ro"]}}"#;
        expect(201, "POST", "/containers/create?name=box", body);
        expect(204, "POST", "/containers/box/start", "{}");
        let inspected = expect(200, "GET", "/containers/box/json", "");
        let limits = &inspected["HostConfig"];
        let moved = minor < 18;
        assert_eq!(
            limits["Memory"] == 8_388_608 && limits["CpusetCpus"] == "0",
            moved,
            "1.{minor}: {limits}"
        );
        if minor < 20 {
            assert_eq!(inspected["Volumes"]["/data"], "/srv", "1.{minor}");
            assert_eq!(inspected["VolumesRW"]["/data"], false, "1.{minor}");
            assert_eq!(inspected["Config"]["CpuShares"] == 512, moved, "1.{minor}");
        } else {
            assert_eq!(inspected["Mounts"][0]["Source"], "/srv", "1.{minor}");
        }
        let listed = expect(200, "GET", "/containers/json", "");
        assert_eq!(listed[0]["Names"], serde_json::json!(["/box"]), "1.{minor}");
        if minor >= 17 {
            let sample = expect(200, "GET", "/containers/box/stats?stream=false", "");
            assert_eq!(sample.get("network").is_some(), minor < 21, "1.{minor}");
        }
        expect(204, "DELETE", "/containers/box?force=1", "");
    }
    assert_eq!(engine.http("GET", "/v1.11/info", "").0, 400);
}

/// Every version there is: a container's whole life by hand, and what the engine says of itself.
#[test]
fn every_version_lives() {
    let engine = Engine::start();
    let (_, of_itself) = engine.http("GET", "/version", "");
    assert_eq!((&of_itself["MinAPIVersion"], &of_itself["ApiVersion"]), (&"1.24".into(), &"1.51".into()));
    for minor in 24..=51 {
        let ask =
            |method: &str, path: &str, body: &str| engine.http(method, &format!("/v1.{minor}{path}"), body);
        let expect = |wanted: u16, method: &str, path: &str, body: &str| {
            let (status, answer) = ask(method, path, body);
            assert_eq!(status, wanted, "1.{minor} {method} {path}: {answer}");
            answer
        };
        // Fields that newer versions know, or have forgotten, are no mistake.
        let body = r#"{"Image": "busybox", "Cmd": ["sleep", "100"], "StdinOnce": false, "Future": 1,
            "HostConfig": {"NetworkMode": "none", "KernelMemory": 0, "ConsoleSize": [1, 2], "Annotations": {"a": "b"}}}"#;
        let made = expect(201, "POST", "/containers/create?name=box", body);
        // One without warnings has an empty list, never null: old clients go through it.
        assert!(made["Id"].is_string() && made["Warnings"].is_array(), "1.{minor}: {made}");
        expect(204, "POST", "/containers/box/start", "");
        expect(304, "POST", "/containers/box/start", "");
        let inspected = expect(200, "GET", "/containers/box/json", "");
        assert_eq!(inspected["State"]["Status"], "running", "1.{minor}");
        assert_eq!(inspected["HostConfig"].get("Annotations").is_some(), minor >= 43, "1.{minor}");
        let listed = expect(200, "GET", "/containers/json", "");
        assert_eq!(listed[0]["Names"], serde_json::json!(["/box"]), "1.{minor}");
        let exec = expect(201, "POST", "/containers/box/exec", r#"{"Cmd": ["true"]}"#);
        let id = exec["Id"].as_str().unwrap();
        expect(200, "POST", &format!("/exec/{id}/start"), r#"{"Detach": true}"#);
        expect(204, "DELETE", "/containers/box?force=1", "");
        expect(404, "GET", "/containers/box/json", "");
    }
    for path in ["/v1.23/info", "/v1/info", "/v1.52/info"] {
        assert_eq!(engine.http("GET", path, "").0, 400, "{path}");
    }
    let (_, new) = engine.http("GET", "/v1.52/info", "");
    assert!(new["message"].as_str().is_some_and(|text| text.contains("is too new")), "{new}");
    // Without a version in front it is the newest; the ping needs none and tells it.
    assert_eq!(engine.http("GET", "/containers/json", "").0, 200);
}

/// `curl -g` sends quotes as they are typed, and Docker's engine takes them.
#[test]
fn quotes_in_a_query_need_no_escape() {
    let engine = Engine::start();
    engine.docker(["create", "--name", "box", "--network", "none", "busybox"]).ok();
    let (status, listed) = engine.http("GET", r#"/containers/json?all=1&filters={"name":["box"]}"#, "");
    assert_eq!((status, &listed[0]["Names"][0]), (200, &"/box".into()), "{listed}");
    let (status, none) = engine.http("GET", r#"/containers/json?all=1&filters={"name":["other"]}"#, "");
    assert_eq!((status, none), (200, serde_json::json!([])));
}

/// What was left out is `null`, what was given empty is `[]`, and a port is shown as it was written.
#[test]
fn what_was_asked_is_shown_as_it_was_asked() {
    let engine = Engine::start();
    let body = r#"{"Image": "busybox", "ExposedPorts": {"8080": {}, "90/tcp": {}}, "HostConfig": {"NetworkMode": "none", "Dns": [], "CapAdd": null}}"#;
    assert_eq!(engine.http("POST", "/containers/create?name=box", body).0, 201);
    let (_, box_) = engine.http("GET", "/containers/box/json", "");
    assert_eq!(box_["Config"]["ExposedPorts"], serde_json::json!({"8080": {}, "90/tcp": {}}));
    let host = &box_["HostConfig"];
    assert!(host["Dns"].is_array() && host["DnsSearch"].is_null() && host["CapAdd"].is_null(), "{host}");
    let body = r#"{"Name": "a b", "IPAM": {"Config": [{"Subnet": "10.99.0.0/24"}]}}"#;
    assert_eq!(engine.http("POST", "/networks/create", body).0, 201);
    let (_, network) = engine.http("GET", "/networks/a%20b", "");
    assert_eq!(
        network["IPAM"],
        serde_json::json!({"Driver": "default", "Options": null, "Config": [{"Subnet": "10.99.0.0/24"}]})
    );
}

/// What the difference run with Docker's engine found, and is the same now.
#[test]
fn refusals_and_repetitions_are_dockers() {
    let engine = Engine::start();
    let told = |path: &str, body: &str| {
        let (status, answer) = engine.http("POST", path, body);
        format!("{status} {}", answer["message"].as_str().unwrap_or_default())
    };
    let create = |more: &str| {
        told("/containers/create", &format!(r#"{{"Image": "busybox", "HostConfig": {{{more}}}}}"#))
    };
    assert!(
        create(r#""CpusetCpus": "0-9999""#)
            .starts_with("400 Requested CPUs are not available - requested 0-9999, available: 0")
    );
    assert!(create(r#""Links": ["nosuch:x"]"#).starts_with("400 could not get container for nosuch"));
    assert_eq!(create(r#""PidMode": "container:nosuch""#), "400 No such container: nosuch");
    assert_eq!(create(r#""VolumesFrom": ["nosuch"]"#), "400 No such container: nosuch");
    assert_eq!(told("/commit", ""), "400 invalid name or ID supplied: \"\"");
    assert_eq!(told("/session", ""), "400 no upgrade proto in request");
    assert_eq!(told("/plugins/nosuch/enable", ""), "404 plugin \"nosuch\" not found");
    // Joined a second time before it runs: what was asked at first holds.
    engine.docker(["network", "create", "--subnet", "10.99.0.0/24", "fixed"]).ok();
    engine.docker(["create", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let at = r#"{"Container": "box", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.99.0.9"}}}"#;
    assert_eq!(told("/networks/fixed/connect", at), "200 ");
    assert_eq!(told("/networks/fixed/connect", r#"{"Container": "box"}"#), "200 ");
    engine.docker(["start", "box"]).ok();
    assert_eq!(engine.inspect("box", "{{.NetworkSettings.Networks.fixed.IPAddress}}"), "10.99.0.9");
    assert_eq!(told("/networks/fixed/connect", at).split(' ').next(), Some("403"));
    engine.docker(["pause", "box"]).ok();
    let paused = told("/containers/box/exec", r#"{"Cmd": ["true"]}"#);
    assert_eq!(paused, "409 Container box is paused, unpause the container before exec");
    // A configuration in the body has the container's own below it.
    engine
        .docker(["create", "--name", "kept", "-e", "A=1", "-e", "B=2", "-w", "/tmp", "busybox", "true"])
        .ok();
    assert_eq!(
        told("/commit?container=kept&repo=made&changes=NOPE", ""),
        "400 NOPE is not a valid change command"
    );
    engine.http("POST", "/commit?container=kept&repo=made", r#"{"Env": ["A=9"]}"#);
    let made = engine.inspect("made", "{{json .Config.Env}} {{.Config.WorkingDir}} {{json .Config.Cmd}}");
    assert!(made.contains("A=9") && made.contains("B=2") && !made.contains("A=1"), "{made}");
    assert!(made.ends_with(r#"/tmp ["true"]"#), "{made}");
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
