#!/bin/bash
# Runs every benchmark beside the references that are installed. Called by `make bench`.
# usage: bench/all.sh [FOLDER-WITH-PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${1:-${CARGO_TARGET_DIR:-$PWD/target}/release}
images=$PWD/.test-images
command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io >/dev/null || true
}
command -v mmdebstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
tests/images.sh "$images" busybox debian >/dev/null
python3 bench/engine.py "$programs/gantry" "$images/busybox.tar" "$images/debian.tar"
python3 bench/build.py "$programs/gantry" "$images/busybox.tar"
command -v docker-compose >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null || true
python3 bench/compose.py "$programs/gantry" "$images/busybox.tar" "$(tests/compose-v2.sh "$images")"
python3 bench/buildkit.py "$programs/gantry" "$images/busybox.tar"
bash bench/runtime.sh
bash bench/network.sh
python3 bench/network.py "$programs/gantry"
python3 bench/travel.py "$programs/gantry"
python3 bench/shim.py "$programs/gantry-shim"
# A benchmark whose reference is not installed says so and ends with 77.
REGISTRY="$programs/gantry registry" bash bench/registry/run.sh || [ $? -eq 77 ]
