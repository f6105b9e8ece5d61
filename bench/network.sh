#!/bin/bash
# What a container's network costs: our own set-up, tear-down, port maps and names, and beside them the programs (`ip`,
# `nft`, `iptables`) doing the same steps one by one. Everything happens in network namespaces of its own. Needs root.
#
#   bench/network.sh [rounds]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=100
[[ ${1:-} =~ ^[0-9]+$ ]] && rounds=$1
cargo build -q --release -p gantry-network --example measure
out=${CARGO_TARGET_DIR:-target}
echo "gantry:"
"$(realpath "$out/release/examples/measure")" "$rounds"

median() {
    sort -n | awk '{ all[NR] = $1 } END { printf "median %8.3f ms  min %8.3f  max %8.3f\n", all[int((NR + 1) / 2)], all[1], all[NR] }'
}
# Runs a command the given number of times; its words may hold %d for the round.
sample() {
    local what=$1 count=$2 start end command
    shift 2
    for ((round = 1; round <= count; round++)); do
        command=${*//%d/$round}
        start=$EPOCHREALTIME
        eval "$command"
        end=$EPOCHREALTIME
        echo "$(((${end/[.,]/} - ${start/[.,]/})))" | awk '{ print $1 / 1000 }'
    done | { printf '%-46s ' "$what"; median; }
}
export -f median sample
reference() {
    ip link add br0 type bridge
    ip addr add 172.30.0.1/16 dev br0
    ip link set br0 up
    sample "ip: namespace, pair, address, route, up" "$1" \
        'ip netns add b%d; ip link add v%d type veth peer name eth0 netns b%d; ip link set v%d master br0 up;
         ip -n b%d addr add 172.30.0.2/16 dev eth0; ip -n b%d link set eth0 up;
         ip -n b%d route add default via 172.30.0.1; ip netns del b%d'
    if command -v nft >/dev/null; then
        nft 'add table inet b; add map inet b m { type inet_proto . inet_service : ipv4_addr . inet_service; }'
        sample "nft: one element in a map" "$1" 'nft "add element inet b m { tcp . %d : 172.30.0.2 . 80 }"'
    else
        echo "nft is not installed: no comparison with it"
    fi
    if command -v iptables >/dev/null; then
        iptables -t nat -N DOCKER
        sample "iptables: one DNAT rule" "$1" \
            'iptables -w -t nat -A DOCKER -p tcp --dport %d -j DNAT --to-destination 172.30.0.2:80'
    else
        echo "iptables is not installed: no comparison with it"
    fi
}
export -f reference
echo "the programs:"
if command -v ip >/dev/null; then
    unshare --net --mount --propagation private bash -c 'set -euo pipefail; mount -t tmpfs none /run; reference "$1"' bash "$((rounds < 30 ? rounds : 30))"
else
    echo "iproute2 is not installed: no comparison with it"
fi
