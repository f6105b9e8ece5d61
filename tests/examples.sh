#!/bin/bash
# The book's Dockerfiles (examples/), each built with the distribution's packages, run, and asked over HTTP, on an engine of their own.
# usage: tests/examples.sh PROGRAM [NAME...]
# The services listen on this machine's own ports 80 and 5900: where something else does, it is told and ends with 77.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(realpath "$1")
shift
for port in 80 5900; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "port $port is somebody else's: the book's Dockerfiles are not run" >&2
        exit 77
    fi
done
work=$(mktemp -d)
"$program" daemon -H "unix://$work/sock" --data-root "$work/data" --exec-root "$work/run" --pidfile "$work/pid" \
    --bridge=none --iptables=false --ip-forward=false >"$work/log" 2>&1 &
engine=$!
trap 'kill "$engine" 2>/dev/null || true; wait "$engine" 2>/dev/null || true; rm -rf "$work"' EXIT
export DOCKER_HOST="unix://$work/sock" HOST_NETWORK=1
for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$engine" || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
tests/images.sh .test-images debian >/dev/null
docker load -q -i .test-images/debian.tar
examples/try.sh "$@"
