#!/bin/bash
# An emulator of 64-bit ARM's programs and such a program, from the distribution's packages, unpacked and not installed.
# usage: tests/emulator.sh FOLDER    afterwards FOLDER/qemu-aarch64 and FOLDER/busybox are there, each static
set -euo pipefail

to=$1
kept="$(cd "$(dirname "$0")/.." && pwd)/.test-tools/emulator"
if [ ! -x "$kept/qemu-aarch64" ] || [ ! -x "$kept/busybox" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' |
        awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }')
    [ -n "$mirror" ] || { echo "no Debian to take an emulator from" >&2; exit 1; }
    echo "deb $mirror stable main" >"$work/sources.list"
    get() { # get ARCHITECTURE PACKAGES...: the lists of this machine stay as they are
        local lists="$work/lists-$1" architecture=$1
        shift
        mkdir -p "$lists/partial" "$work/cache/archives/partial"
        local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$lists"
            -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture")
        "${apt[@]}" update && (cd "$work" && "${apt[@]}" download "$@")
    }
    get "$(dpkg --print-architecture)" qemu-user >&2
    get arm64 busybox-static >&2
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
    mkdir -p "$kept"
    install -m 755 "$work/root/usr/bin/qemu-aarch64" "$kept/qemu-aarch64"
    install -m 755 "$(find "$work/root" -type f -path '*/bin/busybox' | head -n 1)" "$kept/busybox"
fi
mkdir -p "$to"
cp "$kept/qemu-aarch64" "$kept/busybox" "$to/"
