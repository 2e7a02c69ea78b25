# Everything that is done with this project by hand. `make` alone lists it.
# Each line of a recipe is one tool; the commands can be copied from here.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

BIN := node_modules/.bin
PACKAGES := node_modules/.package-lock.json
FILTER_SOURCES := $(shell find assembly -name '*.ts') asconfig.json
NODE_SOURCES := $(shell find src -name '*.ts') tsconfig.json tsconfig.build.json
SERVICE_SOURCES := $(shell find approval -name '*.ts') approval/tsconfig.json $(NODE_SOURCES)
# What the benchmark of approvals shares with the tests: the service and its provider as they run for others, a passkey, tokens.
BENCH_STACK := test/browser/stack.ts test/browser/balancer.ts test/browser/guard-side.ts test/approval/authenticator.ts test/integration/tokens.ts test/integration/listeners.ts
BENCH_SOURCES := $(wildcard bench/*.ts) bench/tsconfig.json tsconfig.json
MCP_GUARD := node build/node/cli/main.js
TEST_RESULTS := build/test-results.json

# $(call lane,name,folder): runs the tests of a folder, or says that there are none. Saying so is never "passed".
lane = @if [ -d $(2) ]; then exec $(BIN)/vitest run $(2); else echo "not run: $(1): not in this version"; fi

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- building ---------------------------------------------------------------------------------------------------------

.PHONY: build
build: build/plugin.wasm build/plugin.debug.wasm build/plugin.scalar.wasm build/node/built build/approval/built ## compile the filter (build/plugin.wasm), the command (build/node) and the approval service (build/approval)

.PHONY: node-version
node-version:
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); if (a < 20 || (a === 20 && b < 19)) { console.error("Node " + process.versions.node + " is too old: this project needs 20.19 or newer"); process.exit(1); }' || { command -v node >/dev/null || echo "node is not found: this project needs Node 20.19 or newer" >&2; exit 1; }

# Exact versions and hashes from the lock file. No install script of any package runs.
$(PACKAGES): package-lock.json | node-version
	@echo "installing the npm packages of package-lock.json (npm ci)"
	npm ci --ignore-scripts
	@touch $@

build/plugin.wasm: $(FILTER_SOURCES) $(PACKAGES)
	$(BIN)/asc --config asconfig.json --target release

build/plugin.debug.wasm: $(FILTER_SOURCES) $(PACKAGES)
	$(BIN)/asc --config asconfig.json --target debug

# For hosts without the SIMD instructions of Wasm: not Envoy's V8, which has them.
build/plugin.scalar.wasm: $(FILTER_SOURCES) $(PACKAGES)
	$(BIN)/asc --config asconfig.json --target scalar

build/node/built: $(NODE_SOURCES) $(PACKAGES)
	$(BIN)/tsc -p tsconfig.build.json
	@touch $@

# What it shares with the command is compiled once more, into its own folder. Its pages' files and its migrations stay where they are.
build/approval/built: $(SERVICE_SOURCES) $(PACKAGES)
	$(BIN)/tsc -p approval/tsconfig.json
	@touch $@

# --- running ----------------------------------------------------------------------------------------------------------

.PHONY: run
run: build ## start Envoy with the guard; PORT, ADMIN_PORT, UPSTREAM=http://host:port/path, ALLOW=a,b, POLICY=file, ENVOY, ENVOY_VERSION; APPROVAL=1: flagged calls wait for a person; OBO=1: the server gets a token of its own for each caller
	@$(MCP_GUARD) run

.PHONY: try
try: build ## call the running guard with the MCP client SDK and show what passes; URL=http://host:port/path; APPROVAL=1: a call that waits for a person
	@$(MCP_GUARD) try

# --- checking ---------------------------------------------------------------------------------------------------------

.PHONY: test
test: check build ## what CI runs: check, then every test on both Envoy drivers (ENVOY_DRIVER=process leaves out containers)
	$(BIN)/vitest run --reporter=default --reporter=json --outputFile.json=$(TEST_RESULTS)

.PHONY: check
check: $(PACKAGES) ## format, lint, types of both languages, and the tree's own rules
	$(BIN)/biome ci
	$(BIN)/tsc --noEmit -p tsconfig.json
	$(BIN)/tsc --noEmit -p assembly/tsconfig.json
	@if [ -f test/tidy.test.ts ]; then exec $(BIN)/vitest run test/tidy.test.ts; else echo "not run: tidy: not in this version"; fi

.PHONY: format
format: $(PACKAGES) ## let Biome format the tree and apply its safe fixes
	$(BIN)/biome check --write

.PHONY: test-unit
test-unit: build ## only the tests of single modules
	$(call lane,unit,test/unit)

.PHONY: test-host
test-host: build ## only the exchanges in the Node Proxy-Wasm host
	$(call lane,host,test/host)

.PHONY: test-integration
test-integration: build ## only the tests in a real Envoy
	$(call lane,integration,test/integration)

.PHONY: test-mesh
test-mesh: build ## needs Go: Istio's own fetcher, validation and control plane, Kubernetes' admission, the OpenTelemetry Collector, other tools' images, further Node versions, every pinned Envoy
	@command -v go >/dev/null || { echo "not run: test-mesh: there is no Go here" >&2; exit 1; }
	TEST_LANE=mesh ENVOY_VERSIONS=all $(BIN)/vitest run test/mesh test/deploy/sources.test.ts test/abi/envoy.test.ts test/integration/smoke.test.ts test/integration/audit.test.ts --reporter=default --reporter=json --outputFile.json=$(TEST_RESULTS)

.PHONY: manifests
manifests: $(PACKAGES) ## build deploy/istio/rendered anew from the overlays; needs kustomize or kubectl
	UPDATE_RENDERED=1 $(BIN)/vitest run test/deploy/rendered.test.ts

.PHONY: second-opinion
second-opinion: $(PACKAGES) ## checkov over the manifests and the Terraform module; installs it (280 MB) into .cache
	TEST_LANE=second-opinion $(BIN)/vitest run test/second-opinion

.PHONY: image
image: $(PACKAGES) ## builds the approval service's image in Docker and runs it as its manifest says; NODE_IMAGE, else a base of this machine's Node
	TEST_LANE=image $(BIN)/vitest run test/image

.PHONY: fuzz
fuzz: build ## mutated requests, responses, configurations, approvals and tokens, no trap allowed
	$(call lane,fuzz,test/fuzz)

.PHONY: differential
differential: build ## the filter against other JSON readers and guards
	$(call lane,differential,test/differential)

.PHONY: soak
soak: build ## ten minutes of mixed exchanges, memory flat, nothing left open; SOAK_SECONDS, SOAK_SEED; writes bench/results/soak.md
	TEST_LANE=soak $(BIN)/vitest run test/soak

.PHONY: bench
bench: bench-json bench-envoy bench-approval bench-identity ## all benchmarks; each can be run alone

.PHONY: bench-json
bench-json: build/bench-reader.wasm build/bench-json-as.wasm build/bench-json-as-strict.wasm build/bench/built ## time per byte of the JSON reader and its peers; writes bench/results/json.md
	node --no-liftoff --no-wasm-tier-up build/bench/json.js

.PHONY: bench-envoy
bench-envoy: build build/bench-floor.wasm build/bench-floor-responses.wasm build/bench-envoy/built ## CPU per request beside Envoy's own MCP filter (half an hour); BENCH_ROUNDS, BENCH_SCENARIOS; writes bench/RESULTS.md
	node build/bench-envoy/bench/envoy/main.js

.PHONY: bench-check
bench-check: build build/bench-floor.wasm build/bench-floor-responses.wasm build/bench-envoy/built ## compare the CPU per request with what is recorded; fails when it is 15 % worse
	BENCH_CHECK=1 BENCH_ROUNDS=$${BENCH_ROUNDS:-20} node build/bench-envoy/bench/envoy/main.js

.PHONY: bench-approval
bench-approval: build build/bench-envoy/built ## what approvals cost: calls that need none, click to server, a thousand that wait (half an hour); BENCH_ROUNDS, BENCH_CLICKS, BENCH_CROWDS, BENCH_SCENARIOS; writes bench/results/approval.md
	node --no-liftoff --no-wasm-tier-up build/bench-envoy/bench/envoy/approval.js

.PHONY: bench-identity
bench-identity: build build/bench-envoy/built ## what rules, the token cache and rate limits cost (six minutes); BENCH_ROUNDS; writes bench/results/identity.md
	node --no-liftoff --no-wasm-tier-up build/bench-envoy/bench/envoy/identity.js

.PHONY: bench-refusals
bench-refusals: build build/bench-envoy/built ## what refusals do to the connections behind Envoy; needs Go; writes bench/results/refusals.md
	@command -v go >/dev/null || { echo "not run: bench-refusals: there is no Go here" >&2; exit 1; }
	cd bench/envoy/go-server && go build -o ../../../build/bench-go-server .
	node build/bench-envoy/bench/envoy/refusals.js

build/bench-%.wasm: bench/assembly/%.ts bench/assembly/floor.ts bench/assembly/env.ts bench/assembly/floor.asconfig.json $(FILTER_SOURCES) $(PACKAGES)
	$(BIN)/asc $< --config bench/assembly/floor.asconfig.json --outFile $@

build/bench-envoy/built: $(wildcard bench/envoy/*.ts) bench/envoy/tsconfig.json $(BENCH_STACK) $(NODE_SOURCES) $(PACKAGES)
	$(BIN)/tsc -p bench/envoy/tsconfig.json
	@touch $@

build/bench-reader.wasm: bench/assembly/reader.ts bench/assembly/reader.asconfig.json $(FILTER_SOURCES) $(PACKAGES)
	$(BIN)/asc --config bench/assembly/reader.asconfig.json

build/bench-json-as.wasm: bench/assembly/json-as.ts bench/assembly/json-as.asconfig.json $(PACKAGES)
	$(BIN)/asc --config bench/assembly/json-as.asconfig.json --target default

build/bench-json-as-strict.wasm: bench/assembly/json-as.ts bench/assembly/json-as.asconfig.json $(PACKAGES)
	JSON_STRICT=true $(BIN)/asc --config bench/assembly/json-as.asconfig.json --target strict

build/bench/built: $(BENCH_SOURCES) $(PACKAGES)
	$(BIN)/tsc -p bench/tsconfig.json
	@touch $@

.PHONY: size
size: build ## the size of the compiled filter, in bytes
	@wc -c build/plugin.wasm build/plugin.debug.wasm build/plugin.scalar.wasm

# --- shipping ---------------------------------------------------------------------------------------------------------

.PHONY: oci-push
oci-push: build ## push the filter to a registry, read it back, print its url; REPO=registry/name TAG=v1, SHAPE=image|artifact, PLAIN_HTTP=0|1
	@$(MCP_GUARD) oci-push

.PHONY: oci-verify
oci-verify: build ## check that a registry has the built filter and that Istio would load it; REPO=registry/name, TAG=v1 or DIGEST=sha256:...
	@$(MCP_GUARD) oci-verify

.PHONY: clean
clean: ## remove build/ (the downloaded Envoy stays in .cache/)
	rm -rf build
