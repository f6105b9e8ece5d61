#!/bin/sh
# Runs in the guest (see run.sh): a kernel that lacks what networks stand on. Each is named, and with it all goes on.
. /begin.sh
# Takes modules away, with those that stand on them: a round for each that another one holds.
away() { # away MODULE PATTERN-OF-WHAT-STANDS-ON-IT
    for round in 1 2 3 4 5; do
        for module in $(sed -n "s/^\($2\) .*/\1/p" /proc/modules); do rmmod "$module" 2>/dev/null; done
    done
    rmmod "$1" 2>/dev/null
    lacks "$1 is away" "$1 " "$(grep "^$1 " /proc/modules)"
}
back() {
    for module in $(cat /lib/modules/order); do insmod /lib/modules/$module.ko 2>/dev/null; done
}
# What an engine says that is started with flags: its log, or what it refuses.
told() {
    gantry daemon --data-root /var/lib/gantry --exec-root /run/gantry --pidfile /run/gantry.pid -H $DOCKER_HOST "$@" >/run/told 2>&1 &
    engine=$!
    tries=0
    while kill -0 $engine 2>/dev/null && ! gantry version >/dev/null 2>&1 && [ $tries -lt 30 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    kill $engine 2>/dev/null
    wait $engine 2>/dev/null
    cat /run/told
}

away nf_tables 'nft_[a-z0-9_]*'
has "no nf_tables: named" "module nf_tables" "$(told)"
launch --iptables=false
gantry load -q -i /busybox.tar >/dev/null 2>&1
check "no nf_tables: without rules it runs" hi "$(gantry run --rm --network none busybox echo hi 2>&1)"
has "no nf_tables: and has a network" eth0 "$(gantry run --rm busybox ip addr 2>&1)"
end
/bin/ip link del gantry0

away bridge '[a-z0-9_]*bridge[a-z0-9_]*\|br_netfilter'
has "no bridge: named" "module bridge" "$(told --iptables=false)"
launch --bridge none --iptables=false
check "no bridge: an engine without a default network" hi "$(gantry run --rm --network none busybox echo hi 2>&1)"
has "no bridge: a network of one's own" "module bridge" "$(gantry network create own 2>&1)"
end
back

away veth veth
launch
has "no veth: named" "module veth" "$(gantry run --rm busybox true 2>&1)"
check "no veth: without a network it runs" hi "$(gantry run --rm --network none busybox echo hi 2>&1)"
check "no veth: nothing is left of the refused one" "" "$(gantry ps -aq)"
back
check "with veth again" hi "$(gantry run --rm busybox echo hi 2>&1)"

away macvlan macvlan
away ipvlan ipvlan
/bin/ip link add lan type dummy
for driver in macvlan ipvlan; do
    has "no $driver: named" "module $driver" "$(gantry network create -d $driver -o parent=lan wire 2>&1 && gantry run --rm --network wire busybox true 2>&1)"
    gantry network rm wire >/dev/null 2>&1
done
end
[ $failed = 0 ] || tail -20 /run/log
exit $failed
