#!/usr/bin/env bash
# bollard's own tests: `prepare CACHE` brings and compiles them, `run CACHE WORK` runs them and writes WORK/results ("ok NAME" or "failed NAME" a line).
set -euo pipefail
version=0.21.1
cache=$2/bollard-$version

case $1 in
prepare)
	[ -x "$cache/ready" ] && exit 0
	mkdir -p "$cache"
	# The registry's own copy of the package holds its tests; a package that needs it makes cargo bring it.
	mkdir -p "$cache/fetch/src"
	printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nbollard = "=%s"\n[workspace]\n' $version >"$cache/fetch/Cargo.toml"
	: >"$cache/fetch/src/lib.rs"
	source=$(cd "$cache/fetch" && cargo metadata --format-version 1 | jq -r '.packages[] | select(.name == "bollard") | .manifest_path')
	rm -rf "$cache/source"
	cp -r "$(dirname "$source")" "$cache/source"
	printf '\n[workspace]\n[profile.dev]\ndebug = false\n' >>"$cache/source/Cargo.toml"
	cd "$cache/source"
	CARGO_TARGET_DIR=$cache/target cargo test --tests --no-run --message-format json 2>"$cache/log" |
		jq -r 'select(.executable != null and .profile.test) | .executable' >"$cache/programs" || { tail -n 30 "$cache/log" >&2; exit 1; }
	install -m 755 /dev/null "$cache/ready"
	;;
run)
	cd "$cache/source"
	export REGISTRY_HTTP_ADDR=localhost:5000 REGISTRY_PASSWORD=any
	: >"$3/results"
	while read -r program; do
		name=$(basename "$program" | sed 's/-[0-9a-f]*$//')
		# An engine in no swarm answers these with a refusal, Docker's as well.
		case $name in config_test | node_test | secret_test | service_test | swarm_test | task_test) continue ;; esac
		timeout -s KILL 300 "$program" --test-threads 1 ${ONLY:+"$ONLY"} >"$3/$name.out" 2>&1 </dev/null || true
		sed -n "s/^test \(.*\) \.\.\. ok$/ok $name::\1/p; s/^test \(.*\) \.\.\. FAILED$/failed $name::\1/p" "$3/$name.out" >>"$3/results"
		[ -z "${SHOW:-}" ] || sed -n '/^failures:/,$p' "$3/$name.out"
	done <"$cache/programs"
	;;
esac
