#!/usr/bin/env bash
# Images under the names that the suites ask for, made from the distribution's packages. Beside NAME.tar lies NAME.names: where a registry has it.
# usage: images.sh FOLDER SUITE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1/$2
[ -f "$folder/ready" ] && exit 0
mkdir -p "$folder"
folder=$(realpath "$folder")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

image() { # image FILE CMD-AS-JSON LAYER NAME...
	local file=$1 cmd=$2 layer=$3
	shift 3
	python3 "$here/../../archive.py" "$folder/$file.tar" "$1" "$cmd" "$layer"
	printf '%s\n' "$@" >"$folder/$file.names"
}

busybox_root() {
	mkdir -p "$work/root"/{bin,etc,proc,sys,tmp,dev,usr/bin,usr/sbin,sbin,www,root,var/opt}
	chmod 755 "$work/root"
	install -m 755 /bin/busybox "$work/root/bin/busybox"
	local name
	for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln "$work/root/bin/busybox" "$work/root/bin/$name"; done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\npostgres:x:70:70:postgres:/:/bin/sh\n' >"$work/root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\npostgres:x:70:\n' >"$work/root/etc/group"
	printf '#!/bin/sh\nexec httpd "$@"\n' >"$work/root/usr/sbin/run_uhttpd"
	printf '#!/bin/sh\necho; echo "Hello from Docker!"\n' >"$work/root/hello"
	chmod 755 "$work/root/usr/sbin/run_uhttpd" "$work/root/hello"
	mkdir -p "$work/root/etc/config"
	printf '\nconfig uhttpd main\n' >"$work/root/etc/config/uhttpd"
	echo 'it works' >"$work/root/www/index.html"
	tar -C "$work/root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$work/busybox.layer" .
}

case $2 in
bollard)
	busybox_root
	image alpine '["/bin/sh"]' "$work/busybox.layer" alpine:latest library/alpine:latest
	image uhttpd '["/bin/sh"]' "$work/busybox.layer" fussybeaver/uhttpd:latest
	image hello '["/hello"]' "$work/busybox.layer" hello-world:linux library/hello-world:linux library/hello-world:latest
	;;
ages)
	busybox_root
	image busybox '["/bin/sh"]' "$work/busybox.layer" library/busybox:latest
	;;
docker-py)
	busybox_root
	image alpine '["/bin/sh"]' "$work/busybox.layer" library/alpine:3.10 library/alpine:latest library/busybox:latest
	image hello '["/hello"]' "$work/busybox.layer" library/hello-world:latest
	;;
aiodocker)
	busybox_root
	image alpine '["/bin/sh"]' "$work/busybox.layer" library/alpine:3.18 library/alpine:latest library/busybox:latest
	command -v mmdebstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
	mmdebstrap --variant=minbase --mode=root --format=tar --quiet --include=python3-minimal --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Acquire::Languages "none"' \
		--customize-hook='ln -s python3 "$1/usr/bin/python"; rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/python.layer"
	image python '["python3"]' "$work/python.layer" library/python:3.13-alpine library/python:latest
	# The original registry, so that the tests of pushing have the same one on every engine.
	mkdir -p "$work/registry"/{etc,tmp,var/lib/registry}
	chmod 1777 "$work/registry/tmp"
	cp --parents -L "$(command -v docker-registry)" $(ldd "$(command -v docker-registry)" | grep -o '/[^ ]*') "$work/registry"
	printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ":5000"}\n' >"$work/registry/etc/registry.yml"
	tar -C "$work/registry" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$work/registry.layer" .
	image registry "[\"$(command -v docker-registry)\", \"serve\", \"/etc/registry.yml\"]" "$work/registry.layer" library/registry:2
	# The same with another command: another image.
	image python-next '["/usr/bin/python3"]' "$work/python.layer" library/python:3.14-alpine
	;;
esac
touch "$folder/ready"
