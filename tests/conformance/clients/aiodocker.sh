#!/usr/bin/env bash
# aiodocker's own tests: `prepare CACHE` brings them, `run CACHE WORK` runs them and writes WORK/results ("ok NAME" or "failed NAME" a line).
set -euo pipefail
version=0.27.0
cache=$2/aiodocker-$version

case $1 in
prepare)
	[ -x "$cache/ready" ] && exit 0
	mkdir -p "$cache"
	python3 -m venv "$cache/python"
	"$cache/python/bin/pip" install --quiet --disable-pip-version-check "aiodocker==$version" packaging==26.1 pytest==9.0.3 pytest-asyncio==1.3.0 pytest-timeout==2.4.0 \
		testcontainers==4.14.2 async-timeout==5.0.1 asyncssh paramiko
	# The tests are in the source package alone.
	"$cache/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary aiodocker -d "$cache" "aiodocker==$version"
	rm -rf "$cache/source"
	mkdir "$cache/source"
	tar -xzf "$cache/aiodocker-$version.tar.gz" -C "$cache/source" --strip-components 1
	# The installed package is what is tested.
	rm -r "$cache/source/aiodocker"
	install -m 755 /dev/null "$cache/ready"
	;;
run)
	cd "$cache/source"
	# The registry of the push tests is asked for by a name that needs no TLS, wherever this runs.
	export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_CONNECTION_MODE=docker_host TESTCONTAINERS_HOST_OVERRIDE=localhost
	# What a test leaves open is told at the end of that test, not at the end of whichever is running when the collector comes.
	printf '%s\n' 'import gc, pytest' '@pytest.hookimpl(trylast=True)' 'def pytest_runtest_teardown(item): gc.collect()' >"$3/collect.py"
	# What needs a swarm starts a Docker in Docker, from an image that cannot be had.
	PYTHONPATH=$3 timeout -s KILL 900 "$cache/python/bin/python" -m pytest -p collect -o addopts= -p no:cacheprovider --timeout 60 -q -rA --ignore tests/test_configs.py --ignore tests/test_nodes.py --ignore tests/test_secrets.py --ignore tests/test_services.py --ignore tests/test_swarm.py ${ONLY:+-k "$ONLY"} >"$3/out" 2>&1 </dev/null || true
	sed -n 's/^PASSED \([^ ]*\).*/ok \1/p; s/^FAILED \([^ ]*\).*/failed \1/p; s/^ERROR \([^ ]*\).*/failed \1/p' "$3/out" >"$3/results"
	[ -z "${SHOW:-}" ] || cat "$3/out"
	;;
esac
