//! The embedded name server asked by `dig`, which looks at every bit of an answer.

use super::*;

/// Where a container's processes ask from.
fn inside(engine: &Engine, name: &str) -> String {
    format!("/proc/{}/ns/net", engine.inspect(name, "{{.State.Pid}}"))
}

fn dig(namespace: &str, line: &str) -> String {
    shell(namespace, &format!("dig @127.0.0.11 +time=20 +tries=1 {line}")).ok()
}

/// An engine with a network of both families, one of IPv4, and a container on both; nothing without the program.
fn asked() -> Option<(Engine, String)> {
    if Command::new("dig").arg("-v").output().is_err() {
        eprintln!("SKIPPED: there is no dig (bind9-dnsutils) on this machine");
        return None;
    }
    let engine = Engine::start();
    let app = "network create --ipv6 --subnet 10.77.0.0/24 --subnet 2001:db8:77::/64 app";
    engine.docker(app.split_whitespace()).ok();
    engine.docker(["network", "create", "--subnet", "10.78.0.0/24", "four"]).ok();
    sleeper(&engine, "asker", &["--network", "app", "--network-alias", "many"]);
    engine.docker(["network", "connect", "four", "asker"]).ok();
    sleeper(&engine, "db", &["--network", "four"]);
    let namespace = inside(&engine, "asker");
    Some((engine, namespace))
}

#[test]
fn dig_is_answered_over_both_transports_forwards_and_backwards() {
    let Some((_engine, asker)) = asked() else { return };
    for how in ["", "+tcp", "+noedns", "+bufsize=4096", "+edns=0 +dnssec", "+cookie", "+noedns +tcp"] {
        assert_eq!(dig(&asker, &format!("+short {how} db")), "10.78.0.3", "{how}");
    }
    for name in ["db.", "DB", "db.four", "Db.FOUR."] {
        assert_eq!(dig(&asker, &format!("+short {name}")), "10.78.0.3", "{name}");
    }
    assert_eq!(dig(&asker, "+short asker AAAA"), "2001:db8:77::2");
    assert_eq!(dig(&asker, "+short -x 10.78.0.3"), "db.four.");
    assert_eq!(dig(&asker, "+short -x 2001:db8:77::2"), "asker.app.");
    assert_eq!(dig(&asker, "+search +domain=four +short db"), "10.78.0.3");
    // Known, and without such a record: an empty answer, after which resolvers take the other family's.
    for kind in ["AAAA", "MX", "TXT", "SRV"] {
        let said = dig(&asker, &format!("db {kind}"));
        assert!(said.contains("status: NOERROR") && said.contains("ANSWER: 0"), "{said}");
    }
    let said = dig(&asker, "+bufsize=1400 db");
    for wanted in [
        "flags: qr rd ra;",
        "EDNS: version: 0",
        "SERVER: 127.0.0.11#53(127.0.0.11) (UDP)",
        "db.\t\t\t5\tIN\tA",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert!(!dig(&asker, "+noedns db").contains("EDNS"), "what was not asked with is not answered with");
}

#[test]
fn dig_is_refused_what_is_nobodys_and_what_is_no_question() {
    let Some((engine, asker)) = asked() else { return };
    engine.docker(["network", "create", "--internal", "--subnet", "10.79.0.0/24", "shut"]).ok();
    sleeper(&engine, "alone", &["--network", "shut"]);
    let alone = inside(&engine, "alone");
    // Nobody can be asked about it from there, and its neighbours are not seen.
    for name in ["nowhere.example", "db", "asker.app"] {
        assert!(dig(&alone, name).contains("status: SERVFAIL"), "{name}");
    }
    for (line, wanted) in [
        ("+opcode=update db", "status: NOTIMP"),
        ("+opcode=notify db", "status: NOTIMP"),
        ("+edns=1 +noednsnegotiation db", "status: BADVERS"),
        ("+tcp +edns=1 +noednsnegotiation db", "status: BADVERS"),
        ("version.bind CH TXT", "status: REFUSED"),
        ("+tcp version.bind CH TXT", "status: REFUSED"),
    ] {
        let said = dig(&asker, line);
        assert!(said.contains(wanted), "{line}: {said}");
    }
    assert_eq!(dig(&asker, "+short db"), "10.78.0.3", "and goes on");
    engine.docker(["rm", "-f", "db"]).ok();
    assert_eq!(dig(&asker, "+short db"), "", "never answered again");
}

#[test]
fn dig_gets_thirty_addresses_of_one_name_and_many_askers_all_get_theirs() {
    let Some((engine, asker)) = asked() else { return };
    let more = |number: usize| {
        sleeper(&engine, &format!("m{number}"), &["--network", "app", "--network-alias", "many"]);
    };
    std::thread::scope(|scope| {
        for first in 0..8 {
            scope.spawn(move || (first..32).step_by(8).for_each(more));
        }
    });
    let counted = |line: &str| dig(&asker, &format!("{line} many +short")).lines().count();
    assert_eq!(counted("+bufsize=4096 +ignore"), 33, "in one datagram");
    assert_eq!(counted("+noedns"), 33, "too many for a plain one: it asks again over TCP");
    assert_eq!(counted("+tcp"), 33);
    assert_eq!(counted("+noedns +ignore"), 30, "and who does not, has as many as fit");
    assert!(dig(&asker, "+noedns +ignore many").contains("flags: qr tc rd ra;"));
    // 400 questions by eight at once, over both transports.
    let line = "for n in 1 2 3 4 5 6 7 8; do \
                 (for i in $(seq 25); do echo \"m$((n * i % 32)) A\"; echo \"-x 10.78.0.3\"; done > \"$0.$n\"; \
                  dig @127.0.0.11 +time=20 +tries=1 $([ $((n % 2)) = 0 ] && echo +tcp +keepopen) +short -f \"$0.$n\" > \"$0.$n.said\") & \
               done; wait; cat \"$0\".*.said";
    let files = engine.path("asked").display().to_string();
    let said = shell(&asker, &line.replace("$0", &files)).ok();
    // dig remarks what it had to ask twice; what counts is that it was answered.
    let (remarks, answers): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with(';'));
    assert_eq!(answers.len(), 400, "{remarks:?}");
}
