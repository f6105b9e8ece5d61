#!/usr/bin/env bash
# The tests that other people wrote for their Docker clients, against our engine or against Docker's.
#
#   run.sh bollard|aiodocker|docker-py|ages   against Gantry
#   ENGINE=docker run.sh ...          against the machine's dockerd: how a suite is proven before it judges us
#   PROGRAM=target/fast/gantry        which Gantry
#   ONLY=name                         only tests whose name holds this
#
# The suites come with the clients' own packages, pinned in the scripts beside this one. They need images that no registry here has, so a registry of
# ours serves images of the same names made from the distribution's packages, and the engine has it as its mirror.
# Prints what passed and failed; a test that passed once and fails now (see the .passing lists beside this file) makes the run fail.
set -euo pipefail

suite=${1:?bollard, aiodocker, docker-py or ages}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
cache=${CLIENT_SUITES:-${CARGO_TARGET_DIR:-$root/target}/client-suites}
engine=${ENGINE:-gantry}
PROGRAM=${PROGRAM:-${CARGO_TARGET_DIR:-$root/target}/debug/gantry}
PROGRAM=$(realpath "$PROGRAM")
mkdir -p "$cache"

# Everything from here on happens in a network and a mount namespace of its own.
if [ -z "${INSIDE:-}" ]; then
	"$here/$suite.sh" prepare "$cache" # needs the network
	"$here/images.sh" "$cache/images" "$suite"
	INSIDE=1 exec unshare --net --mount --propagation private -- "$0" "$suite"
fi

ip link set lo up
work=$(mktemp -d)
cleanup() {
	trap - EXIT
	for pid in "$work"/*.pid; do [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true; done
	for _ in $(seq 100); do
		local alive=0
		for pid in "$work"/*.pid; do [ -s "$pid" ] && kill -0 "$(cat "$pid" 2>/dev/null)" 2>/dev/null && alive=1; done
		[ $alive = 0 ] && break
		sleep 0.1
	done
	if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work" || true; fi
}
trap cleanup EXIT

until_answers() { # until_answers WHAT COMMAND...: waits until the command succeeds
	local what=$1
	shift
	for _ in $(seq 300); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "$what does not answer; its log:" >&2
	tail -n 20 "$work/$what.log" >&2
	exit 1
}

"$PROGRAM" registry serve --addr 127.0.0.1:5000 --root "$work/registry" >"$work/registry.log" 2>&1 &
echo $! >"$work/registry.pid"
until_answers registry curl -fsS http://127.0.0.1:5000/v2/
for image in "$cache"/images/"$suite"/*.tar; do
	while read -r name; do
		skopeo copy --quiet --dest-tls-verify=false "docker-archive:$image" "docker://127.0.0.1:5000/$name"
	done <"${image%.tar}.names"
done

# Some tests insist on the usual socket; and a reference engine's containerd must not be the host's.
mount -t tmpfs tmpfs /run
socket=/run/docker.sock
common=(--default-runtime runc -H "unix://$socket" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/engine.pid" --registry-mirror http://127.0.0.1:5000)
case $engine in
gantry)
	GANTRY_SHIM=${GANTRY_SHIM:-$(dirname "$PROGRAM")/../$(uname -m)-unknown-linux-gnu/small/gantry-shim} "$PROGRAM" daemon "${common[@]}" >"$work/engine.log" 2>&1 &
	;;
docker)
	dockerd "${common[@]}" >"$work/engine.log" 2>&1 &
	;;
esac
export DOCKER_HOST=unix://$socket
until_answers engine docker version
if [ "$suite" = bollard ]; then # its own script begins so, too
	for name in alpine hello-world:linux fussybeaver/uhttpd; do docker pull -q "localhost:5000/$name" >/dev/null; done
fi
if [ "$suite" = aiodocker ]; then docker pull -q python >/dev/null; fi # one of its tests takes it for granted
"$here/$suite.sh" run "$cache" "$work" || true

"$here/verdict.py" "$work/results" "$here/$suite.passing" "$engine"
