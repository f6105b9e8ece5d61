#!/bin/bash
# Builds every example, runs it, and asks it over HTTP. Packages come from the distribution through the container's network.
# usage: examples/try.sh        (DOCKER_HOST names the engine; it needs an image called debian: tests/images.sh FOLDER debian)
set -euo pipefail
cd "$(dirname "$0")"

docker=${DOCKER:-docker}
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}

try() { # folder, what it must answer
    "$docker" build -q -t "example-$1" "$1" >/dev/null
    local id port
    id=$("$docker" run -d -p 127.0.0.1::80 "example-$1")
    trap '"$docker" rm -f "$id" >/dev/null' RETURN
    port=$("$docker" port "$id" 80 | head -n 1)
    for _ in $(seq 120); do
        if curl -fsS "http://$port/" 2>/dev/null | grep -q "$2"; then
            echo "$1: $2"
            return 0
        fi
        sleep 0.5
    done
    "$docker" logs "$id" >&2
    echo "$1 does not answer" >&2
    return 1
}

try nginx "Our site runs"
try sinatra "Sinatra says hello"
