#!/bin/bash
# Every test that needs the emulated machine. Called by `make guest`.
# usage: tests/guest/all.sh GANTRY FOLDER-WITH-HELPERS
set -euo pipefail
cd "$(dirname "$0")/../.."

program=$1
helpers=$2
if [ ! -x /usr/sbin/apparmor_parser ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends apparmor >/dev/null
fi
if ! command -v socat >/dev/null || ! command -v ip >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends socat iproute2 >/dev/null
fi
if ! command -v mkfs.xfs >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xfsprogs >/dev/null
fi
if ! command -v secilc >/dev/null || ! command -v getfattr >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends secilc attr >/dev/null
fi
images=$PWD/.test-images
tests/images.sh "$images" busybox >/dev/null
small=$(mktemp -d)
trap 'rm -rf "$small"' EXIT
strip -o "$small/gantry" "$program"

tests/guest/run.sh tests/guest/cgroup2.sh "$helpers/gantry-runtime=/bin/gantry-runtime"
tests/guest/run.sh tests/guest/engine.sh "$small/gantry=/bin/gantry" "$helpers/gantry-shim=/bin/gantry-shim" \
    "$helpers/gantry-runtime=/bin/gantry-runtime" "$images/busybox.tar=/busybox.tar" \
    "$(command -v mkfs.xfs)=/sbin/mkfs.xfs" /usr/sbin/apparmor_parser=/sbin/apparmor_parser /etc/apparmor.d=/etc/apparmor.d
tests/guest/run.sh tests/guest/network.sh "$small/gantry=/bin/gantry" "$helpers/gantry-shim=/bin/gantry-shim" \
    "$helpers/gantry-runtime=/bin/gantry-runtime" "$images/busybox.tar=/busybox.tar" \
    "$(command -v ip)=/usr/sbin/ip" "$(command -v socat)=/bin/socat"
for script in clock modules; do
    tests/guest/run.sh "tests/guest/$script.sh" "$small/gantry=/bin/gantry" "$helpers/gantry-shim=/bin/gantry-shim" \
        "$helpers/gantry-runtime=/bin/gantry-runtime" "$images/busybox.tar=/busybox.tar"
done

{
    for number in $(seq 0 1023); do echo "(category c$number)"; done
    echo "(categoryorder ($(seq -f c%g -s ' ' 0 1023)))"
} >"$small/categories.cil"
secilc -M true -c 33 -f /dev/null -o "$small/policy" tests/guest/selinux.cil "$small/categories.cil"
GANTRY_GUEST_KERNEL="security=selinux selinux=1 enforcing=0" tests/guest/run.sh tests/guest/selinux.sh "$small/gantry=/bin/gantry" \
    "$helpers/gantry-shim=/bin/gantry-shim" "$helpers/gantry-runtime=/bin/gantry-runtime" "$images/busybox.tar=/busybox.tar" \
    "$small/policy=/policy" "$(command -v getfattr)=/bin/getfattr"
