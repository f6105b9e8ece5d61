#!/usr/bin/env bash
# Clients of every age: docker-py 2 to 7, the distribution's own docker and Compose 1. `prepare CACHE` brings them, `run CACHE WORK` runs
# them and writes WORK/results ("ok NAME" or "failed NAME" a line).
set -euo pipefail
cache=$2/ages
here=$(cd "$(dirname "$0")" && pwd)
# What each needs of its own time.
declare -A pythons=([2.7.0]='requests<2.29 urllib3<1.27 six setuptools<80' [4.4.4]='requests<2.29 urllib3<1.27' [7.1.0]='requests')

case $1 in
prepare)
	[ -x "$cache/ready" ] && exit 0
	mkdir -p "$cache"
	for version in "${!pythons[@]}"; do
		python3 -m venv "$cache/python-$version"
		# shellcheck disable=SC2086 # several words
		"$cache/python-$version/bin/pip" install --quiet --disable-pip-version-check "docker==$version" ${pythons[$version]}
	done
	rm -rf "$cache/old" && mkdir -p "$cache/old"
	(cd "$cache/old" && apt-get download -qq docker.io && dpkg -x docker.io_*.deb . && rm docker.io_*.deb) ||
		(cd "$cache/old" && apt-get download -qq docker-cli && dpkg -x docker-cli_*.deb . && rm docker-cli_*.deb) || true
	install -m 755 /dev/null "$cache/ready"
	;;
run)
	: >"$3/results"
	for version in 2.7.0 4.4.4 7.1.0; do
		# With the version it was made for, the oldest one, and the engine's own.
		for api in 1.30 1.24 auto; do
			"$cache/python-$version/bin/python" "$here/ages.py" "docker-py-$version" "$api" >>"$3/results" 2>"$3/said-$version-$api" </dev/null || true
			[ -z "${SHOW:-}" ] || cat "$3/said-$version-$api"
		done
	done
	"$here/ages-cli.sh" "$cache/old/usr/bin/docker" "$3" >>"$3/results" 2>"$3/said-cli" </dev/null || true
	[ -z "${SHOW:-}" ] || cat "$3/said-cli"
	;;
esac
