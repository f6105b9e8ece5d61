#!/bin/bash
# Programs that speak the wire of far storage, for the registry's tests: moto (S3, Google's XML) and OpenStack's Swift and
# Keystone from PyPI, Azurite from npm; and crane, a client, from its Go module. What cannot be had is told, and the tests
# that want it are passed over.
# usage: PATH=$PATH:$(tests/providers.sh FOLDER)
set -uo pipefail

mkdir -p "$1"
folder=$(realpath "$1")
if [ ! -x "$folder/moto/bin/moto_server" ]; then
    { python3 -m venv "$folder/moto" && timeout 300 "$folder/moto/bin/pip" install -q --disable-pip-version-check 'moto[server,s3]==5.*'; } >&2 ||
        echo "moto is not to be had: the registry on S3 is not tried" >&2
fi
if [ ! -x "$folder/node_modules/.bin/azurite-blob" ]; then
    timeout 300 npm install --silent --no-audit --no-fund --prefix "$folder" azurite@3 >&2 ||
        echo "azurite is not to be had: the registry on Azure is not tried" >&2
fi
if [ ! -x "$folder/openstack/openstack-here" ]; then
    { python3 -m venv "$folder/openstack" && timeout 400 "$folder/openstack/bin/pip" install -q --disable-pip-version-check swift keystone keystonemiddleware &&
        printf '#!/bin/sh\nexec %q %q "$@"\n' "$folder/openstack/bin/python" "$(realpath "$(dirname "$0")")/openstack_here.py" >"$folder/openstack/openstack-here" &&
        chmod +x "$folder/openstack/openstack-here"; } >&2 ||
        echo "Swift is not to be had: the registry on Swift is not tried" >&2
fi
if [ ! -x "$folder/go/crane" ]; then
    GOBIN=$folder/go GOFLAGS= timeout 400 go install github.com/google/go-containerregistry/cmd/crane@v0.22.1 >&2 ||
        echo "crane is not to be had: it is not tried" >&2
fi
echo "$folder/go:$folder/openstack:$folder/moto/bin:$folder/node_modules/.bin"
