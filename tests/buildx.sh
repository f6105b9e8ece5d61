#!/bin/bash
# Gets docker-buildx, the client that speaks BuildKit's protocol, and prints its path. What is installed is taken; else it
# comes from the distribution's newest release that has it, unpacked into .test-tools/ and not installed.
set -euo pipefail

folder="$(cd "$(dirname "$0")/.." && pwd)/.test-tools"
known=(
    "$folder/docker-buildx"
    "$HOME/.docker/cli-plugins/docker-buildx"
    /usr/libexec/docker/cli-plugins/docker-buildx
    /usr/lib/docker/cli-plugins/docker-buildx
    /usr/local/lib/docker/cli-plugins/docker-buildx
)
for path in "${known[@]}"; do
    if [ -x "$path" ]; then echo "$path" && exit 0; fi
done
[ "${1:-}" = --known ] && exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/lists/partial" "$work/cache/archives/partial"
# The mirror this machine uses, and another release on it.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }')
get() { # get SUITE: downloads and unpacks; the lists of this machine stay as they are
    echo "deb $mirror $1 main" >"$work/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
    "${apt[@]}" update && (cd "$work" && "${apt[@]}" download docker-buildx) && dpkg -x "$work"/docker-buildx_*.deb "$work/root"
}
if [ -n "$mirror" ]; then
    for suite in sid stable; do
        rm -f "$work"/docker-buildx_*.deb
        if get "$suite" >&2 && "$work/root/usr/libexec/docker/cli-plugins/docker-buildx" version >&2; then
            install -m 755 "$work/root/usr/libexec/docker/cli-plugins/docker-buildx" "$folder/docker-buildx"
            echo "$folder/docker-buildx" && exit 0
        fi
    done
elif (cd "$work" && apt-get -qq download docker-buildx) >&2; then
    dpkg -x "$work"/docker-buildx_*.deb "$work/root"
    install -m 755 "$work"/root/usr/lib*/docker/cli-plugins/docker-buildx "$folder/docker-buildx"
    echo "$folder/docker-buildx" && exit 0
fi
echo "docker-buildx cannot be had here: tests of BuildKit's door are skipped" >&2
exit 1
