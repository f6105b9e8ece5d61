#!/bin/bash
# Installs what building or testing needs, from the distribution's packages. Does nothing where all is there.
# usage: tests/needs.sh build|test
set -euo pipefail

missing=()
want() { # want COMMAND PACKAGE: the package is needed when the command is not there
    command -v "$1" >/dev/null 2>&1 || [ -x "/sbin/$1" ] || [ -x "/usr/sbin/$1" ] || missing+=("$2")
}

want cc gcc
want make make
if ! command -v cargo >/dev/null 2>&1; then
    if apt-cache show rustup >/dev/null 2>&1; then missing+=(rustup); else
        echo "Gantry needs Rust 1.90 or newer; this distribution's packages have none. Install rustup first." >&2
        exit 1
    fi
fi

if [ "${1:-build}" = test ]; then
    want runc runc          # the reference runtime, and a foreign one under our engine
    want crun crun
    want ip iproute2        # "other machines" are network namespaces
    want nft nftables       # reads back what we wrote
    want iptables iptables
    want mkfs.ext4 e2fsprogs # a disk that fails
    want skopeo skopeo      # an original client for registries and archives
    want docker-registry docker-registry # the registry to compare ours with
    want sshd openssh-server # images travel between engines by it
    want ssh openssh-client
    want curl curl
    want dig bind9-dnsutils # asks our name server as people do
    want htpasswd apache2-utils
    want openssl openssl
    want jq jq
    want python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv) # other people's test suites
    want mmdebstrap mmdebstrap # an image with a Python, for aiodocker's suite
    want xz xz-utils
    want zsh zsh            # the shells that completion is for
    want fish fish
    want groff groff-base   # reads the manual's pages with all its warnings
    want script bsdutils    # gives a program a terminal
    [ -x /bin/busybox ] && file -L /bin/busybox 2>/dev/null | grep -q static || missing+=(busybox-static file)
    command -v docker >/dev/null 2>&1 || missing+=(docker.io)
    want docker-compose docker-compose # Compose 1 where the distribution has it; tests/compose-v2.sh brings 2
fi

# An original client that older releases lack; tests that want it say so when it is not to be had.
buildx() { [ "${1:-build}" != test ] || "$(dirname "$0")/buildx.sh" >/dev/null || true; }

[ ${#missing[@]} -eq 0 ] && { buildx "$@"; exit 0; }
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "please install: ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
if [[ " ${missing[*]} " == *" rustup "* ]]; then rustup default stable; fi
buildx "$@"
