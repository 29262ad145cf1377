# irc.now: `make run` serves the platform, `make test` proves it. Everything else is here for those who build it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build design test check lint fuzz bench bench-operators parts clean

CARGO ?= cargo
RUN_ARGS ?=
FUZZ_SECONDS ?= 60

help: ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

run: build ## build and serve everything on this machine
	@tools/parts network
	@$${CARGO_TARGET_DIR:-target}/release/ircnow up $(RUN_ARGS)

build: design
	@$(CARGO) build --release --locked --quiet --bin ircnow

design: design/dist/stamp ## fonts and styles for the pages

design/dist/stamp: design/package-lock.json design/build.mjs $(wildcard design/*.css design/*/*.css design/*/*.js)
	@tools/parts build
	@cd design && npm ci --no-audit --no-fund --loglevel=error >/dev/null && node build.mjs && touch dist/stamp

# Most tests wait for servers, not for the processor.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: design parts lint ## everything: lints, docs, all tests with real servers, clients and browsers
	$(CARGO) test --locked --workspace
	$(CARGO) build --locked --quiet --benches --workspace

check: design ## the fast half: lints and the tests that need no real servers
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --quiet --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --quiet --workspace --lib

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --quiet --workspace --no-deps --document-private-items

parts:
	@tools/parts test

# Nothing here is unsafe, so no sanitizer slows it down. What it learns is kept in fuzz/grown; a crash becomes a file in
# fuzz/corpus/<target>, which `make test` replays.
fuzz: ## fuzz every parser for a minute each (nightly); FUZZ_SECONDS=20 for less
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	@cd fuzz && cargo +nightly fuzz build -s none
	@cd fuzz && for target in $$(cargo +nightly fuzz list); do \
		mkdir -p grown/$$target; \
		cargo +nightly fuzz run -s none $$target grown/$$target corpus/$$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

bench: design ## measure: figures as docs/benchmarks.md explains them
	$(CARGO) bench --locked -p irc -p history --bench '*'

bench-operators: export FLEET ?= 5000
bench-operators: export FLEET_REST ?= 60
bench-operators: export FLEET_PLOT ?= $(CURDIR)/docs/images
bench-operators: parts ## measure operators of thousands on a real API server; FLEET=500 for less
	$(CARGO) test --locked --release -p soju-operator --test it fleet -- --nocapture
	$(CARGO) test --locked --release -p ergo-operator --test it fleet -- --nocapture

clean:
	$(CARGO) clean
	rm -rf design/dist design/node_modules
