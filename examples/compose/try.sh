#!/bin/bash
# Brings example projects up, asks each over HTTP, takes it down.
# usage: examples/compose/try.sh [NAME...]        (default: haproxy figtest; all: haproxy figtest django rails wordpress)
#   COMPOSE      the command (default: docker-compose); FIG the one for fig's file (default: COMPOSE)
#   DOCKER_HOST  the engine; it needs an image called debian (tests/images.sh FOLDER debian) and a way to the packages
#   WITHIN       a prefix for the questions, such as "nsenter --net=/proc/PID/ns/net" where the engine has a network of its own
set -euo pipefail
cd "$(dirname "$0")"

compose=${COMPOSE:-docker-compose}
within=${WITHIN:-}

ask() { # address: the answer, once there is one
    local answer
    for _ in $(seq 240); do
        if answer=$($within curl -fsSL --max-time 20 "$1" 2>/dev/null); then
            echo "$answer"
            return 0
        fi
        sleep 0.5
    done
    echo "$1 does not answer" >&2
    return 1
}

until_it_says() { # address, words
    local answer=
    for _ in $(seq 120); do
        answer=$(ask "$1") || return 1
        if grep -q "$2" <<<"$answer"; then
            grep -om1 "$2.*" <<<"$answer"
            return 0
        fi
        sleep 0.5
    done
    echo "$1 does not say '$2' but: $answer" >&2
    return 1
}

haproxy() {
    ask http://127.0.0.1:8081/ >/dev/null
    until_it_says http://127.0.0.1:1936/ "Statistics Report"
    # Every server is asked once in three calls, in the same order again.
    local first
    until first=$(for _ in 1 2 3; do ask http://127.0.0.1:8081/; done) && [ "$(sort -u <<<"$first" | wc -l)" = 3 ]; do sleep 0.5; done
    [ "$first" = "$(for _ in 1 2 3; do ask http://127.0.0.1:8081/; done)" ]
    echo "$first"
}

figtest() {
    until_it_says http://127.0.0.1:5000/ "I have been seen 1 times"
    until_it_says http://127.0.0.1:5000/ "I have been seen 2 times"
}

django() { until_it_says http://127.0.0.1:8000/ "PostgreSQL knows 0 users"; }

rails() { until_it_says http://127.0.0.1:3000/ "the worker was here [1-9]"; }

wordpress() { until_it_says http://127.0.0.1:8082/ "WordPress &rsaquo; Installation"; }

for name in "${@:-haproxy figtest}"; do
    for project in $name; do
        command=("$compose")
        [ "$project" != figtest ] || command=("${FIG:-$compose}" -f fig.yml)
        (
            cd "$project"
            trap '"${command[@]}" down -v -t 1 >/dev/null 2>&1 || { "${command[@]}" kill; "${command[@]}" rm -fv; } >/dev/null 2>&1' EXIT
            "${command[@]}" build >build.log 2>&1 || { tail -30 build.log; exit 1; }
            "${command[@]}" up -d
            "$project" || { "${command[@]}" logs | tail -50; exit 1; }
            rm -f build.log
        )
        echo "$project: well"
    done
done
