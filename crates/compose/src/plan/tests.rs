use std::collections::BTreeMap;

use gantry_compose_file::project::{
    Dependency, Deploy, Network, Port, RollingUpdate, Service, UpdateOrder, Volume,
};

use super::*;
use crate::containers::State;
use crate::hash;
use crate::labels;
use crate::observe::{ObservedNetwork, ObservedVolume};

fn service(name: &str) -> Service {
    let networks = BTreeMap::from([("default".to_owned(), None)]);
    Service { name: name.into(), image: "busybox".into(), networks, ..Service::default() }
}

fn project(services: Vec<Service>) -> Project {
    let network = Network { name: "p_default".into(), ..Network::default() };
    let mut project = Project::default();
    "p".clone_into(&mut project.name);
    project.services.extend(services.into_iter().map(|s| (s.name.clone(), s)));
    project.networks.insert("default".to_owned(), network);
    project
}

fn container(project: &Project, name: &str, number: u32) -> Container {
    let service =
        project.service(name).cloned().unwrap_or_else(|| Service { name: name.into(), ..Service::default() });
    let labels = [
        (labels::PROJECT, "p".to_owned()),
        (labels::SERVICE, name.to_owned()),
        (labels::NUMBER, number.to_string()),
        (labels::ONE_OFF, "False".to_owned()),
        (labels::CONFIG_HASH, hash::service(&service)),
        (labels::IMAGE, "sha256:1".to_owned()),
    ];
    Container {
        id: format!(
            "{:0>12}",
            format!("{}{number}", name.bytes().map(|b| format!("{b:x}")).collect::<String>())
        ),
        name: format!("p-{name}-{number}"),
        service: name.into(),
        number,
        state: State::Running,
        labels: labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        networks: BTreeMap::from([("p_default".to_owned(), "net".to_owned())]),
        mounts: Vec::new(),
        created: i64::from(number),
        summary: serde_json::Value::Null,
    }
}

fn observed(project: &Project, containers: Vec<Container>) -> Observed {
    let of = |key: &str, hash: String| {
        BTreeMap::from([
            (labels::PROJECT.to_owned(), "p".to_owned()),
            (labels::NETWORK.to_owned(), key.to_owned()),
            (labels::CONFIG_HASH.to_owned(), hash),
        ])
    };
    let networks = project.networks.iter().map(|(key, network)| ObservedNetwork {
        id: "net".into(),
        name: network.name.clone(),
        labels: of(key, hash::network(network)),
    });
    let volumes = project.volumes.iter().map(|(key, volume)| ObservedVolume {
        name: volume.name.clone(),
        labels: of(key, hash::volume(volume)),
        summary: serde_json::Value::Null,
    });
    let (networks, volumes) = (networks.collect(), volumes.collect());
    Observed { containers, networks, volumes, ..Observed::default() }
}

fn images() -> Images {
    let facts = crate::ImageFacts { id: "sha256:1".into(), ..crate::ImageFacts::default() };
    BTreeMap::from([("busybox".to_owned(), facts)])
}

fn told(project: &Project, observed: &Observed, options: &Options) -> Vec<String> {
    let plan = plan(project, observed, &images(), Separator::Hyphen, options).unwrap();
    for (id, step) in plan.steps.iter().enumerate() {
        assert!(step.after.iter().all(|before| *before < id), "step {id} waits for a later one: {plan}");
    }
    plan.steps.iter().map(|s| format!("{}: {}", s.operation, s.cause)).collect()
}

#[test]
fn nothing_there_makes_all_and_all_there_makes_nothing() {
    let project = project(vec![service("db"), service("web")]);
    let first = told(&project, &Observed::default(), &Options::default());
    assert_eq!(
        first,
        [
            "create network p_default: not found",
            "create container p-db-1: no existing container",
            "create container p-web-1: no existing container",
        ]
    );
    let there = observed(&project, vec![container(&project, "db", 1), container(&project, "web", 1)]);
    assert_eq!(told(&project, &there, &Options::default()), [""; 0]);
    let plan = plan(&project, &there, &images(), Separator::Hyphen, &Options::default()).unwrap();
    assert_eq!(plan.untouched, ["p-db-1", "p-web-1"]);
}

#[test]
fn a_change_makes_the_new_one_beside_the_old_one_and_then_swaps_them() {
    let mut project = project(vec![service("web")]);
    let there = observed(&project, vec![container(&project, "web", 1)]);
    project.services.get_mut("web").unwrap().user = "nobody".into();
    let id = &there.containers[0].id;
    assert_eq!(
        told(&project, &there, &Options::default()),
        [
            format!("create container {id}_p-web-1: its configuration changed"),
            "stop container p-web-1: replaced by step 1".to_owned(),
            "remove container p-web-1: replaced by step 1".to_owned(),
            "rename what step 1 made to p-web-1: it is alone now".to_owned(),
        ]
    );
    assert_eq!(told(&project, &there, &Options { recreate: Recreate::Never, ..Options::default() }), [""; 0]);
}

#[test]
fn scaling_down_removes_the_newest_and_up_counts_on() {
    let mut project = project(vec![service("web")]);
    let there = observed(&project, (1..=3).map(|n| container(&project, "web", n)).collect());
    project.services.get_mut("web").unwrap().scale = Some(1);
    let down = told(&project, &there, &Options::default());
    assert_eq!(
        down,
        [
            "stop container p-web-2: scale down",
            "remove container p-web-2: scale down",
            "stop container p-web-3: scale down",
            "remove container p-web-3: scale down",
        ]
    );
    project.services.get_mut("web").unwrap().scale = Some(5);
    let up = told(&project, &there, &Options::default());
    assert_eq!(
        up,
        [
            "create container p-web-4: no existing container",
            "create container p-web-5: no existing container",
        ]
    );
}

#[test]
fn what_an_interrupted_recreate_left_is_repaired() {
    let project = project(vec![service("web")]);
    let mut old = container(&project, "web", 1);
    old.labels.insert(labels::CONFIG_HASH.into(), "old".into());
    let mut new = container(&project, "web", 1);
    new.id = "ffffffffffff".into();
    new.name = names_interim(&old);
    new.created = 9;
    let both = observed(&project, vec![old.clone(), new.clone()]);
    assert_eq!(
        told(&project, &both, &Options::default()),
        [
            "stop container p-web-1: left by an interrupted run".to_owned(),
            "remove container p-web-1: left by an interrupted run".to_owned(),
            format!("rename container {} to p-web-1: finish an interrupted recreate", new.name),
        ]
    );
    let alone = observed(&project, vec![new.clone()]);
    assert_eq!(
        told(&project, &alone, &Options::default()),
        [format!("rename container {} to p-web-1: finish an interrupted recreate", new.name)]
    );
}

fn names_interim(old: &Container) -> String {
    crate::names::interim(&old.id, "p-web-1")
}

#[test]
fn orphans_are_told_or_removed() {
    let project = project(vec![service("web")]);
    let there = observed(&project, vec![container(&project, "web", 1), container(&project, "gone", 1)]);
    let plan = plan(&project, &there, &images(), Separator::Hyphen, &Options::default()).unwrap();
    assert_eq!((plan.orphans.as_slice(), plan.steps.len()), (&["p-gone-1".to_owned()][..], 0));
    let removal = told(&project, &there, &Options { remove_orphans: true, ..Options::default() });
    assert_eq!(
        removal,
        [
            "stop container p-gone-1: its service is not in the file",
            "remove container p-gone-1: its service is not in the file",
        ]
    );
}

#[test]
fn who_shares_a_namespace_or_asked_to_restart_goes_along() {
    let mut sharing = service("sidecar");
    sharing.networks.clear();
    sharing.network_mode = "service:web".into();
    let mut restarting = service("proxy");
    restarting.depends_on.insert("web".into(), Dependency { restart: true, ..Dependency::default() });
    let mut project = project(vec![service("web"), sharing, restarting]);
    let mut sidecar = container(&project, "sidecar", 1);
    let web = container(&project, "web", 1);
    let mut resolved = project.services["sidecar"].clone();
    resolved.network_mode = format!("container:{}", web.id);
    sidecar.labels.insert(labels::CONFIG_HASH.into(), hash::service(&resolved));
    sidecar.networks.clear();
    let there = observed(&project, vec![web, sidecar, container(&project, "proxy", 1)]);
    assert_eq!(told(&project, &there, &Options::default()), [""; 0]);
    project.services.get_mut("web").unwrap().user = "nobody".into();
    let steps = told(&project, &there, &Options::default());
    assert_eq!(steps[0], "stop container p-proxy-1: its dependency web is recreated");
    assert!(steps.iter().any(|s| s.ends_with("a container that it shares with is recreated")), "{steps:#?}");
}

#[test]
fn a_changed_volume_is_recreated_only_with_consent() {
    let mut web = service("web");
    web.volumes.push(gantry_compose_file::project::Mount {
        source: "data".into(),
        target: "/data".into(),
        ..Default::default()
    });
    let mut project = project(vec![web]);
    project.volumes.insert("data".into(), Volume { name: "p_data".into(), ..Volume::default() });
    let mut one = container(&project, "web", 1);
    one.mounts.push(crate::containers::MountPoint {
        kind: "volume".into(),
        name: "p_data".into(),
        ..Default::default()
    });
    let there = observed(&project, vec![one]);
    assert_eq!(told(&project, &there, &Options::default()), [""; 0]);
    project.volumes.get_mut("data").unwrap().driver_opts.insert("size".into(), "1".into());
    assert_eq!(diverged_volumes(&project, &there), ["data"]);
    assert_eq!(told(&project, &there, &Options::default()), [""; 0]);
    let agreed = Options { recreate_volumes: vec!["data".into()], ..Options::default() };
    assert_eq!(
        told(&project, &there, &agreed),
        [
            "stop container p-web-1: a volume of it changed",
            "remove container p-web-1: a volume of it changed",
            "remove volume p_data: its configuration changed",
            "create volume p_data: its configuration changed",
            "create container p-web-1: no existing container",
        ]
    );
}

#[test]
fn start_first_has_the_new_one_well_before_the_old_one_stops() {
    let mut web = service("web");
    let update = RollingUpdate { order: Some(UpdateOrder::StartFirst), ..RollingUpdate::default() };
    web.deploy = Some(Deploy { update_config: Some(update), ..Deploy::default() });
    let mut project = project(vec![web]);
    let there = observed(&project, vec![container(&project, "web", 1)]);
    project.services.get_mut("web").unwrap().user = "nobody".into();
    let steps = told(&project, &there, &Options::default());
    let verbs: Vec<&str> = steps.iter().map(|s| s.split(' ').next().unwrap()).collect();
    assert_eq!(verbs, ["create", "start", "stop", "remove", "rename"]);
    project.services.get_mut("web").unwrap().ports.push(Port {
        target: 80,
        published: "8080".into(),
        ..Port::default()
    });
    let plan = plan(&project, &there, &images(), Separator::Hyphen, &Options::default()).unwrap();
    assert!(plan.warnings[0].contains("publishes ports"));
    assert!(!plan.steps.iter().any(|s| matches!(s.operation, Operation::StartCreated { .. })));
    // Where the engine hands ports over, the new container is to get them.
    let able = Observed { hands_over: true, ..there };
    let steps =
        super::plan(&project, &able, &images(), Separator::Hyphen, &Options::default()).unwrap().steps;
    assert!(matches!(steps[0].operation, Operation::CreateContainer { takes_ports: true, .. }));
    assert!(matches!(steps[1].operation, Operation::StartCreated { .. }));
}

#[test]
fn an_unfinished_start_first_begins_again_and_the_old_one_serves_on() {
    let mut web = service("web");
    let update = RollingUpdate { order: Some(UpdateOrder::StartFirst), ..RollingUpdate::default() };
    web.deploy = Some(Deploy { update_config: Some(update), ..Deploy::default() });
    let mut project = project(vec![web]);
    let old = container(&project, "web", 1);
    project.services.get_mut("web").unwrap().user = "nobody".into();
    let unfinished = Container {
        id: "beef00000000".into(),
        name: crate::names::interim(&old.id, &old.name),
        ..container(&project, "web", 1)
    };
    let there = observed(&project, vec![old, unfinished]);
    let steps = told(&project, &there, &Options::default());
    let verbs: Vec<&str> = steps.iter().map(|s| s.split(' ').next().unwrap()).collect();
    assert_eq!(verbs, ["stop", "remove", "create", "start", "stop", "remove", "rename"]);
    assert!(steps[0].contains("_p-web-1"), "{steps:?}");
}

#[test]
fn one_name_for_many_and_for_two_services_is_refused() {
    let mut named = service("web");
    named.container_name = "own".into();
    named.scale = Some(2);
    let refused = plan(
        &project(vec![named.clone()]),
        &Observed::default(),
        &images(),
        Separator::Hyphen,
        &Options::default(),
    );
    assert!(refused.unwrap_err().to_string().contains("custom container name \"own\""));
    named.scale = None;
    let other = Service { name: "web2".into(), ..named.clone() };
    let refused = plan(
        &project(vec![named, other]),
        &Observed::default(),
        &images(),
        Separator::Hyphen,
        &Options::default(),
    );
    assert!(refused.unwrap_err().to_string().contains("already in use by service web"));
}
