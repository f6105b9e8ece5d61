#!/bin/bash
# Builds every example, runs it, and asks it over HTTP. Packages come from the distribution through the container's network.
# usage: examples/try.sh [NAME...]    (all of them without a name; DOCKER_HOST names the engine, which needs an image called debian:
#                                     tests/images.sh FOLDER debian. HOST_NETWORK=1 builds and runs on the machine's own network.)
set -euo pipefail
cd "$(dirname "$0")"

docker=${DOCKER:-docker}
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}

network=()
[ -z "${HOST_NETWORK:-}" ] || network=(--network host)

answers() { # port of the service, address, what it must say: over HTTP, or by itself as soon as one is connected (VNC)
    case $1 in
    5900) exec 3<>"/dev/tcp/${2%:*}/${2##*:}" && head -c 12 <&3 ;;
    *) curl -fsSL "http://$2/" ;;
    esac 2>/dev/null | grep -aq "$3"
}

try() { # folder, its port, what it must answer
    "$docker" build -q "${network[@]}" -t "example-$1" "$1" >/dev/null
    local id address=127.0.0.1:$2
    if [ -n "${HOST_NETWORK:-}" ]; then
        id=$("$docker" run -d --network host "example-$1")
    else
        id=$("$docker" run -d -p "127.0.0.1::$2" "example-$1")
        address=$("$docker" port "$id" "$2" | head -n 1)
    fi
    trap '"$docker" rm -f "$id" >/dev/null' RETURN
    for _ in $(seq 240); do
        if answers "$2" "$address" "$3"; then
            echo "$1: $3"
            return 0
        fi
        sleep 0.5
    done
    "$docker" logs "$id" >&2
    echo "$1 does not answer" >&2
    return 1
}

wanted=" ${*:-nginx sinatra supervisor tomcat django rack wordpress vnc} "
while read -r name port text; do
    case $wanted in *" $name "*) try "$name" "$port" "$text" </dev/null ;; esac
done <<'EXAMPLES'
nginx 80 Our site runs
sinatra 80 Sinatra says hello
supervisor 80 Two services, one container
tomcat 80 Tomcat says 42
django 80 Django says hello
rack 80 Ruby answers
wordpress 80 WordPress
vnc 5900 RFB 003
EXAMPLES
