#!/usr/bin/env bash
# The OCI distribution specification's own conformance suite against our registry, all four workflows: pull, push,
# content discovery, content management.
#
#   OCI_CONFORMANCE=/path/to/conformance.test   the suite of spec 1.1 (a compiled `go test`), required
#   OCI_CONFORMANCE_NEXT=/path/to/conformance   the suite of the spec's main branch, optional
#   REGISTRY="gantry registry"                  the program under test; another registry's works as well
#
# The suites are other people's programs and are not part of this project. Exit 77: there is no suite to run.
set -eu
suite=${OCI_CONFORMANCE:-}
next=${OCI_CONFORMANCE_NEXT:-}
read -ra registry <<<"${REGISTRY:-gantry registry}"
if [ ! -x "$suite" ]; then
	echo "set OCI_CONFORMANCE to the compiled suite of opencontainers/distribution-spec" >&2
	exit 77
fi

work=$(mktemp -d)
log=$work/registry.log
"${registry[@]}" serve --addr 127.0.0.1:0 --root "$work/root" >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

address=
for _ in $(seq 100); do
	address=$(sed -n 's/.*address=\([0-9.:]*\).*/\1/p' "$log" | head -n 1)
	[ -n "$address" ] && break
	kill -0 "$server" || { cat "$log" >&2; exit 1; }
	read -rt 0.1 <> <(:) || true
done
[ -n "$address" ] || { echo "the registry never listened" >&2; cat "$log" >&2; exit 1; }

cd "$work"
OCI_ROOT_URL=http://$address OCI_NAMESPACE=conformance/one OCI_CROSSMOUNT_NAMESPACE=conformance/two \
	OCI_AUTOMATIC_CROSSMOUNT=1 OCI_TEST_PULL=1 OCI_TEST_PUSH=1 OCI_TEST_CONTENT_DISCOVERY=1 \
	OCI_TEST_CONTENT_MANAGEMENT=1 OCI_HIDE_SKIPPED_WORKFLOWS=0 OCI_REPORT_DIR=$work "$suite" | tail -n 5
if [ -x "$next" ]; then
	OCI_REGISTRY=$address OCI_TLS=disabled OCI_VERSION=dev OCI_DATA_SPARSE=false OCI_RESULTS_DIR=$work/next "$next" |
		grep -vE ':[[:space:]]+Pass$'
fi
