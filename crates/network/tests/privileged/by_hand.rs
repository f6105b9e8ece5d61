//! Interfaces by hand.

use gantry_network::*;

use crate::machines::*;

#[test]
fn an_interface_is_plumbed_by_hand_into_two_containers_of_no_network() {
    on_host(|world| {
        let (a, b) = (world.run_bare("a"), world.run_bare("b"));
        let plumbed = |container: &Container, address: &str| {
            plumb(&PlumbSpec {
                target: Target::File(world.networks.sandbox(&container.id).unwrap().path.unwrap()),
                host_interface: "br1".into(),
                interface: "eth1".into(),
                address: Some(address.parse().unwrap()),
                gateway: None,
                mac: Some("02:00:00:00:00:07".parse().unwrap()).filter(|_| address.contains(".1/")),
                vlan: None,
                direct: false,
                local_interface: None,
                mtu: 0,
            })
        };
        let made = plumbed(&a, "192.168.1.1/24").unwrap();
        assert_eq!(made.mac.to_string(), "02:00:00:00:00:07");
        plumbed(&b, "192.168.1.2/24").unwrap();
        b.serve(80);
        assert_eq!(a.call(ip("192.168.1.2"), 80).unwrap(), ip("192.168.1.1"));
        let taken = plumbed(&b, "192.168.1.3/24").unwrap_err().to_string();
        assert!(taken.contains("eth1"), "{taken}");
        let physical = PlumbSpec {
            target: Target::File(world.networks.sandbox(&a.id).unwrap().path.unwrap()),
            host_interface: "lan0".into(),
            interface: "wire".into(),
            address: Some("192.168.77.50/24".parse().unwrap()),
            gateway: Some(ip(CLIENT)),
            mac: None,
            vlan: None,
            direct: false,
            local_interface: None,
            mtu: 0,
        };
        plumb(&physical).unwrap();
        serve(&world.client, "192.168.77.2:80".parse().unwrap());
        assert_eq!(a.call(ip(CLIENT), 80).unwrap(), ip("192.168.77.50"));
        let missing = PlumbSpec { host_interface: "eth9".into(), interface: "x".into(), ..physical };
        assert_eq!(plumb(&missing).unwrap_err().to_string(), "plumb: interface eth9 not found on this host");
    });
}
