//! Every attribute there is, by where it stands.
//!
//! Source: the Compose specification's schema.

use super::Field;
use super::Shape::{
    self, Any, Either, Fields, Integer, List, Map, Needed, Number, Optional, Size, Switch, Text, Word,
};

const TEXTS: Shape = List(&Text);
/// One string or several.
const TEXT_OR_LIST: Shape = Either(&[Text, TEXTS]);
/// A command line: one string for the shell's rules, or words; nothing: the image's.
const COMMAND: Shape = Optional(&TEXT_OR_LIST);
/// `NAME: value` or `- NAME=value`.
const PAIRS: Shape = Either(&[Map(&Optional(&Text)), TEXTS]);
const OPTIONS: Shape = Map(&Optional(&Text));
const CONDITION: Shape = Word(&["service_started", "service_healthy", "service_completed_successfully"]);
const ACTION: Shape = Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]);
const MOUNT_KIND: Shape = Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]);
const NAME_ONLY: Shape = Fields(&[("name", Text)]);
const EXTERNAL: Shape = Either(&[Switch, NAME_ONLY]);

const ULIMITS: Shape =
    Map(&Either(&[Integer, Fields(&[("hard", Needed(&Integer)), ("soft", Needed(&Integer))])]));

const GRANT: Shape = Either(&[
    Text,
    Fields(&[("source", Text), ("target", Text), ("uid", Text), ("gid", Text), ("mode", Number)]),
]);

const BUILD: Shape = Either(&[
    Text,
    Fields(&[
        ("context", Text),
        ("dockerfile", Text),
        ("dockerfile_inline", Text),
        ("entitlements", TEXTS),
        ("args", PAIRS),
        ("ssh", PAIRS),
        ("labels", PAIRS),
        ("cache_from", TEXTS),
        ("cache_to", TEXTS),
        ("no_cache", Switch),
        ("no_cache_filter", TEXT_OR_LIST),
        ("additional_contexts", PAIRS),
        ("network", Text),
        ("provenance", Text),
        ("sbom", Text),
        ("pull", Switch),
        ("target", Text),
        ("shm_size", Text),
        ("extra_hosts", PAIRS_OF_LISTS),
        ("isolation", Text),
        ("privileged", Switch),
        ("secrets", List(&GRANT)),
        ("tags", TEXTS),
        ("ulimits", ULIMITS),
        ("platforms", TEXTS),
    ]),
]);

/// `host: address` (one or several) or `- host:address`.
const PAIRS_OF_LISTS: Shape = Either(&[Map(&TEXT_OR_LIST), TEXTS]);

const DEVICES_WANTED: Shape = List(&Fields(&[
    ("capabilities", Needed(&TEXTS)),
    ("count", Text),
    ("device_ids", TEXTS),
    ("driver", Text),
    ("options", PAIRS),
]));

/// The short way to them, which may leave out what they are to be capable of.
const GPUS_WANTED: Shape = List(&Fields(&[
    ("capabilities", TEXTS),
    ("count", Text),
    ("device_ids", TEXTS),
    ("driver", Text),
    ("options", PAIRS),
]));

const ROLLING: &[Field] = &[
    ("parallelism", Integer),
    ("delay", Text),
    ("failure_action", Text),
    ("monitor", Text),
    ("max_failure_ratio", Number),
    ("order", Word(&["start-first", "stop-first"])),
];

const DEPLOY: Shape = Optional(&Fields(&[
    ("mode", Text),
    ("endpoint_mode", Text),
    ("replicas", Integer),
    ("labels", PAIRS),
    ("rollback_config", Fields(ROLLING)),
    ("update_config", Fields(ROLLING)),
    (
        "resources",
        Fields(&[
            ("limits", Fields(&[("cpus", Number), ("memory", Text), ("pids", Integer)])),
            (
                "reservations",
                Fields(&[
                    ("cpus", Number),
                    ("memory", Text),
                    ("generic_resources", List(&Any)),
                    ("devices", DEVICES_WANTED),
                ]),
            ),
        ]),
    ),
    (
        "restart_policy",
        Fields(&[("condition", Text), ("delay", Text), ("max_attempts", Integer), ("window", Text)]),
    ),
    (
        "placement",
        Fields(&[
            ("constraints", TEXTS),
            ("preferences", List(&Fields(&[("spread", Text)]))),
            ("max_replicas_per_node", Integer),
        ]),
    ),
]));

const HOOK: Shape = Fields(&[
    ("command", Needed(&TEXT_OR_LIST)),
    ("user", Text),
    ("privileged", Switch),
    ("working_dir", Text),
    ("environment", PAIRS),
]);
const HOOKS: Shape = List(&HOOK);

pub(super) const MODEL: Shape =
    Fields(&[("name", Text), ("model", Needed(&Text)), ("context_size", Integer), ("runtime_flags", TEXTS)]);
const MODEL_OF_SERVICE: Shape = Optional(&Fields(&[("endpoint_var", Text), ("model_var", Text)]));

const RATES: Shape = List(&Fields(&[("path", Text), ("rate", Text)]));

const MOUNT: Shape = Either(&[
    Text,
    Fields(&[
        ("type", Needed(&MOUNT_KIND)),
        ("source", Text),
        ("target", Text),
        ("read_only", Switch),
        ("consistency", Text),
        (
            "bind",
            Fields(&[
                ("propagation", Text),
                ("create_host_path", Switch),
                ("recursive", Word(&["enabled", "disabled", "writable", "readonly"])),
                ("selinux", Word(&["z", "Z"])),
            ]),
        ),
        ("volume", Fields(&[("labels", PAIRS), ("nocopy", Switch), ("subpath", Text)])),
        ("tmpfs", Fields(&[("size", Size), ("mode", Number)])),
        ("image", Fields(&[("subpath", Text)])),
    ]),
]);

const PORT: Shape = Either(&[
    Text,
    Fields(&[
        ("name", Text),
        ("mode", Text),
        ("host_ip", Text),
        ("target", Text),
        ("published", Text),
        ("protocol", Text),
        ("app_protocol", Text),
    ]),
]);

const NETWORK_OF_SERVICE: Shape = Optional(&Fields(&[
    ("aliases", TEXTS),
    ("interface_name", Text),
    ("ipv4_address", Text),
    ("ipv6_address", Text),
    ("link_local_ips", TEXTS),
    ("mac_address", Text),
    ("driver_opts", OPTIONS),
    ("priority", Integer),
    ("gw_priority", Integer),
]));

pub(super) const SERVICE: &[Field] = &[
    ("annotations", PAIRS),
    ("attach", Switch),
    ("build", BUILD),
    (
        "blkio_config",
        Fields(&[
            ("device_read_bps", RATES),
            ("device_read_iops", RATES),
            ("device_write_bps", RATES),
            ("device_write_iops", RATES),
            ("weight", Integer),
            ("weight_device", List(&Fields(&[("path", Text), ("weight", Integer)]))),
        ]),
    ),
    ("cap_add", TEXTS),
    ("cap_drop", TEXTS),
    ("cgroup", Word(&["host", "private"])),
    ("cgroup_parent", Text),
    ("command", COMMAND),
    ("configs", List(&GRANT)),
    ("container_name", Text),
    ("cpu_count", Integer),
    ("cpu_percent", Number),
    ("cpu_shares", Number),
    ("cpu_quota", Text),
    ("cpu_period", Text),
    ("cpu_rt_period", Text),
    ("cpu_rt_runtime", Text),
    ("cpus", Number),
    ("cpuset", Text),
    ("credential_spec", Fields(&[("config", Text), ("file", Text), ("registry", Text)])),
    (
        "depends_on",
        Either(&[
            TEXTS,
            Map(&Fields(&[("restart", Switch), ("required", Switch), ("condition", Needed(&CONDITION))])),
        ]),
    ),
    ("deploy", DEPLOY),
    (
        "develop",
        Optional(&Fields(&[(
            "watch",
            List(&Fields(&[
                ("ignore", TEXT_OR_LIST),
                ("include", TEXT_OR_LIST),
                ("path", Needed(&Text)),
                ("action", Needed(&ACTION)),
                ("target", Text),
                ("exec", HOOK),
                ("initial_sync", Switch),
            ])),
        )])),
    ),
    ("device_cgroup_rules", TEXTS),
    (
        "devices",
        List(&Either(&[Text, Fields(&[("source", Needed(&Text)), ("target", Text), ("permissions", Text)])])),
    ),
    ("dns", TEXT_OR_LIST),
    ("dns_opt", TEXTS),
    ("dns_search", TEXT_OR_LIST),
    ("domainname", Text),
    ("entrypoint", COMMAND),
    (
        "env_file",
        Either(&[
            Text,
            List(&Either(&[
                Text,
                Fields(&[("path", Needed(&Text)), ("format", Text), ("required", Switch)]),
            ])),
        ]),
    ),
    ("environment", PAIRS),
    ("expose", TEXTS),
    ("extends", Either(&[Text, Fields(&[("service", Text), ("file", Text)])])),
    ("external_links", TEXTS),
    ("extra_hosts", PAIRS_OF_LISTS),
    ("gpus", Either(&[Word(&["all"]), GPUS_WANTED])),
    ("group_add", TEXTS),
    (
        "healthcheck",
        Fields(&[
            ("disable", Switch),
            ("interval", Text),
            ("retries", Integer),
            ("test", TEXT_OR_LIST),
            ("timeout", Text),
            ("start_period", Text),
            ("start_interval", Text),
        ]),
    ),
    ("hostname", Text),
    ("image", Text),
    ("init", Switch),
    ("ipc", Text),
    ("isolation", Text),
    ("label_file", TEXT_OR_LIST),
    ("labels", PAIRS),
    ("links", TEXTS),
    ("logging", Fields(&[("driver", Text), ("options", OPTIONS)])),
    ("mac_address", Text),
    ("mem_limit", Text),
    ("mem_reservation", Text),
    ("mem_swappiness", Integer),
    ("memswap_limit", Text),
    ("models", Either(&[TEXTS, Map(&MODEL_OF_SERVICE)])),
    ("network_mode", Text),
    ("networks", Either(&[TEXTS, Map(&NETWORK_OF_SERVICE)])),
    ("oom_kill_disable", Switch),
    ("oom_score_adj", Integer),
    ("pid", Optional(&Text)),
    ("pids_limit", Integer),
    ("platform", Text),
    ("ports", List(&PORT)),
    ("post_start", HOOKS),
    ("pre_stop", HOOKS),
    ("privileged", Switch),
    ("profiles", TEXTS),
    ("provider", Fields(&[("type", Needed(&Text)), ("options", Any)])),
    ("pull_policy", Text),
    ("pull_refresh_after", Text),
    ("read_only", Switch),
    ("restart", Text),
    ("runtime", Text),
    ("scale", Integer),
    ("secrets", List(&GRANT)),
    ("security_opt", TEXTS),
    ("shm_size", Text),
    ("stdin_open", Switch),
    ("stop_grace_period", Text),
    ("stop_signal", Text),
    ("storage_opt", OPTIONS),
    ("sysctls", PAIRS),
    ("tmpfs", TEXT_OR_LIST),
    ("tty", Switch),
    ("ulimits", ULIMITS),
    ("use_api_socket", Switch),
    ("user", Text),
    ("userns_mode", Text),
    ("uts", Text),
    ("volumes", List(&MOUNT)),
    ("volumes_from", TEXTS),
    ("working_dir", Text),
];

pub(super) const NETWORK: Shape = Optional(&Fields(&[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", OPTIONS),
    (
        "ipam",
        Fields(&[
            ("driver", Text),
            (
                "config",
                List(&Fields(&[
                    ("subnet", Text),
                    ("ip_range", Text),
                    ("gateway", Text),
                    ("aux_addresses", OPTIONS),
                ])),
            ),
            ("options", OPTIONS),
        ]),
    ),
    ("external", EXTERNAL),
    ("internal", Switch),
    ("enable_ipv4", Switch),
    ("enable_ipv6", Switch),
    ("attachable", Switch),
    ("labels", PAIRS),
]));

pub(super) const VOLUME: Shape = Optional(&Fields(&[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", OPTIONS),
    ("external", EXTERNAL),
    ("labels", PAIRS),
]));

pub(super) const SECRET: Shape = Fields(&[
    ("name", Text),
    ("environment", Text),
    ("file", Text),
    ("external", EXTERNAL),
    ("labels", PAIRS),
    ("driver", Text),
    ("driver_opts", OPTIONS),
    ("template_driver", Text),
]);

pub(super) const CONFIG: Shape = Fields(&[
    ("name", Text),
    ("content", Text),
    ("environment", Text),
    ("file", Text),
    ("external", EXTERNAL),
    ("labels", PAIRS),
    ("template_driver", Text),
]);

const INCLUDE: Shape = List(&Either(&[
    Text,
    Fields(&[("path", TEXT_OR_LIST), ("env_file", TEXT_OR_LIST), ("project_directory", Text)]),
]));

pub(super) const FILE: Shape = Fields(&[
    ("configs", Optional(&Map(&CONFIG))),
    ("include", INCLUDE),
    ("models", Map(&MODEL)),
    ("name", Text),
    ("networks", Optional(&Map(&NETWORK))),
    ("secrets", Optional(&Map(&SECRET))),
    ("services", Optional(&Map(&Fields(SERVICE)))),
    ("version", Text),
    ("volumes", Optional(&Map(&VOLUME))),
]);
