#!/bin/sh
# Runs the same commands with two clients on one engine and compares standard output, standard error and exit code.
#
#   cli.sh OURS THEIRS SOCKET [CASES]
#
# OURS and THEIRS are programs that take docker's command line (ours is called through a link named docker), SOCKET is
# an engine's socket that holds an image `busybox`. Ids, times, sizes and the clients' own versions are normalised. A
# case that differs is shown as a diff, unless it stands in CASES' neighbour .known with its reason above it; the exit code is the number of cases that differ (at most 100).
set -u
ours=$(readlink -f "$1"); theirs=$(readlink -f "$2"); socket=$3
cases=${4:-$(dirname "$0")/cli.cases}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/ours" "$work/theirs"
ln -s "$ours" "$work/ours/docker"
ln -s "$theirs" "$work/theirs/docker"
export HOME="$work/home" DOCKER_HOST="unix://$socket"
mkdir -p "$HOME"; mkdir "$work/ctx"; printf 'FROM busybox\nRUN echo hi > /x\n' > "$work/ctx/Dockerfile"
echo 'A=1' > "$work/env"; echo 'hello' > "$work/file"; cd "$work" || exit 101

normal() {
    # The original's advice to install another builder is not ours to give.
    sed -e '/^DEPRECATED: The legacy builder/,/^$/d' | sed -E -e 's/\b[0-9a-f]{64}\b/<ID>/g' -e 's/\b[0-9a-f]{12}\b/<id>/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z| ?[+-][0-9:]+( UTC)?)?/<time>/g' \
        -e 's/(About an? |Less than an? )?([0-9]+ )?(second|minute|hour|day|week)s?( ago)/<ago>/g' \
        -e 's/Up (Less than a |About an? )?([0-9]+ )?(seconds?|minutes?|hours?)/Up <time>/g' \
        -e 's/\) <ago>/) <ago>/g' -e 's/ +/ /g' -e 's/ $//' -e 's#/tmp/tmp\.[A-Za-z0-9]+#<work>#g' \
        -e 's/"(Pid|pid)": ?[0-9]+/"Pid":<n>/g'
}

"$theirs" save busybox >"$work/busybox.saved" || exit 102

clean() {
    "$theirs" inspect busybox:latest >/dev/null 2>&1 || "$theirs" load -qi "$work/busybox.saved" >/dev/null
    "$theirs" rm -fv $("$theirs" ps -aq) >/dev/null 2>&1
    "$theirs" volume rm $("$theirs" volume ls -q) >/dev/null 2>&1
    for image in $("$theirs" images --format '{{.Repository}}:{{.Tag}}' | grep -v '^busybox:latest$'); do
        "$theirs" rmi -f "$image" >/dev/null 2>&1
    done
    "$theirs" network rm n1 >/dev/null 2>&1
    rm -rf "$work/out" "$work/cid" "$work/x.tar" "$HOME/.docker"
}

run() { # who, case
    clean
    (PATH="$work/$1:$PATH"; export PATH; timeout 60 sh -c "$2") >"$work/$1.out" 2>"$work/$1.err" </dev/null
    echo "exit $?" >"$work/$1.code"
    for f in out err; do normal <"$work/$1.$f" >"$work/$1.$f.n"; done
}

total=0 bad=0 known=0
while IFS= read -r line; do
    case $line in ''|'#'*) continue ;; esac
    total=$((total + 1))
    run theirs "$line"
    run ours "$line"
    for f in out.n err.n code; do
        if grep -qFx -- "$line" "${cases%.cases}.known"; then known=$((known + 1)); break; fi
        if ! cmp -s "$work/theirs.$f" "$work/ours.$f"; then
            echo "=== $line   [$f]"
            diff "$work/theirs.$f" "$work/ours.$f" | head -12
            echo "$line" >>"$work/bad"
        fi
    done
done <"$cases"
clean
[ -f "$work/bad" ] && bad=$(sort -u "$work/bad" | wc -l)
echo "$total cases, $((total - bad - known)) alike, $known known to differ, $bad different"
[ "$bad" -gt 100 ] && bad=100
exit "$bad"
