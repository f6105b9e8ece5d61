#!/usr/bin/env bash
# docker-py's own integration tests: `prepare CACHE` brings them, `run CACHE WORK` runs them and writes WORK/results ("ok NAME" or "failed NAME" a line).
set -euo pipefail
version=6.1.3 # the last whose source package holds its tests
cache=$2/docker-py-$version
here=$(cd "$(dirname "$0")" && pwd)

case $1 in
prepare)
	[ -x "$cache/ready" ] && exit 0
	mkdir -p "$cache"
	python3 -m venv "$cache/python"
	"$cache/python/bin/pip" install --quiet --disable-pip-version-check "docker==$version" 'requests<2.32' 'urllib3<2' pytest==7.4.4 pytest-timeout==2.4.0 paramiko==3.5.1
	"$cache/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary docker -d "$cache" "docker==$version"
	rm -rf "$cache/source"
	mkdir "$cache/source"
	tar -xzf "$cache/docker-$version.tar.gz" -C "$cache/source" --strip-components 1
	# The installed package is what is tested.
	rm -r "$cache/source/docker" "$cache/docker-$version.tar.gz"
	install -m 755 /dev/null "$cache/ready"
	;;
run)
	cd "$cache/source"
	export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 HOME=$3
	# Without a file of settings the contexts' tests write into the folder they run in, and fail on what an earlier run left.
	mkdir -p "$3/.docker" && echo '{}' >"$3/.docker/config.json"
	# Left out: what needs a swarm, plugins (they come from a registry on the internet), and credential helpers (programs of the client's machine).
	left_out=(--ignore tests/integration/credentials --deselect tests/integration/api_network_test.py::TestNetworks::test_create_inspect_network_with_scope
		--deselect tests/integration/api_network_test.py::TestNetworks::test_create_network_attachable
		--deselect tests/integration/api_network_test.py::TestNetworks::test_create_network_ingress)
	for name in api_config api_plugin api_secret api_service api_swarm models_nodes models_services models_swarm; do
		left_out+=(--ignore "tests/integration/${name}_test.py")
	done
	timeout -s KILL 600 "$cache/python/bin/python" -m pytest -p no:cacheprovider -p docker_py_images --timeout 60 -q -rA "${left_out[@]}" ${ONLY:+-k "$ONLY"} tests/integration >"$3/out" 2>&1 </dev/null || true
	sed -n 's/^PASSED \([^ ]*\).*/ok \1/p; s/^FAILED \([^ ]*\).*/failed \1/p; s/^ERROR \([^ ]*\).*/failed \1/p' "$3/out" >"$3/results"
	[ -z "${SHOW:-}" ] || cat "$3/out"
	;;
esac
