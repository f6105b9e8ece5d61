//! Refusals, in Docker's words.

use gantry_network::*;

use crate::machines::*;

#[test]
fn static_addresses_and_refusals_in_dockers_words() {
    on_host(|world| {
        let pool = PoolSpec { subnet: Some("10.55.0.0/24".parse().unwrap()), ..PoolSpec::default() };
        let ipam = IpamSpec { pools: vec![pool], ..IpamSpec::default() };
        let spec = NetworkSpec { name: "fixed".into(), ipam, ..NetworkSpec::default() };
        world.networks.create(spec.clone()).unwrap();
        let at = |network: &str, address: &str| EndpointSpec { ipv4: Some(ip(address)), ..endpoint(network) };
        let a = world.try_run("a", &[at("fixed", "10.55.0.77")], vec![]).unwrap();
        assert_eq!(a.address(), ip("10.55.0.77"));
        let refused = |spec: EndpointSpec| world.try_run("b", &[spec], vec![]).err().unwrap().to_string();
        assert_eq!(refused(at("fixed", "10.55.0.77")), "Address already in use");
        assert!(
            refused(at("fixed", "10.66.0.1"))
                .contains("no configured subnet or ip-range contain the IP address 10.66.0.1")
        );
        assert_eq!(
            refused(at("bridge", "172.17.0.9")),
            "invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* user \
             specified IP address is supported only when connecting to networks with user configured subnets"
        );
        user_network(world, "free");
        assert_eq!(
            refused(at("free", "172.18.0.9")),
            "invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user \
             configured subnets"
        );
        assert_eq!(refused(endpoint("nowhere")), "network nowhere not found");
        let aliased = EndpointSpec { aliases: vec!["x".into()], ..endpoint("bridge") };
        assert_eq!(
            refused(aliased),
            "invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks"
        );
        let create = |spec: NetworkSpec| world.networks.create(spec).unwrap_err().to_string();
        assert_eq!(create(spec.clone()), "network with name fixed already exists");
        assert_eq!(
            create(NetworkSpec { name: "other".into(), ..spec }),
            "invalid pool request: Pool overlaps with other one on this address space"
        );
        assert_eq!(
            create(NetworkSpec { name: "host".into(), ..NetworkSpec::default() }),
            "operation is not permitted on predefined host network"
        );
        assert_eq!(
            create(NetworkSpec { name: "x".into(), driver: "weave".into(), ..NetworkSpec::default() }),
            "plugin \"weave\" not found"
        );
        let nobodys = IpamSpec { driver: "nobody".into(), ..IpamSpec::default() };
        assert_eq!(
            create(NetworkSpec { name: "x".into(), ipam: nobodys, ..NetworkSpec::default() }),
            "plugin \"nobody\" not found"
        );
        let loopback = [("parent".to_owned(), "lo".to_owned())].into();
        assert_eq!(
            create(NetworkSpec {
                name: "x".into(),
                driver: "macvlan".into(),
                options: loopback,
                ..NetworkSpec::default()
            }),
            "loopback interface is not a valid macvlan parent link"
        );
        let error = world.networks.remove("fixed").unwrap_err().to_string();
        let id = a.endpoints[0].id.short();
        assert_eq!(
            error,
            format!(
                "error while removing network: network fixed has active endpoints (name:\"a\" id:\"{id}\")"
            )
        );
        assert_eq!(
            world.networks.remove("bridge").unwrap_err().to_string(),
            "bridge is a pre-defined network and cannot be removed"
        );
        assert_eq!(world.networks.prune(|_| true).len(), 1);
        assert_eq!(
            world.networks.connect(&a.id, &[endpoint("fixed")]).unwrap_err().to_string(),
            "endpoint with name a already exists in network fixed"
        );
    });
}
