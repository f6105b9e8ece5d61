#!/usr/bin/env bash
# What BuildKit's own parser makes of a corpus of Dockerfiles: those that its module brings, and our own. Prints the path of
# a file with one JSON document a line, made once; crates/dockerfile/tests/corpus.rs holds our parser to it.
#
# BuildKit is other people's program, a Go module, and is not part of this project. Exit 77: it is not to be had here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../../.test-tools
made=$folder/dockerfile-trees-$(cat "$here"/dockerfile/* "$0" | sha256sum | cut -c1-16).jsonl
if [ ! -s "$made" ]; then
	mkdir -p "$folder"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	cd "$here/dockerfile"
	if ! timeout 300 go build -o "$work/trees" . >&2; then
		echo "BuildKit's parser is not to be had here (it wants Go and its modules): our trees are not compared" >&2
		exit 77
	fi
	"$work/trees" "$(go list -m -f '{{.Dir}}' github.com/moby/buildkit)" "$here/dockerfile/texts" >"$work/trees.jsonl"
	mv "$work/trees.jsonl" "$made"
fi
echo "$made"
