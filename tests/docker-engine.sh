#!/bin/bash
# Docker's engine from the distribution's newest packages, unpacked into a folder: nothing of it is installed. Its runc is this
# release's own, where there is one: the newest asks for privileges that a virtual machine may lack.
# usage: tests/docker-engine.sh FOLDER        prints the path of dockerd; containerd and runc lie beside it
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
programs=$folder/docker-engine
if [ ! -x "$programs/dockerd" ]; then
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/*$')
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site sid main" >"$work/sources.list"
    options=(-o APT::Sandbox::User=root -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
    apt-get "${options[@]}" update -qq >&2
    (cd "$work" && apt-get "${options[@]}" download -qq docker.io containerd runc tini >&2)
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
    mkdir -p "$programs.part"
    find "$work/root" -type f \( -path '*/bin/*' -o -path '*/sbin/*' -o -path '*/libexec/*' \) -exec mv -t "$programs.part" {} +
    own=$(command -v runc || true)
    [ -z "$own" ] || cp -f "$own" "$programs.part/runc"
    [ -e "$programs.part/docker-init" ] || ln -sf tini "$programs.part/docker-init"
    rm -rf "$programs" && mv "$programs.part" "$programs"
fi
echo "$programs/dockerd"
