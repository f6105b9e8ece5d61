//! Which attributes there are and what shape each has: a wrong file is refused before anything is touched.
//!
//! Source: the Compose specification's schema. Attributes that begin with `x-` are the user's own, anywhere.

use crate::canonical::Strictness;
use crate::tree::{FileError, Join, Node, Position, Value};

/// What may stand at an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A string; numbers and truth values are strings as well.
    Text,
    /// A whole number, or a string of one.
    Integer,
    /// A number, or a string of one.
    Number,
    /// `true`, `false`, and the other words YAML has for them.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Anything.
    Any,
    /// A list of one shape.
    List(&'static Shape),
    /// A mapping with any keys.
    Map(&'static Shape),
    /// A mapping with these keys.
    Fields(&'static [Field]),
    /// One of these, told apart by the kind of value; empty counts for none.
    Either(&'static [Shape]),
    /// Nothing, or this.
    Optional(&'static Shape),
}

/// An attribute's name and shape.
pub(crate) type Field = (&'static str, Shape);

use Shape::{Any, Either, Fields, Integer, List, Map, Number, Optional, Switch, Text, Word};

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

const ULIMITS: Shape = Map(&Either(&[Integer, Fields(&[("hard", Integer), ("soft", Integer)])]));

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

const HOOK: Shape = List(&Fields(&[
    ("command", TEXT_OR_LIST),
    ("user", Text),
    ("privileged", Switch),
    ("working_dir", Text),
    ("environment", PAIRS),
]));

const RATES: Shape = List(&Fields(&[("path", Text), ("rate", Text)]));

const MOUNT: Shape = Either(&[
    Text,
    Fields(&[
        ("type", MOUNT_KIND),
        ("source", Text),
        ("target", Text),
        ("read_only", Switch),
        ("consistency", Text),
        (
            "bind",
            Fields(&[
                ("propagation", Text),
                ("create_host_path", Switch),
                ("recursive", Text),
                ("selinux", Text),
            ]),
        ),
        ("volume", Fields(&[("labels", PAIRS), ("nocopy", Switch), ("subpath", Text)])),
        ("tmpfs", Fields(&[("size", Text), ("mode", Number)])),
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

pub(crate) const SERVICE: &[Field] = &[
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
    ("cgroup", Text),
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
            Map(&Fields(&[("restart", Switch), ("required", Switch), ("condition", CONDITION)])),
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
                ("path", Text),
                ("action", ACTION),
                ("target", Text),
                ("exec", Any),
                ("initial_sync", Switch),
            ])),
        )])),
    ),
    ("device_cgroup_rules", TEXTS),
    ("devices", List(&Either(&[Text, Fields(&[("source", Text), ("target", Text), ("permissions", Text)])]))),
    ("dns", TEXT_OR_LIST),
    ("dns_opt", TEXTS),
    ("dns_search", TEXT_OR_LIST),
    ("domainname", Text),
    ("entrypoint", COMMAND),
    (
        "env_file",
        Either(&[
            Text,
            List(&Either(&[Text, Fields(&[("path", Text), ("format", Text), ("required", Switch)])])),
        ]),
    ),
    ("environment", PAIRS),
    ("expose", TEXTS),
    ("extends", Either(&[Text, Fields(&[("service", Text), ("file", Text)])])),
    ("external_links", TEXTS),
    ("extra_hosts", PAIRS_OF_LISTS),
    ("gpus", Either(&[Text, DEVICES_WANTED])),
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
    ("models", Either(&[TEXTS, Map(&Any)])),
    ("network_mode", Text),
    ("networks", Either(&[TEXTS, Map(&NETWORK_OF_SERVICE)])),
    ("oom_kill_disable", Switch),
    ("oom_score_adj", Integer),
    ("pid", Optional(&Text)),
    ("pids_limit", Integer),
    ("platform", Text),
    ("ports", List(&PORT)),
    ("post_start", HOOK),
    ("pre_stop", HOOK),
    ("privileged", Switch),
    ("profiles", TEXTS),
    ("provider", Fields(&[("type", Text), ("options", Any)])),
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

const NETWORK: Shape = Optional(&Fields(&[
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

const VOLUME: Shape = Optional(&Fields(&[
    ("name", Text),
    ("driver", Text),
    ("driver_opts", OPTIONS),
    ("external", EXTERNAL),
    ("labels", PAIRS),
]));

const SECRET: Shape = Fields(&[
    ("name", Text),
    ("environment", Text),
    ("file", Text),
    ("external", EXTERNAL),
    ("labels", PAIRS),
    ("driver", Text),
    ("driver_opts", OPTIONS),
    ("template_driver", Text),
]);

const CONFIG: Shape = Fields(&[
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

pub(crate) const FILE: Shape = Fields(&[
    ("configs", Optional(&Map(&CONFIG))),
    ("include", INCLUDE),
    ("models", Map(&Any)),
    ("name", Text),
    ("networks", Optional(&Map(&NETWORK))),
    ("secrets", Optional(&Map(&SECRET))),
    ("services", Optional(&Map(&Fields(SERVICE)))),
    ("version", Text),
    ("volumes", Optional(&Map(&VOLUME))),
]);

/// Checks a whole file (today's form, with `services:`), variables already put in: the first thing that is wrong.
pub fn check(file: &Node) -> Result<(), FileError> {
    problems(file, Strictness::Strict).into_iter().next().map_or(Ok(()), Err)
}

/// Everything that is wrong with a file.
pub(crate) fn problems(file: &Node, strict: Strictness) -> Vec<FileError> {
    let mut checker = Checker { strict, problems: Vec::new() };
    checker.shape(file, &FILE, "");
    checker.names(file);
    checker.problems
}

/// Everything that is wrong with one service.
pub(crate) fn problems_of_service(service: &Node, name: &str, strict: Strictness) -> Vec<FileError> {
    let mut checker = Checker { strict, problems: Vec::new() };
    checker.shape(service, &Fields(SERVICE), &format!("services.{name}"));
    checker.problems
}

struct Checker {
    strict: Strictness,
    problems: Vec<FileError>,
}

impl Checker {
    fn tell(&mut self, at: &Position, message: String) {
        self.problems.push(FileError::new(at, message));
    }

    fn shape(&mut self, node: &Node, wanted: &Shape, path: &str) {
        if node.join == Join::Reset || self.is_open(node) {
            return;
        }
        match (wanted, &node.value) {
            (Any, _) | (Optional(_), Value::Null) | (Text, Value::Scalar { .. }) => {}
            (Optional(inner), _) => self.shape(node, inner, path),
            (Integer, Value::Scalar { text, .. }) if integer(text).is_some() => {}
            (Number, Value::Scalar { text, .. })
                if text.parse::<f64>().is_ok() || integer(text).is_some() => {}
            (Switch, Value::Scalar { text, .. }) if switch(text).is_some() => {}
            (Word(words), Value::Scalar { text, .. }) => {
                if !words.contains(&text.as_str()) {
                    let message =
                        format!("{} must be one of {}, not {text:?}", shown(path), words.join(", "));
                    self.tell(&node.at, message);
                }
            }
            (List(inner), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.shape(item, inner, &format!("{path}[{index}]"));
                }
            }
            (Map(inner), Value::Map(map)) => {
                for entry in map.iter() {
                    self.shape(&entry.value, inner, &below(path, &entry.key));
                }
            }
            (Fields(fields), Value::Map(map)) => {
                for entry in map.iter().filter(|entry| !entry.key.starts_with("x-")) {
                    match fields.iter().find(|(name, _)| *name == entry.key) {
                        Some((_, wanted)) => self.shape(&entry.value, wanted, &below(path, &entry.key)),
                        None => self.tell(&entry.at, unknown(path, &entry.key, fields)),
                    }
                }
            }
            (Either(shapes), value) => match shapes.iter().find(|wanted| takes(wanted, value)) {
                Some(wanted) => self.shape(node, wanted, path),
                None => {
                    let names: Vec<&str> = shapes.iter().map(name_of).collect();
                    self.tell(&node.at, format!("{} must be {}", shown(path), names.join(" or ")));
                }
            },
            (wanted, _) => self.tell(&node.at, format!("{} must be {}", shown(path), name_of(wanted))),
        }
    }

    /// A variable that is not put in may become anything.
    fn is_open(&self, node: &Node) -> bool {
        self.strict == Strictness::Lenient
            && matches!(&node.value, Value::Scalar { text, .. } if text.contains('$'))
    }

    fn names(&mut self, file: &Node) {
        for kind in ["services", "networks", "volumes", "secrets", "configs"] {
            let resources = file.as_map().and_then(|map| map.get(kind)).and_then(Node::as_map);
            for entry in resources.into_iter().flat_map(crate::tree::Map::iter) {
                let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                if entry.key.is_empty() || !entry.key.chars().all(fine) {
                    self.tell(&entry.at, format!("{kind} additional properties '{}' not allowed", entry.key));
                }
            }
        }
    }
}

fn takes(wanted: &Shape, value: &Value) -> bool {
    match (wanted, value) {
        (Any, _) | (Optional(_), Value::Null) => true,
        (Optional(inner), value) => takes(inner, value),
        (Either(shapes), value) => shapes.iter().any(|wanted| takes(wanted, value)),
        (Text | Integer | Number | Word(_), Value::Scalar { .. }) => true,
        (Switch, Value::Scalar { text, .. }) => switch(text).is_some(),
        (List(_), Value::List(_)) | (Map(_) | Fields(_), Value::Map(_)) => true,
        _ => false,
    }
}

fn name_of(shape: &Shape) -> &'static str {
    match shape {
        Text | Word(_) => "a string",
        Integer => "an integer",
        Number => "a number",
        Switch => "a boolean",
        Any => "a value",
        List(_) => "a list",
        Map(_) | Fields(_) => "a mapping",
        Either(shapes) => shapes.first().map_or("a value", name_of),
        Optional(inner) => name_of(inner),
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown(path: &str, key: &str, fields: &[Field]) -> String {
    let nearest = fields.iter().map(|(name, _)| (distance(key, name), *name)).min();
    let hint = match nearest {
        Some((distance, name)) if distance <= 2 => format!(" (did you mean {name}?)"),
        _ => String::new(),
    };
    match path {
        "" => format!("additional properties '{key}' not allowed{hint}"),
        path => format!("{path} additional properties '{key}' not allowed{hint}"),
    }
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A whole number in any of YAML's notations: `10`, `-1`, `0x1f`, `0o17`, `017`, `1_000`.
pub fn integer(text: &str) -> Option<i64> {
    let clean = text.replace('_', "");
    let (sign, digits) = match clean.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()?.checked_mul(sign)
}

/// A truth value in any of YAML's words.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::read;

    fn checked(text: &str) -> Result<(), String> {
        check(&read("compose.yaml", text).map_err(|e| e.to_string())?.remove(0)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_file_of_many_forms_passes() {
        let text = "
name: demo
x-common: &common { restart: always }
services:
  web:
    <<: *common
    image: nginx
    build: { context: ., args: [A=1], ulimits: { nofile: { soft: 1, hard: 2 } } }
    command:
    ports: ['80:80', 443, { target: 8080, published: '8080' }]
    environment: { A: 1, B: true, C: }
    depends_on: { db: { condition: service_healthy } }
    deploy: { resources: { limits: { cpus: '0.5', memory: 1g } } }
    healthcheck: { test: [CMD, 'true'], retries: 3 }
    networks: { front: , back: { aliases: [w] } }
    volumes: [ './a:/a', { type: bind, source: ., target: /b, bind: { create_host_path: true } } ]
    x-own: { anything: [1] }
  db: { image: postgres, secrets: [pw] }
networks: { front: , back: { driver: bridge } }
volumes:
secrets: { pw: { file: ./pw } }
";
        checked(text).unwrap();
    }

    #[test]
    fn wrong_attributes_are_told_with_place_and_right_name() {
        for (text, told) in [
            (
                "services:\n  web:\n    imge: x\n",
                "compose.yaml:3:5: services.web additional properties 'imge' not allowed (did you mean image?)",
            ),
            (
                "service: {}\n",
                "compose.yaml:1:1: additional properties 'service' not allowed (did you mean services?)",
            ),
            ("services: []\n", "compose.yaml:1:11: services must be a mapping"),
            ("services: { a: { ports: 80 } }\n", "compose.yaml:1:25: services.a.ports must be a list"),
            ("services: { a: { tty: maybe } }\n", "compose.yaml:1:23: services.a.tty must be a boolean"),
            ("services: { a: { scale: two } }\n", "compose.yaml:1:25: services.a.scale must be an integer"),
            (
                "services: { a: { build: [x] } }\n",
                "compose.yaml:1:25: services.a.build must be a string or a mapping",
            ),
        ] {
            assert_eq!(checked(text).unwrap_err(), told);
        }
    }

    #[test]
    fn numbers_in_every_notation() {
        for (text, number) in
            [("10", 10), ("-1", -1), ("0x1f", 31), ("0o17", 15), ("0440", 288), ("1_000", 1000), ("0", 0)]
        {
            assert_eq!(integer(text), Some(number), "{text}");
        }
        for text in ["", "-", "a", "1.5", "09", "--1", "9999999999999999999"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
