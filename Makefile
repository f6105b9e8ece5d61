# The two commands of this project are `make run` and `make test`.
# Both install what they need from the distribution's packages by themselves (as root, on Debian and its kin).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TRIPLE := $(shell uname -m)-unknown-linux-gnu
# The helpers that stay beside every container are static and small; they are built by a call of their own,
# because their flags would otherwise rebuild everything else.
HELPERS := $(TARGET)/$(TRIPLE)/small
PROFILE ?= release
PROGRAM := $(TARGET)/$(PROFILE)
PREFIX ?= /usr/local

.PHONY: run test guest difference build helpers needs needs-run lint bench fuzz docs install clean

## Build Gantry, start its engine, run a container from a real image, and show how to go on.
run: needs-run build
	./tests/run.sh $(PROGRAM)

## Everything that decides whether a change may land, but formatting and lints (see `make lint`).
test: needs helpers
	./tests/all.sh

## What needs another host: runtime and engine on cgroup v2 alone and with AppArmor, in an emulated machine with the
## distribution's kernel.
guest: helpers
	$(CARGO) build --locked -p gantry
	./tests/guest/all.sh $(TARGET)/debug/gantry $(HELPERS)

## The same commands and bodies on Docker's engine of today and on ours; what differs without a reason listed is shown.
difference: needs helpers
	$(CARGO) build --locked -p gantry
	tests/images.sh $(CURDIR)/.test-images busybox >/dev/null
	install -D -m 755 -t $(TARGET)/debug $(HELPERS)/gantry-shim $(HELPERS)/gantry-runtime
	python3 tests/difference/engines.py $(TARGET)/debug/gantry $$(tests/docker-engine.sh $(CURDIR)/.test-images) .test-images/busybox.tar
	CORNER=clients python3 tests/difference/engines.py $(TARGET)/debug/gantry $$(tests/docker-engine.sh $(CURDIR)/.test-images) .test-images/busybox.tar

build: helpers
	$(CARGO) build --locked --profile $(PROFILE) -p gantry
	install -m 755 $(HELPERS)/gantry-shim $(HELPERS)/gantry-runtime $(PROGRAM)/

helpers: needs-run
	CARGO_TARGET_DIR=$(TARGET) RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" $(CARGO) build --locked --profile small --target $(TRIPLE) -p gantry-shim -p gantry-runtime

lint: needs-run
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

needs-run:
	./tests/needs.sh build

needs: needs-run
	./tests/needs.sh test

bench: needs build
	./bench/all.sh

# Needs the nightly tool chain. Processor minutes for each target, counted over all runs; `make fuzz FUZZ_MINUTES=60` for an hour each.
FUZZ_MINUTES ?= 1
fuzz: needs
	./fuzz/run.py $(FUZZ_MINUTES)

install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAM)/gantry $(PROGRAM)/gantry-shim $(PROGRAM)/gantry-runtime $(DESTDIR)$(PREFIX)/bin/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 packaging/gantry.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/
	sed 's|/usr/local/bin|$(PREFIX)/bin|' packaging/gantry.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/gantry.service

## Manual pages and the reference in Markdown, written from the tables that the parser reads.
docs: build
	install -d $(TARGET)/docs
	$(PROGRAM)/gantry docs man $(TARGET)/docs/man1
	$(PROGRAM)/gantry docs markdown $(TARGET)/docs/reference

clean:
	$(CARGO) clean
