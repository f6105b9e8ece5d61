#!/bin/bash
# Starts the engine that was just built (unless one answers already), runs a container, and says how to go on.
# usage: tests/run.sh FOLDER-WITH-PROGRAMS
set -euo pipefail

programs=$1
socket=${GANTRY_SOCKET:-/run/gantry.sock}
log=${GANTRY_LOG:-/var/log/gantry.log}
gantry() { "$programs/gantry" -H "unix://$socket" "$@"; }

if ! gantry version >/dev/null 2>&1; then
    [ "$(id -u)" -eq 0 ] || { echo "the engine needs root: sudo make run" >&2; exit 1; }
    setsid "$programs/gantry" daemon -H "unix://$socket" ${GANTRY_FLAGS:-} >>"$log" 2>&1 </dev/null &
    for _ in $(seq 100); do
        gantry version >/dev/null 2>&1 && break
        sleep 0.1
    done
    gantry version >/dev/null || { echo "the engine did not start; its log:" >&2; tail -n 20 "$log" >&2; exit 1; }
fi

gantry run --rm hello-world

cat <<TXT
The engine goes on running; its log is $log. To go on:

    export PATH=$programs:\$PATH
    gantry ps -a
    gantry import - busybox < rootfs.tar && gantry run --rm -it busybox sh
    docker -H unix://$socket info        # your own docker client works as well

    gantry help                          # everything else
    kill \$(cat /run/gantry.pid)           # stops the engine
TXT
