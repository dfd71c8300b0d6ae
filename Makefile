# Two commands do everything: `make demo` and `make test`.
# CARGO_TARGET_DIR may lie outside the checkout; the release binary is always found at target/release/tyto.

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
CACHE_DIR := $(or $(TYTO_CACHE_DIR),$(HOME)/.cache/tyto)
VENV := $(CACHE_DIR)/venv
# Seeds of the store's simulation that `make test`, and so CI, runs.
SEEDS ?= 10000
# Always the whole workspace with its tests: another selection of packages would unify other features and compile the
# big dependencies again. The integration tests of crates/tyto bring the binary.
BUILD_DEV := cargo test --workspace --locked --no-run --quiet
export TYTO_DATA ?= $(abspath $(CURDIR)/../shared/data)

.PHONY: demo test build lint conformance bench bench-quick soak ui test-rust simulate test-ui test-e2e test-browser fuzz screenshots clean help

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: build ## Run everything embedded, with a simulated streaming company sending to it
	target/release/tyto demo

build: ui ## Build target/release/tyto with the page inside
	@scripts/setup build
	cargo build --release --locked -p tyto
	@mkdir -p target/release
	@[ "$(TARGET_DIR)" = "$(CURDIR)/target" ] || cp "$(TARGET_DIR)/release/tyto" target/release/tyto

test: test-rust simulate test-ui test-e2e test-browser ## Run every test; installs what it needs, or says what to install

lint: ui ## Check formatting, clippy and the UI's lint
	@scripts/setup build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd ui && npm run lint

ui: ui/dist/index.html

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	@scripts/setup node
	cd ui && npm ci --no-audit --no-fund
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(shell find ui/src ui/public -type f 2>/dev/null) ui/index.html ui/vite.config.ts
	cd ui && npm run build
	@touch $@

test-rust: ui ## Unit tests and the .test cases
	@scripts/setup build
	@scripts/setup test
	cargo test --workspace --locked

simulate: ui ## The store under faults: SEEDS runs (10000) from FROM (1), or the one run SEED; LONG=1 makes them long
	SEEDS=$(SEEDS) FROM=$(FROM) SEED=$(SEED) LONG=$(LONG) cargo test --workspace --locked --test simulation -- --nocapture --exact whatever_happens_no_seed_loses_doubles_or_changes_a_record

test-ui: ui ## The UI's unit tests
	cd ui && npm test

$(VENV)/installed: e2e/requirements.txt
	@scripts/setup python
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r e2e/requirements.txt
	@touch $@

e2e/clients/node_modules/.package-lock.json: e2e/clients/package-lock.json
	@scripts/setup node
	cd e2e/clients && npm ci --no-audit --no-fund

test-e2e: ui $(VENV)/installed e2e/clients/node_modules/.package-lock.json ## The binary against real clients: OpenTelemetry SDK, Prometheus, Loki client, rsyslog, Fluent's loggers, DuckDB, ClickHouse, an instrumented app
	@scripts/setup e2e
	$(BUILD_DEV)
	cd e2e && CARGO_TARGET_DIR="$(TARGET_DIR)" $(VENV)/bin/pytest

test-browser: ui ## Chromium drives the pages of a demo
	@scripts/setup e2e
	$(BUILD_DEV)
	scripts/browser-test "$(TARGET_DIR)/debug/tyto"

screenshots: build ## Take the pictures in README and docs anew
	IMAGES_DIR="$(CURDIR)/docs/images" scripts/browser-test target/release/tyto

conformance: ## Public test suites from TYTO_DATA: `passed N of M` per suite
	@if [ -d "$(TYTO_DATA)" ]; then \
		cargo test --workspace --locked --test '*conformance*' -- --nocapture; \
	else echo "conformance: no data at $(TYTO_DATA); set TYTO_DATA to the folder of the public suites"; fi

$(VENV)/bench-installed: bench/requirements.txt $(VENV)/installed
	@scripts/setup bench
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

bench: build $(VENV)/bench-installed ## Cost beside Prometheus, VictoriaMetrics and ClickHouse; writes bench/RESULTS.md
	$(VENV)/bin/python bench/bench.py target/release/tyto

bench-quick: build $(VENV)/bench-installed ## A tenth of the work, once, in under five minutes
	$(VENV)/bin/python bench/bench.py target/release/tyto --quick --output bench/quick.md

soak: ui ## A simulated week with retention, erasures and kills, its clock compressed; writes bench/SOAK.md
	@scripts/setup build
	TYTO_SOAK_HOURS=168 TYTO_SOAK_REPORT="$(CURDIR)/bench/SOAK.md" cargo test --workspace --locked --test soak -- --nocapture

fuzz: $(VENV)/installed ## Fuzz every decoder and parser for FUZZ_SECONDS each (300)
	fuzz/run.sh $(or $(FUZZ_SECONDS),300) $(VENV)/bin/python

clean: ## Remove what was built
	cargo clean
	rm -rf ui/dist ui/node_modules target/release/tyto
