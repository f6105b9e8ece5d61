#!/bin/sh
# Runs in the guest (see run.sh): what a kernel with SCTP, ipvlan and VLANs shows of the networks. Another machine is a network namespace on a cable.
. /begin.sh
launch
gantry load -q -i /busybox.tar >/dev/null 2>&1

unshare -n sleep 100000 &
other=$!
sleep 1
/usr/sbin/ip link add lan type veth peer name lan netns $other
/usr/sbin/ip addr add 192.0.2.10/24 dev lan
/usr/sbin/ip link set lan up
there() { nsenter -t $other -n "$@"; }
there /usr/sbin/ip addr add 192.0.2.20/24 dev lan
there /usr/sbin/ip link set lan up
there /usr/sbin/ip link add link lan name lan.7 type vlan id 7
there /usr/sbin/ip addr add 198.51.100.20/24 dev lan.7
there /usr/sbin/ip link set lan.7 up
there /usr/sbin/ip route add 203.0.113.0/24 via 192.0.2.10
pings() { gantry run --rm --network "$1" busybox ping -c 1 -W 5 "$2" 2>&1; }

# SCTP through published ports, one and a range.
gantry run -d --name sctp -p 9999:80/sctp -p 9000-9009:7000-7009/sctp busybox sleep 100000 >/dev/null
pid=$(gantry inspect -f '{{.State.Pid}}' sctp)
for port in 80 7003; do
    nsenter -t "$pid" -n socat "SCTP-LISTEN:$port,fork,reuseaddr" "SYSTEM:echo hello \$SOCAT_PEERADDR" &
done
until_has "sctp: from another machine, its own address is seen" "hello 192.0.2.20" there timeout 5 socat -t 3 - SCTP-CONNECT:192.0.2.10:9999
until_has "sctp: from the host" "hello" timeout 5 socat -t 3 - SCTP-CONNECT:192.0.2.10:9999
until_has "sctp: a port of a range that changes its numbers" "hello 192.0.2.20" there timeout 5 socat -t 3 - SCTP-CONNECT:192.0.2.10:9003
has "sctp: told" "80/sctp -> 0.0.0.0:9999" "$(gantry port sctp)"
has "sctp: taken" "port is already allocated" "$(gantry run --rm -p 9999:80/sctp busybox true 2>&1)"
gantry rm -f sctp >/dev/null
check "sctp: gone with its container" "" "$(there timeout 3 socat -t 2 - SCTP-CONNECT:192.0.2.10:9999 2>/dev/null)"

# On the host's own wire.
gantry network create -d macvlan --subnet 192.0.2.0/24 --ip-range 192.0.2.128/25 --gateway 192.0.2.20 -o parent=lan wire >/dev/null
until_has "macvlan" "1 packets received" pings wire 192.0.2.20
gantry network rm wire >/dev/null
for mode in l2 l3 l3s; do
    case $mode in l2) subnet=192.0.2.0/24 range="--ip-range 192.0.2.128/25 --gateway 192.0.2.20" ;; *) subnet=203.0.113.0/24 range= ;; esac
    # shellcheck disable=SC2086
    gantry network create -d ipvlan --subnet $subnet $range -o parent=lan -o ipvlan_mode=$mode ip$mode >/dev/null
    until_has "ipvlan $mode" "1 packets received" pings ip$mode 192.0.2.20
    gantry network rm ip$mode >/dev/null
done
for driver in macvlan ipvlan; do
    gantry network create -d $driver --subnet 198.51.100.0/24 --gateway 198.51.100.20 -o parent=lan.7 tagged >/dev/null
    until_has "$driver on a VLAN that the engine makes" "1 packets received" pings tagged 198.51.100.20
    has "$driver: the VLAN stands" "vlan protocol 802.1Q id 7" "$(/usr/sbin/ip -d link show lan.7 2>&1)"
    gantry network rm tagged >/dev/null
    has "$driver: and goes with the network" "does not exist" "$(/usr/sbin/ip link show lan.7 2>&1)"
done
gantry run -d --name box --network none busybox sleep 100000 >/dev/null
gantry network plumb lan -i wire box 198.51.100.9/24 @7
until_has "pipework with a VLAN" "1 packets received" gantry exec box ping -c 1 -W 5 198.51.100.20
gantry rm -f box >/dev/null

end
[ $failed = 0 ] || tail -40 /run/log
exit $failed
