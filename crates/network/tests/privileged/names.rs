//! The name server, and the three files.

use gantry_network::*;

use crate::machines::*;

/// Sends a question as it is to a name server, and returns the answer as it is.
pub fn exchange(
    namespace: &gantry_netlink::Namespace,
    server: &str,
    question: &[u8],
    tcp: bool,
) -> Result<Vec<u8>, std::io::Error> {
    use std::io::{Read, Write};
    let server: std::net::SocketAddr = server.parse().unwrap();
    let patience = Some(std::time::Duration::from_secs(20));
    let answer = namespace.run(|| {
        if tcp {
            let mut stream = std::net::TcpStream::connect(server)?;
            stream.set_read_timeout(patience)?;
            stream.write_all(&(question.len() as u16).to_be_bytes())?;
            stream.write_all(question)?;
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut answer)?;
            return Ok(answer);
        }
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(patience)?;
        // Connected: an answer from another port than 53 would not be taken.
        socket.connect(server)?;
        socket.send(question)?;
        let mut answer = vec![0; 65535];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    });
    answer.map_err(|error| std::io::Error::from(error.errno))
}

/// Asks the embedded name server from inside a container; answers the addresses, or the code of a refusal.
pub fn ask(
    namespace: &gantry_netlink::Namespace,
    name: &str,
    kind: u16,
    tcp: bool,
) -> Result<Vec<std::net::IpAddr>, u8> {
    let question = dns::message::question(77, name, kind);
    let answer = exchange(namespace, "127.0.0.11:53", &question, tcp);
    let answer = answer.unwrap();
    let code = dns::message::code(&answer);
    if code != dns::message::OK {
        return Err(code);
    }
    let count = u16::from_be_bytes([answer[6], answer[7]]);
    let mut at = question.len();
    let mut out = Vec::new();
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes([answer[at + 10], answer[at + 11]]));
        let data = &answer[at + 12..at + 12 + length];
        match length {
            4 => out.push(std::net::IpAddr::from(<[u8; 4]>::try_from(data).unwrap())),
            16 => out.push(std::net::IpAddr::from(<[u8; 16]>::try_from(data).unwrap())),
            _ => {}
        }
        at += 12 + length;
    }
    Ok(out)
}

#[test]
fn names_are_answered_on_user_networks_and_go_with_their_containers() {
    use dns::message::{A, AAAA, PTR};
    on_host(|world| {
        user_network(world, "app");
        let alias = |name: &str| EndpointSpec { aliases: vec![name.into()], ..endpoint("app") };
        let db1 = world.try_run("db1", &[alias("db")], vec![]).unwrap();
        let db2 = world.try_run("db2", &[alias("db")], vec![]).unwrap();
        let web = world.run("web", "app", vec![]);
        for tcp in [false, true] {
            assert_eq!(ask(&web.namespace, "db1", A, tcp), Ok(vec![db1.address()]));
            assert_eq!(ask(&web.namespace, "DB1.app", A, tcp), Ok(vec![db1.address()]));
            assert_eq!(ask(&web.namespace, db2.id.short(), A, tcp), Ok(vec![db2.address()]));
            assert_eq!(
                ask(&web.namespace, "db1", AAAA, tcp),
                Ok(vec![]),
                "the name is known, such an address is not"
            );
        }
        let (one, two) =
            (ask(&web.namespace, "db", A, false).unwrap(), ask(&web.namespace, "db", A, false).unwrap());
        assert_eq!(one.len(), 2);
        assert_ne!(one, two, "several addresses take turns");
        let backwards =
            format!("{}.0.18.172.in-addr.arpa", db1.address().to_string().rsplit('.').next().unwrap());
        assert!(ask(&web.namespace, &backwards, PTR, false).is_ok());
        // A container may bind port 53 itself.
        web.namespace.run(|| Ok(std::net::UdpSocket::bind("0.0.0.0:53")?)).unwrap();

        world.networks.rename(&db1.id, "postgres").unwrap();
        assert_eq!(ask(&web.namespace, "postgres", A, false), Ok(vec![db1.address()]));
        world.networks.remove_sandbox(&db2.id).unwrap();
        assert_eq!(ask(&web.namespace, "db", A, false), Ok(vec![db1.address()]));
        assert_eq!(
            ask(&web.namespace, "db2", A, false),
            Err(dns::message::FAILED),
            "nobody's name, nobody to ask"
        );
    });
}

#[test]
fn edited_files_are_left_to_the_user() {
    on_host(|world| {
        user_network(world, "app");
        let mut spec = world.spec("web", vec![]);
        spec.extra_hosts = vec!["me:host-gateway".into(), "db:10.1.1.1".into()];
        spec.domainname = "example.org".into();
        spec.hostname = "web".into();
        let files = spec.files.clone().unwrap();
        let id = spec.container.clone();
        world.networks.create_sandbox(spec).unwrap();
        world.networks.connect(&id, &[endpoint("bridge")]).unwrap();
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        let hosts = read(&files.hosts);
        for line in ["172.17.0.1\tme\n", "10.1.1.1\tdb\n", "172.17.0.2\tweb.example.org web\n"] {
            assert!(hosts.contains(line), "{hosts}");
        }
        assert_eq!(read(&files.hostname), "web\n");
        assert!(
            read(&files.resolv_conf).contains("nameserver 8.8.8.8"),
            "the host's own loopback is no use in here"
        );
        std::fs::write(&files.hosts, hosts + "1.2.3.4 mine\n").unwrap();
        std::fs::write(&files.resolv_conf, "nameserver 1.1.1.1\n").unwrap();
        world.networks.connect(&id, &[endpoint("app")]).unwrap();
        assert!(read(&files.hosts).contains("172.18.0.2\tweb.example.org web\n"));
        world.networks.disconnect(&id, "app").unwrap();
        assert!(read(&files.hosts).contains("1.2.3.4 mine\n") && !read(&files.hosts).contains("172.18.0.2"));
        assert_eq!(read(&files.resolv_conf), "nameserver 1.1.1.1\n");
    });
}
