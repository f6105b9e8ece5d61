#!/usr/bin/env bash
# Our registry beside Docker's (Debian's `docker-registry`) on this machine: blob reads, manifests, uploads, memory.
# The two take turns, and who begins alternates; each figure is the median of ROUNDS, with least and most, and the ratio
# ours to theirs is the median of the rounds' ratios, so that a busy minute touches both sides alike. Blob reads have a
# third column: a program that is nothing but `sendfile`, what the kernel itself takes.
#
#   REGISTRY="gantry registry"   our program        DOCKER_REGISTRY=docker-registry   theirs
#   ROUNDS=7  BLOB_MB=256  REQUESTS=10000           `ab` (apache2-utils), curl and python3 must be installed
set -eu
read -ra ours <<<"${REGISTRY:-gantry registry}"
theirs=${DOCKER_REGISTRY:-docker-registry}
rounds=${ROUNDS:-7} blob_mb=${BLOB_MB:-256} requests=${REQUESTS:-10000}
export BLOB_BYTES=$((blob_mb << 20))
load=$(dirname "$0")/load.py
bare=$(dirname "$0")/sendfile.py
for tool in curl ab python3 "$theirs"; do
	command -v "$tool" >/dev/null || { echo "$tool is not installed: nothing to compare"; exit 77; }
done

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() { # name
	port[$1]=$(free_port)
	if [ "$1" = gantry ]; then
		REGISTRY_LOG_ACCESSLOG_DISABLED=true "${ours[@]}" serve --addr "127.0.0.1:${port[$1]}" --root "$work/$1" 2>/dev/null &
	else
		printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {cache: {blobdescriptor: inmemory}, filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
			"$work/$1" "${port[$1]}" >"$work/$1.yml"
		"$theirs" serve "$work/$1.yml" >/dev/null 2>&1 &
	fi
	pid[$1]=$!
	pids+=($!)
	curl -s --retry 50 --retry-delay 0 --retry-connrefused -o /dev/null "http://127.0.0.1:${port[$1]}/v2/"
}
cpu() { awk '{print $14 + $15}' "/proc/$1/stat"; } # ticks, user and system

digest_of() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }
put() { # name file [digest]: uploads in one PATCH and a PUT, prints the digest
	local base=http://127.0.0.1:${port[$1]} digest location
	digest=${3:-$(digest_of "$2")}
	location=$(curl -si -X POST "$base/v2/bench/app/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $location in /*) location=$base$location ;; esac
	location=$(curl -si -X PATCH -H 'Content-Type: application/octet-stream' -H 'Expect:' -T "$2" "$location" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	case $location in /*) location=$base$location ;; esac
	case $location in *\?*) location="$location&" ;; *) location="$location?" ;; esac
	curl -sf -o /dev/null -X PUT -H 'Content-Length: 0' "${location}digest=$digest"
	echo "$digest"
}
figure_file() { tr -c "a-z0-9\n" - <<<"$1"; }
note() { echo "$3" >>"$work/$(figure_file "$2").$1"; } # name figure value
seconds() { date +%s.%N; }

declare -A port pid
names=(gantry docker)
for name in "${names[@]}"; do start "$name"; done

head -c $((blob_mb << 20)) /dev/urandom >"$work/blob"
echo '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}' >"$work/config"
for name in "${names[@]}"; do
	layer=$(put "$name" "$work/blob")
	config=$(put "$name" "$work/config")
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s","size":%s}]}' \
		"$config" "$(stat -c %s "$work/config")" "$layer" "$(stat -c %s "$work/blob")" >"$work/manifest"
	curl -sf -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$work/manifest" \
		"http://127.0.0.1:${port[$name]}/v2/bench/app/manifests/latest"
done

# Of a copy: the blob itself changes before each upload.
cp "$work/blob" "$work/bare"
port[bare]=$(free_port)
python3 "$bare" "${port[bare]}" "$work/bare" &
pid[bare]=$!
pids+=($!)
curl -s --retry 50 --retry-delay 0 --retry-connrefused -o /dev/null "http://127.0.0.1:${port[bare]}/"

# blobs NAME STREAMS READS: throughput, and per second of the server's processor time
blobs() {
	local before after speed spent
	before=$(cpu "${pid[$1]}")
	speed=$(python3 "$load" "127.0.0.1:${port[$1]}" "/v2/bench/app/blobs/$layer" "$2" "$3")
	after=$(cpu "${pid[$1]}")
	spent=$(awk "BEGIN {t = ($after - $before) / $(getconf CLK_TCK); print (t > 0 ? t : 0.01)}")
	note "$1" "blob read, $2 at once, MB/s" "$(awk "BEGIN {print $speed / 1e6}")"
	note "$1" "blob read, $2 at once, MB per CPU second" "$(awk "BEGIN {print $2 * $3 * $BLOB_BYTES / 1e6 / $spent}")"
}

for round in $(seq "$rounds"); do
	blobs bare 1 8
	blobs bare 8 2
	turn=("${names[@]}")
	[ $((round % 2)) = 1 ] || turn=("${names[1]}" "${names[0]}")
	for name in "${turn[@]}"; do
		base=http://127.0.0.1:${port[$name]}/v2/bench/app
		# So many reads make enough ticks to count.
		blobs "$name" 1 8
		blobs "$name" 8 2
		ab -q -k -n "$requests" -c 50 -H 'Accept: application/vnd.oci.image.manifest.v1+json' "$base/manifests/latest" >"$work/ab" 2>&1
		note "$name" "manifest requests per second, 50 clients" "$(awk '/^Requests per second/ {print $4}' "$work/ab")"
		note "$name" "manifest p99, ms" "$(awk '$1 == "99%" {print $2}' "$work/ab")"
		printf '%s%s' "$RANDOM$RANDOM" "$(date +%N)" | dd of="$work/blob" conv=notrunc status=none
		digest=$(digest_of "$work/blob")
		began=$(seconds)
		put "$name" "$work/blob" "$digest" >/dev/null
		note "$name" "upload, MB/s" "$(awk "BEGIN {print $blob_mb * 1.048576 / ($(seconds) - $began)}")"
	done
done
for name in "${names[@]}"; do
	note "$name" "most memory, MiB" "$(awk '/^VmHWM/ {print $2 / 1024}' "/proc/${pid[$name]}/status")"
done

middle() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
spread() { sort -g "$1" | awk '{v[NR] = $1} END {printf "%.1f (%.1f-%.1f)", v[int((NR + 1) / 2)], v[1], v[NR]}'; }
ratio() { paste "$1" "$2" | awk '{print ($2 > 0) ? $1 / $2 : 0}' | middle; }
printf '%-48s %-28s %-28s %-8s %s\n' figure gantry docker-registry ratio 'bare sendfile'
for figure in "blob read, 1 at once, MB/s" "blob read, 1 at once, MB per CPU second" \
	"blob read, 8 at once, MB/s" "blob read, 8 at once, MB per CPU second" \
	"manifest requests per second, 50 clients" "manifest p99, ms" "upload, MB/s" "most memory, MiB"; do
	file=$work/$(figure_file "$figure")
	floor=
	[ ! -f "$file.bare" ] || floor=$(spread "$file.bare")
	printf '%-48s %-28s %-28s %-8.2f %s\n' "$figure" "$(spread "$file.gantry")" "$(spread "$file.docker")" "$(ratio "$file.gantry" "$file.docker")" "$floor"
done
