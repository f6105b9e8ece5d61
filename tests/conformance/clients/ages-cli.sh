#!/bin/sh
# A day's work with an old docker and with Compose 1: prints "ok NAME" or "failed NAME" a line.
# usage: ages-cli.sh DOCKER WORK        with DOCKER_HOST, and busybox in the registry that the engine asks
docker=$1
cd "$2" || exit 1
export DOCKER_CONFIG="$2/client" DOCKER_BUILDKIT=0 COMPOSE_PROJECT_NAME=aged
mkdir -p "$DOCKER_CONFIG" ctx
printf 'FROM busybox\nRUN echo built >/b\nCMD cat /b\n' >ctx/Dockerfile
cat >ctx/docker-compose.yml <<'END'
version: "2.1"
services:
  web: {image: busybox, command: httpd -f -h /bin, labels: [a=b]}
  ask: {image: busybox, command: sleep 1000, depends_on: [web], stop_grace_period: 0s}
END

try() { # try NAME COMMAND...: what it says must be what stands in $wanted
	name=$1
	shift
	if got=$("$@" 2>&1) && [ "$got" = "$wanted" ]; then echo "ok docker::$name"; else echo "failed docker::$name"; echo "$name: $got" >&2; fi
}
d() { "$docker" "$@"; }

if [ -x "$docker" ]; then
	d pull -q busybox >&2
	wanted=hi; try run "$docker" run --rm busybox echo hi
	d run -d --name aged -l a=b -v agedvol:/v -p 80 busybox sleep 1000 >&2
	wanted=aged; try ps "$docker" ps --filter label=a=b --format '{{.Names}}'
	wanted=in; try exec "$docker" exec aged echo in
	wanted='running 1'; try inspect "$docker" inspect -f '{{.State.Status}} {{len .Mounts}}' aged
	echo file >file
	d cp file aged:/tmp/ >&2
	wanted=file; try cp "$docker" exec aged cat /tmp/file
	wanted=sleep; try top sh -c "'$docker' top aged -o pid,comm | awk 'NR == 2 { print \$2 }'"
	wanted=aged; try stats "$docker" stats --no-stream --format '{{.Name}}' aged
	wanted='C /tmp A /tmp/file'; try diff sh -c "'$docker' diff aged | grep tmp | tr '\n' ' ' | sed 's/ \$//'"
	d commit aged aged:1 >&2
	wanted=file; try commit "$docker" run --rm aged:1 cat /tmp/file
	d save aged:1 -o saved.tar >&2 && d rmi -f aged:1 >&2
	wanted='Loaded image: aged:1'; try load "$docker" load -i saved.tar
	d build -q -t aged:2 ctx >&2
	wanted=built; try build "$docker" run --rm aged:2
	d network create agednet >&2
	d network connect agednet aged >&2
	wanted='agednet bridge '; try network "$docker" inspect -f '{{range $name, $of := .NetworkSettings.Networks}}{{$name}} {{end}}' aged
	wanted=agedvol; try volume "$docker" volume ls -q --filter name=agedvol
	wanted=linux; try info "$docker" info -f '{{.OSType}}'
	wanted=aged; try kill "$docker" rm -f aged
	d network rm agednet >&2
	d volume rm agedvol >&2
	d rmi -f aged:1 aged:2 >&2
	wanted=; try clean "$docker" ps -aq
fi

compose=$(command -v docker-compose) && "$compose" version 2>&1 | grep -q 'version 1\.' || exit 0
c() { (cd ctx && "$compose" "$@"); }
c up -d >&2
wanted='ask web'; try compose-ps sh -c "cd ctx && '$compose' ps --services | sort | tr '\n' ' ' | sed 's/ \$//'"
wanted=busybox; try compose-exec sh -c "cd ctx && '$compose' exec -T ask wget -q -O - web/busybox >/dev/null && echo busybox"
c up -d --scale ask=2 >&2
wanted=2; try compose-scale sh -c "cd ctx && '$compose' ps -q ask | wc -l"
wanted=once; try compose-run sh -c "cd ctx && '$compose' run --rm -T ask echo once 2>/dev/null"
c down -v -t 0 >&2
wanted=; try compose-down sh -c "cd ctx && '$compose' ps -q 2>/dev/null"
