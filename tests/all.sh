#!/bin/bash
# Runs every test: pure, contract, kernel and program tier. Called by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
triple=$(uname -m)-unknown-linux-gnu
# Program tests start a whole engine; it finds the static helpers here.
export GANTRY_SHIM="$target/$triple/small/gantry-shim"
export GANTRY_RUNTIME="$target/$triple/small/gantry-runtime"

# Behind the rest of the path: the folder holds a python of its own.
export PATH="$PATH:$(tests/providers.sh "$target/providers")"

cargo build --locked -p gantry
cargo test --locked --workspace --no-fail-fast

# What is there of Docker's endpoints and commands and of Compose's attributes: implemented, refused and why, missing.
cargo test --locked --quiet -p gantry-server -p gantry-cli -p gantry-compose-file --test coverage -- --nocapture --test-threads 1

# The tests inside other people's clients: what passed once must pass. The suites and their images are kept in the target folder.
# They wait by the clock in places: where one of their tests falls, the suite is asked once more.
for suite in ages docker-py aiodocker bollard; do
    PROGRAM="$target/debug/gantry" tests/conformance/clients/run.sh "$suite" ||
        PROGRAM="$target/debug/gantry" tests/conformance/clients/run.sh "$suite"
done

# The registry against its specification's suite; it needs Go to be built, once.
REGISTRY="$target/debug/gantry registry" tests/conformance/registry.sh "$target/providers" || [ $? -eq 77 ]

# The files that compose-spec's loader is tested with, by Docker Compose 2 and by ours; they come as a Go module.
tests/conformance/compose-files.py "$target/debug/gantry" "$(tests/compose-v2.sh .test-images)" || [ $? -eq 77 ]

# Projects go from docker-compose 1.29 and 2 to ours and back, with every attribute, and no container is made anew.
tests/compose-takeover.py "$target/debug/gantry" .test-images/busybox.tar "$(tests/compose-v2.sh .test-images)"

# The book's Dockerfiles: built, run, asked over HTTP.
tests/examples.sh "$target/debug/gantry" || [ $? -eq 77 ]

# The light ones of the book's projects, by our compose and by both of Docker's, asked over HTTP.
tests/examples.py "$target/debug/gantry" "$(tests/images.sh .test-images debian-with)" "$(tests/compose-v2.sh .test-images)"

# Bad days, short; see docs/reliability.md for the long ones.
tests/reliability/kill.py --kills 8
tests/reliability/power.py --kills 6 --first 3
tests/reliability/registry_power.py --cuts 4
tests/reliability/crossing.py --seconds 10
tests/reliability/older.py || [ $? -eq 77 ]
tests/reliability/flip.py --flips 10
tests/reliability/phases.py --every 30
tests/reliability/starve.py
tests/reliability/hand.py
tests/reliability/interrupt.py --rounds 8
tests/reliability/soak.py --minutes 0.5
