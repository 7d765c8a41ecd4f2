# `make` or `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Arguments for one run, as in: make test ARGS='container --nocapture', make run ARGS='check --config tagline.toml'
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start the gateway (with no settings: the dev profile on 127.0.0.1:8080)
	@cargo run -- $(ARGS)

.PHONY: servers
servers: ## Get the real servers that the tests run: InfluxDB, Chromium, Caddy, Telegraf, a Kubernetes API server … (compiled once)
	@tests/servers/prepare >/dev/null

# The integration tests wait for processes more than they compute: on two cores three at a time take three quarters of the time of two.
RUST_TEST_THREADS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 3 / 2)))
test test-gateway test-edge: export RUST_TEST_THREADS := $(RUST_TEST_THREADS)

.PHONY: test
test: ## Get the servers, then run every test: unit, documentation, integration
	@servers=$$(tests/servers/prepare); eval "$$servers"; cargo test --locked $(if $(ARGS),-- $(ARGS))

.PHONY: test-gateway
test-gateway: ## The same without the edge: what src/ promises, with InfluxDB and Chromium alone
	@servers=$$(tests/servers/prepare gateway); eval "$$servers"; cargo test --locked -- --skip edge:: $(ARGS)

.PHONY: test-edge
test-edge: ## The edge alone: telegraf/ and k8s/, run by the real Caddy, Telegraf and Kubernetes API server
	@servers=$$(tests/servers/prepare); eval "$$servers"; cargo test --locked --test it -- $(or $(ARGS),edge::)

# How long the soak test goes on: rounds of kill -9, seconds without InfluxDB, and reloads (200 take a minute).
ROUNDS ?= 100
AWAY ?= 600
RELOADS ?= 200

.PHONY: soak
soak: ## Kill it 100 times under load (ROUNDS=N), take InfluxDB away for 10 minutes (AWAY=seconds), reload it 200 times (RELOADS=N): nothing is lost or misjudged
	@servers=$$(tests/servers/prepare influxd); eval "$$servers"; \
	SOAK_ROUNDS=$(ROUNDS) SOAK_AWAY=$(AWAY) SOAK_RELOADS=$(RELOADS) \
	cargo test --locked --test it -- --nocapture --test-threads 1 crash:: outage:: reload_under_load::

.PHONY: lint
lint: ## Check the format, run clippy with warnings as errors, check licences and banned crates
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	scripts/cargo-deny check --hide-inclusion-graph licenses bans sources

.PHONY: audit
audit: ## Check the dependencies against the RustSec advisories (fetches their database)
	scripts/cargo-deny check advisories

.PHONY: bench
bench: ## Run the benchmarks
	@servers=$$(tests/servers/prepare influxd); eval "$$servers"; cargo bench --locked $(if $(ARGS),-- $(ARGS))

# How many points `make answers-data` makes: a tenth takes a tenth of the time.
POINTS ?= 10000000

.PHONY: answers-data
answers-data: ## Send a week of 10 million points (POINTS=N) into an InfluxDB of its own, time every query on it, and leave it up to be asked (ARGS=--end: do not)
	@servers=$$(tests/servers/prepare influxd); eval "$$servers"; POINTS=$(POINTS) cargo bench --locked --bench answers -- $(or $(ARGS),--stay)

# How long `make fuzz` runs each target of fuzz/.
SECONDS ?= 60

.PHONY: fuzz
fuzz: ## Run the property tests with 100 times as many cases (PROPTEST_CASES=N), then each fuzz target for a minute (SECONDS=N)
	@servers=$$(tests/servers/prepare influxd); eval "$$servers"; \
	PROPTEST_CASES=$${PROPTEST_CASES:-25600} cargo test --locked -- property $(ARGS)
	@scripts/fuzz $(SECONDS)
