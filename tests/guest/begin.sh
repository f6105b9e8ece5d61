# What every script of the guest begins with: sentences about what was expected, and the engine. Read by `. /begin.sh`.
set -u
failed=0
export DOCKER_HOST=unix:///run/gantry.sock
check() { # check NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok: $1"; else echo "FAILED: $1: expected '$2', got '$3'"; failed=1; fi
}
has() { # has NAME PART TEXT
    case "$3" in *"$2"*) echo "ok: $1" ;; *) echo "FAILED: $1: no '$2' in '$3'"; failed=1 ;; esac
}
lacks() { # lacks NAME PART TEXT
    case "$3" in *"$2"*) echo "FAILED: $1: '$2' in '$3'"; failed=1 ;; *) echo "ok: $1" ;; esac
}
until_is() { # until_is NAME EXPECTED COMMAND...
    name=$1 wanted=$2
    shift 2
    tries=0
    while [ $tries -lt 60 ]; do
        got=$("$@" 2>&1)
        [ "$got" = "$wanted" ] && break
        tries=$((tries + 1))
        sleep 1
    done
    check "$name" "$wanted" "$got"
}
until_has() { # until_has NAME PART COMMAND...
    name=$1 wanted=$2
    shift 2
    tries=0
    while [ $tries -lt 10 ]; do
        got=$("$@" 2>&1)
        case "$got" in *"$wanted"*) break ;; esac
        tries=$((tries + 1))
        sleep 1
    done
    has "$name" "$wanted" "$got"
}
launch() { # launch FLAGS...
    gantry daemon --data-root /var/lib/gantry --exec-root /run/gantry --pidfile /run/gantry.pid -H $DOCKER_HOST "$@" >>/run/log 2>&1 &
    engine=$!
    tries=0
    until gantry version >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 60 ]; then echo "FAILED: the engine does not start"; cat /run/log; exit 1; fi
        sleep 1
    done
}
end() {
    kill $engine
    wait $engine 2>/dev/null
}
inspect() { gantry inspect -f "$2" "$1"; }
