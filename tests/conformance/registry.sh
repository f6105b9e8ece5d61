#!/usr/bin/env bash
# The OCI distribution specification's own conformance suite against our registry, all four workflows (pull, push,
# content discovery, content management) and every kind of content: as of 1.1, and as of the specification's main branch.
#
# usage: tests/conformance/registry.sh FOLDER
#   FOLDER                          where the suite is kept once it is built
#   OCI_CONFORMANCE=/path/to/it     the suite, built elsewhere
#   REGISTRY="gantry registry"      the program under test; another registry's works as well
#
# The suite is other people's program, a Go module, and is not part of this project. Exit 77: there is no suite to run.
set -eu
folder=${1:?where the suite is kept}
module=github.com/opencontainers/distribution-spec/conformance
version=v0.0.0-20260831232431-97274622c111
suite=${OCI_CONFORMANCE:-$folder/$version/conformance}
read -ra registry <<<"${REGISTRY:-gantry registry}"
if [ ! -x "$suite" ]; then
	if ! GOBIN=$(realpath -m "$folder/$version") GOFLAGS=-mod=mod timeout 300 go install "$module@$version" >&2; then
		echo "the conformance suite is not to be had (it wants Go 1.24): it is not run" >&2
		exit 77
	fi
fi

work=$(mktemp -d)
log=$work/registry.log
"${registry[@]}" serve --addr 127.0.0.1:0 --root "$work/root" >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

address=
for _ in $(seq 200); do
	address=$(sed -n 's/.*address=\([0-9.:]*\).*/\1/p' "$log" | head -n 1)
	[ -n "$address" ] && break
	kill -0 "$server" || { cat "$log" >&2; exit 1; }
	read -rt 0.1 <> <(:) || true
done
[ -n "$address" ] || { echo "the registry never listened" >&2; cat "$log" >&2; exit 1; }

cd "$work"
for spec in 1.1 dev; do
	told=$work/$spec.told
	# Its own exit says whether a test failed; what it could not try because we lack it, only its report does.
	OCI_REGISTRY=$address OCI_TLS=disabled OCI_VERSION=$spec OCI_RESULTS_DIR=$work/$spec \
		OCI_REPO1=conformance/one$spec OCI_REPO2=conformance/two$spec "$suite" >"$told" 2>&1 || { cat "$told"; exit 1; }
	if grep -E ':[[:space:]]+(FAIL|Fail|Error|Skip)' "$told"; then
		exit 1
	fi
	passed=$(grep -cE ':[[:space:]]+Pass$' "$told")
	[ "$passed" -ge 40 ] || { echo "only $passed passed of $spec:"; cat "$told"; exit 1; }
	echo "conformance with distribution $spec: $passed kinds of requests and content pass"
done
