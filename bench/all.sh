#!/bin/bash
# Runs every benchmark beside the references that are installed, and writes what each printed into the last section of
# docs/performance.md. Called by `make bench`.
# usage: bench/all.sh [FOLDER-WITH-PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${1:-${CARGO_TARGET_DIR:-$PWD/target}/release}
images=$PWD/.test-images
told=$(mktemp -d)
trap 'rm -rf "$told"' EXIT
install() { command -v "$1" >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${2:-$1}" >/dev/null || true; }
install dockerd docker.io
install mmdebstrap
install docker-compose
install docker-registry
install ab apache2-utils
install crun
install iperf3
install wrk
install nginx nginx-light
tests/images.sh "$images" busybox debian >/dev/null

turn=0
# run TITLE COMMAND...: shows what it prints and keeps it. A benchmark whose reference is not installed says so and ends with 77.
run() {
    local title=$1 code=0
    shift
    turn=$((turn + 1))
    echo "== $title"
    "$@" 2>&1 | tee "$told/$(printf '%02d' $turn) $title" || code=$?
    [ $code -eq 0 ] || [ $code -eq 77 ]
}
run engine python3 bench/engine.py "$programs/gantry" "$images/busybox.tar" "$images/debian.tar"
run runtime bash bench/runtime.sh
run shim python3 bench/shim.py "$programs/gantry-shim"
run "classic builds" python3 bench/build.py "$programs/gantry" "$images/busybox.tar"
run BuildKit python3 bench/buildkit.py "$programs/gantry" "$images/busybox.tar"
run compose python3 bench/compose.py "$programs/gantry" "$images/busybox.tar" "$(tests/compose-v2.sh "$images")"
run "network set-up" bash bench/network.sh
run networks python3 bench/network.py "$programs/gantry"
run "push and pull" python3 bench/travel.py "$programs/gantry"
REGISTRY="$programs/gantry registry" run registry bash bench/registry/run.sh
python3 bench/write.py "$told" docs/performance.md
