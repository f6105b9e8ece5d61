#!/bin/sh
# gantry-runtime beside crun and runc, interleaved in one run: one busybox `true` with Docker's whole feature set, and
# `exec true`. Needs root, busybox-static, and crun or runc to compare with.
#
#   bench/runtime.sh [rounds]
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-100}
target=x86_64-unknown-linux-gnu
[ "$(uname -m)" = aarch64 ] && target=aarch64-unknown-linux-gnu
RUSTFLAGS="-C target-feature=+crt-static" cargo build -q --profile small -p gantry-runtime --target "$target"
cargo build -q --release -p gantry-runtime-lib --example runtime-bench
out=${CARGO_TARGET_DIR:-target}
set -- "gantry=$(realpath "$out/$target/small/gantry-runtime")"
for other in crun runc; do
    if path=$(command -v "$other"); then
        set -- "$@" "$other=$path"
    else
        echo "$other is not installed: no comparison with it"
    fi
done
bench="$(realpath "$out/release/examples/runtime-bench")"
# Debian's crun 1.8 refuses a hybrid cgroup layout: it gets a mount namespace without the version 2 mount.
exec unshare --mount --propagation private sh -c '
    if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
    exec "$@"' sh "$bench" "$rounds" "$@"
