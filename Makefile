# Lakepulse. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO            ?= go
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS       := -s -w -X main.version=$(VERSION)
DASHBOARD     := web/dist/index.html
WEB_SOURCES   := $(shell find web/src web/public web/tracker/src web/tracker/scripts -type f 2>/dev/null) web/index.html web/package.json web/vite.config.ts
GO_SOURCES    := $(shell find . -name '*.go' -not -path '*/node_modules/*' -not -path './bench/*') go.mod go.sum \
                 $(wildcard migrations/*.sql) api/openapi.yaml

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build what is missing and run everything on this machine: http://127.0.0.1:8080
	./bin/lakepulse standalone

.PHONY: build
build: bin/lakepulse ## Build bin/lakepulse with the dashboard inside

bin/lakepulse: $(GO_SOURCES) $(DASHBOARD) | need-go
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ .

$(DASHBOARD): $(WEB_SOURCES) | web/node_modules/.installed web/tracker/node_modules/.installed
	cd web && npm run build

web/node_modules/.installed: web/package-lock.json | need-node
	cd web && npm ci --no-audit --no-fund
	@touch $@

web/tracker/node_modules/.installed: web/tracker/package-lock.json | need-node
	cd web/tracker && npm ci --no-audit --no-fund
	@touch $@

web/system/node_modules/.installed: web/system/package-lock.json | need-node
	cd web/system && npm ci --no-audit --no-fund
	@touch $@

examples/react/node_modules/.installed: examples/react/package-lock.json | need-node
	cd examples/react && npm ci --no-audit --no-fund
	@touch $@

examples/react/dist/index.html: $(shell find examples/react/src web/tracker/src -type f 2>/dev/null) | examples/react/node_modules/.installed
	cd examples/react && npm run build

.PHONY: test
test: test-go test-alerts test-web test-python test-e2e ## Run every test: Go, web, Python, and the pages in a real Chromium

.PHONY: test-go
test-go: need-go ## Run the Go tests, with the race detector, on real Postgres and NATS
	$(GO) vet ./...
	$(GO) test -race -timeout 15m ./...
	$(MAKE) test-go-client

OLDEST_GO := go1.23.12 # of the apps that import clients/go: its go.mod says so
.PHONY: test-go-client
test-go-client: need-go ## Run the Go client's tests, and build it with the oldest Go it supports
	cd clients/go && $(GO) vet ./... && $(GO) test -race -timeout 5m ./...
	cd clients/go && LAKEPULSE_APP_GO=$(OLDEST_GO) $(GO) test -count=1 -run TestAnApp .

.PHONY: test-alerts
test-alerts: need-prometheus ## Check the alerts with promtool and fire each of them on made-up series
	promtool check config deploy/prometheus/prometheus.yml
	promtool check rules deploy/prometheus/lakepulse.rules.yml
	promtool test rules deploy/prometheus/lakepulse.test.yml

.PHONY: test-web
test-web: web/node_modules/.installed web/tracker/node_modules/.installed ## Type-check, lint and unit-test the dashboard and the tracker
	cd web && npm run lint && npm run typecheck && npm test
	cd web/tracker && npm run typecheck && npm test && npm run build

.PHONY: test-python
test-python: need-python need-python-frameworks ## Run the Python client's tests: by itself, packed, and with FastAPI, Flask, uvicorn and gunicorn
	./clients/python/run-tests all

.PHONY: packages-python
packages-python: need-python ## Build the Python client's wheel and source distribution, in release/packages/
	./clients/python/build-packages release/packages $(if $(PYTHON_VERSION),--version $(PYTHON_VERSION))

.PHONY: test-e2e
test-e2e: bin/lakepulse web/system/node_modules/.installed examples/react/dist/index.html need-chromium ## Drive the real pages of the real binary in Chromium
	cd web && npm run e2e
	cd web/tracker && npm run e2e
	cd web/system && npm test

.PHONY: test-faults
test-faults: need-go ## Kill, cut and stall everything while a client keeps its ledger (SEEDS=20); replay 200,000 events
	LAKEPULSE_FAULT_SEEDS=$(or $(SEEDS),20) LAKEPULSE_REPLAY_EVENTS=200000 \
	  $(GO) test -timeout 60m -count=1 -run 'TestFaults|TestReplayBetweenStandalones' -v ./services/e2e
	$(GO) test -tags long -timeout 10m -count=1 -run TestBackupAndRestore -v ./services

.PHONY: lint
lint: need-go web/node_modules/.installed ## Lint Go and TypeScript
	$(GO) run $(GOLANGCI_LINT) run ./...
	cd clients/go && $(GO) run $(GOLANGCI_LINT) run --config ../../.golangci.yml ./...
	cd web && npm run lint

.PHONY: fmt
fmt: ## Format the Go code
	gofmt -w $$(git ls-files '*.go')

.PHONY: generate
generate: need-go web/node_modules/.installed ## Make the Go and TypeScript types from api/openapi.yaml
	$(GO) generate ./api
	cd web && npm run generate

.PHONY: bench
bench: need-go ## Run the benchmarks beside their peers (see docs/performance.md)
	$(MAKE) -C bench bench

.PHONY: bench-quick
bench-quick: need-go ## The same in under three minutes
	$(MAKE) -C bench bench-quick

.PHONY: release
release: $(DASHBOARD) need-go ## Stage what a Databricks app is deployed from, in release/
	VERSION='$(VERSION)' ./deploy/release.sh

.PHONY: check-bundle
check-bundle: ## Check databricks.yml with the Databricks CLI, strictly (needs a workspace to sign in to)
	./deploy/check-bundle.sh

.PHONY: clean
clean: ## Remove what was built (not .lakepulse, where a standalone keeps its data)
	rm -rf bin web/tracker/dist examples/react/dist
	find web/dist release -mindepth 1 -not -name .gitkeep -delete

.PHONY: need-go need-node need-python need-python-frameworks need-chromium need-prometheus
need-go need-node need-python need-python-frameworks need-chromium need-prometheus:
	@./scripts/need $(@:need-%=%)
