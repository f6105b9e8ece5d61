//! `network plumb`, which is also `pipework`: one more interface for a running container, by hand.
//!
//! The command line is pipework's, so that its users' scripts go on: `plumb br1 c1 192.168.1.1/24@192.168.1.254`.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::session::Session;
use crate::work;

/// How often `--wait` looks.
const PAUSE: Duration = Duration::from_millis(100);

static FLAGS: &[Flag] = &[
    text("family", "Address family for dhcp (accepted for pipework's scripts)").short('a'),
    switch("direct-phys", "Move the physical interface itself instead of a macvlan on it"),
    text("interface", "Name of the interface inside the container").short('i').default("eth1"),
    text("local", "Name of the other end on the host, for a bridge").short('l'),
    switch("wait", "Wait, inside a container, until the interface is there and has a carrier"),
];

pub static PLUMB: Command = Command {
    usage: "[OPTIONS] HOSTINTERFACE CONTAINER ADDRESS/LENGTH[@GATEWAY] [MAC][@VLAN]",
    short: "Add an interface to a running container (pipework's job)",
    examples: &[
        ("br1 web 192.168.1.7/24", "A second interface on a bridge of the host"),
        ("eth0 web 192.168.1.7/24@192.168.1.1", "In the host's own network, with a gateway"),
    ],
    long: "Add an interface to a running container, on a bridge (made when its name begins with br and it is not there) or, as \
           a macvlan, on a physical interface; dummy0 makes a dummy inside. Address 0/0 adds the interface without an address.\n\nOther forms:\n  \
           plumb route CONTAINER add|replace|del DESTINATION [via GATEWAY] [dev INTERFACE]\n  \
           plumb --wait [-i INTERFACE]   (inside the container)\n\nA link to this program called pipework does the same.",
    flags: &[FLAGS],
    arity: Arity::AtMost(16),
    names: Names::NetworkThenContainer,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    if m.on("wait") {
        return wait(m.text("interface")).await;
    }
    match m.word(0) {
        "route" => route(s, m).await,
        kind @ ("tc" | "rule") => Err(format!(
            "plumb does not do {kind}: run it in the container's namespace, nsenter --net=/proc/PID/ns/net {} ..., with PID from \
             'inspect --format {{{{.State.Pid}}}} {}'",
            if kind == "tc" { "tc" } else { "ip rule" },
            m.word(1),
        )
        .into()),
        _ => interface(s, m).await,
    }
}

async fn interface(s: &Session, m: &Matches) -> Outcome {
    if m.words.len() < 3 {
        return Err(
            "plumb needs HOSTINTERFACE CONTAINER ADDRESS/LENGTH[@GATEWAY] [MAC][@VLAN]; see --help".into()
        );
    }
    if m.word(0).starts_with("ovs") {
        return Err(format!(
            "plumb knows no Open vSwitch: plumb into a bridge with '-l NAME', then 'ip link set NAME nomaster' and \
             'ovs-vsctl add-port {} NAME'",
            m.word(0),
        )
        .into());
    }
    if m.words.len() > 4 {
        return Err(format!("plumb takes at most four words, and {:?} is the fifth", m.word(4)).into());
    }
    let given = m.word(2);
    if ["dhcp", "udhcpc", "dhclient"].iter().any(|client| given.starts_with(client)) {
        return Err(format!(
            "plumb does not ask DHCP servers: plumb with the address 0/0 and run a client in the container's namespace, \
             for example 'exec --privileged {} udhcpc -i {}'",
            m.word(1),
            m.text("interface"),
        )
        .into());
    }
    let (address, gateway) = given.split_once('@').unwrap_or((given, ""));
    let (mac, vlan) = m.word(3).split_once('@').unwrap_or((m.word(3), ""));
    let vlan: u16 = match vlan {
        "" => 0,
        text => {
            text.parse().map_err(|_| format!("{text:?} is no VLAN tag: it is a number from 1 to 4094"))?
        }
    };
    let body = json!({
        "HostInterface": m.word(0),
        "LocalInterface": m.text("local"),
        "Interface": m.text("interface"),
        "Address": if address == "0/0" { "" } else { address },
        "Gateway": gateway,
        "MacAddress": mac,
        "Vlan": vlan,
        "Direct": m.on("direct-phys"),
    });
    s.client()?.network_plumb(m.word(1), &body).await?;
    Ok(())
}

async fn route(s: &Session, m: &Matches) -> Outcome {
    let usage = "plumb route CONTAINER add|replace|del DESTINATION [via GATEWAY] [dev INTERFACE]";
    if m.words.len() < 4 {
        return Err(usage.into());
    }
    let remove = match m.word(2) {
        "add" | "replace" | "change" => false,
        "del" | "delete" => true,
        other => return Err(format!("plumb route knows add, replace and del, not {other:?}").into()),
    };
    let (mut gateway, mut interface) = ("", "");
    for pair in m.words[4..].chunks(2) {
        match pair {
            [word, value] if word == "via" => gateway = value,
            [word, value] if word == "dev" => interface = value,
            _ => return Err(format!("unexpected {:?}: {usage}", pair[0]).into()),
        }
    }
    let body = json!({
        "Remove": remove,
        "Destination": m.word(3),
        "Gateway": gateway,
        "Interface": interface,
    });
    Ok(s.client()?.network_route(m.word(1), &body).await?)
}

/// For a container's first program: others plumb the interface from outside meanwhile.
async fn wait(interface: &str) -> Outcome {
    let carrier = Path::new("/sys/class/net").join(interface).join("carrier");
    // Unreadable while the interface is down.
    while std::fs::read_to_string(&carrier).ok().as_deref().map(str::trim) != Some("1") {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
