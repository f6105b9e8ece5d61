#!/bin/bash
# Fuzzes each reader of foreign bytes in turn with libFuzzer, from its seeds and what earlier runs found.
#
# usage: fuzz/run.sh SECONDS [TARGET...]         (every target when none is named)
#
# Needs the nightly tool chain and a C++ compiler, no other tool. What is learned stays in target/fuzz/corpus, the processor time
# spent on each target is added up in target/fuzz/spent; an input that makes a target fall lies in target/fuzz/found, and the
# script ends with 1.
set -euo pipefail

seconds=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
out=${CARGO_TARGET_DIR:-$here/../target}/fuzz
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# A target folder and a target triple of its own: build scripts and macros are not instrumented, the product's artifacts stay.
(cd "$here" && RUSTFLAGS="--cfg fuzzing -Cdebug-assertions $coverage" CARGO_TARGET_DIR=$out \
    cargo +nightly build --release --quiet --target x86_64-unknown-linux-gnu --bins)
"$here/seeds.py" "$out/seeds"

# Seconds of user and system time of what is timed, in the given file.
TIMEFORMAT='%U %S'
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for source in "$here"/fuzz_targets/*.rs; do targets+=("$(basename "$source" .rs)"); done
fell=0
for target in "${targets[@]}"; do
    mkdir -p "$out/corpus/$target" "$out/found" "$out/spent"
    log=$out/$target.log
    result=nothing
    {
        # Without Rust's own beginning of a program nobody else says that a closed socket is an error and no signal.
        time env --ignore-signal=PIPE "$out/x86_64-unknown-linux-gnu/release/$target" "$out/corpus/$target" "$out/seeds/$target" -max_total_time="$seconds" \
            -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$out/found/$target-" >"$log" 2>&1 ||
            { result="FELL, see $log" fell=1; }
    } 2>"$log.time"
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$(tail -n 1 "$log.time") ${inputs:-0}" >>"$out/spent/$target"
    awk -v target="$target" -v result="$result" -v kept="$(find "$out/corpus/$target" -type f | wc -l)" -v now="${inputs:-0}" \
        '{ cpu += $1 + $2; all += $3 } END { printf "%-14s %11d inputs now, %12d in %5.1f CPU minutes so far, %6d kept: %s\n", target, now, all, cpu / 60, kept, result }' \
        "$out/spent/$target"
done
exit $fell
