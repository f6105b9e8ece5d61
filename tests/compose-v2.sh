#!/bin/bash
# Docker Compose 2 from the distribution's newest packages, unpacked beside this one's: older releases have Compose 1 only.
# usage: tests/compose-v2.sh FOLDER        prints the program's path
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
program=$folder/compose-v2/usr/libexec/docker/cli-plugins/docker-compose
if [ ! -x "$program" ]; then
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/*$')
    mkdir -p "$folder/apt/lists/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site sid main" >"$folder/apt/sources.list"
    options=(-o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$folder/apt/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
    apt-get "${options[@]}" update -qq >&2
    (cd "$folder/apt" && apt-get "${options[@]}" download -qq docker-compose >&2)
    dpkg -x "$folder"/apt/docker-compose_*.deb "$folder/compose-v2"
    rm -r "$folder/apt"
fi
echo "$program"
