# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FULL := $(VENV)/.full
PEERS := .bench-venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Every process starts in half the time, also where Python is told to write no bytecode.
export UV_COMPILE_BYTECODE := 1

VIDEO ?=
RATE ?= 5

CONSOLE := gateway/console
VENDOR := $(CONSOLE)/vendor

.PHONY: help demo test up check format contracts rows bench chaos fuzz licences sbom audit lock clean rabbitmq console browser

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Reelmill needs Python 3.11 or newer (set PYTHON=)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# The same environment with DeepLabCut and torch in it: several GB, which only the tests and the bench need here.
$(FULL): requirements-full.lock $(READY)
	@echo "Installing DeepLabCut and torch ..."
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-full.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# The broker is the only server that no wheel brings.
rabbitmq:
	@test -x /usr/lib/rabbitmq/bin/rabbitmq-server || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing rabbitmq-server with apt ..."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server; } >/tmp/reelmill-apt.log 2>&1 \
	      || test -x /usr/lib/rabbitmq/bin/rabbitmq-server || { tail -5 /tmp/reelmill-apt.log; exit 1; }; \
	  else echo "Reelmill needs the package rabbitmq-server: install it (as root: apt-get install rabbitmq-server)."; exit 1; fi; }

# What the console brings along (htmx, tus, a font) comes from npm; without npm its pages work, but do not live.
console: $(VENDOR)/.ready

$(VENDOR)/.ready: $(CONSOLE)/package.json $(CONSOLE)/package-lock.json
	@mkdir -p $(VENDOR)
	@if command -v npm >/dev/null && npm ci --prefix $(CONSOLE) --ignore-scripts --no-audit --no-fund --silent; then \
	  cd $(CONSOLE) && \
	  cp node_modules/htmx.org/dist/htmx.min.js node_modules/tus-js-client/dist/tus.min.js vendor/ && \
	  cp node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2 vendor/inter.woff2 && \
	  for each in htmx.org tus-js-client @fontsource-variable/inter; do \
	    cp node_modules/$$each/LICENSE vendor/$$(basename $$each).LICENSE; done && touch vendor/.ready; \
	else echo "The console's scripts were not fetched (is npm there?): its pages work, but do not update themselves."; fi

# What only the browser and dashboard tests need; they are skipped where it cannot be had.
browser:
	@test -x /usr/bin/chromium -a -x /usr/bin/promtool || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing chromium and prometheus with apt ..."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium prometheus; } >/tmp/reelmill-apt-browser.log 2>&1 \
	      || echo "They could not be installed; the tests that need them are skipped."; \
	  else echo "Without the packages chromium and prometheus, the tests that need them are skipped."; fi; }

demo: $(READY) rabbitmq console ## Take a real video through the whole system: make demo [VIDEO=path] [RATE=5]
	@$(BIN)/reelmill demo $(if $(VIDEO),--video "$(VIDEO)") --rate "$(RATE)"

up: $(READY) rabbitmq console ## Start the local servers and every process in the foreground; Ctrl-C stops all
	@$(BIN)/reelmill up

test: $(FULL) rabbitmq console browser ## Pass the whole test suite on real servers
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

check: $(READY) ## Lint, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

contracts: $(READY) ## Write OpenAPI, AsyncAPI and JSON Schemas from the registry
	@$(BIN)/python -m gateway.generate

rows: $(FULL) ## Print every row of the specification with the tests that prove it
	@$(BIN)/python -m tests.rows

# The peers live in an environment of their own: nothing of theirs gets into ours.
$(PEERS)/.ready: requirements-bench.lock $(READY)
	@test -x $(PEERS)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(PEERS)
	@$(BIN)/uv pip sync --quiet --python $(PEERS)/bin/python --require-hashes requirements-bench.lock
	@touch $@

bench: $(FULL) $(PEERS)/.ready rabbitmq ## Measure against the peers, as ratios from one run: make bench [ARGS="jobs --rounds 5"]
	@command -v ffmpeg >/dev/null || { echo "The splitter is measured against ffmpeg: install it (as root: apt-get install ffmpeg)."; exit 1; }
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(READY) rabbitmq ## Strike everything down while jobs come in, and count what is lost: make chaos [ARGS="--jobs 500 --seconds 60"]
	@$(BIN)/python -m tests.chaos.run $(ARGS)

fuzz: $(READY) rabbitmq ## Send senseless requests, messages and media, and count what breaks: make fuzz [ARGS="--requests 20000"]
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

licences: $(READY) ## Print the licence of every library; fails when one is not let in
	@$(BIN)/python -m tests.licences

sbom: $(READY) ## Write a CycloneDX bill of materials of the locked libraries: build/sbom.json
	@mkdir -p build
	@$(BIN)/uvx --quiet --from 'cyclonedx-bom>=7,<8' cyclonedx-py requirements requirements.lock --output-reproducible --of JSON -o build/sbom.json
	@echo "build/sbom.json"

# An audit that could not be made is no clean audit: it says so, and does not fail what has nothing to do with it.
audit: $(READY) ## Look for known vulnerabilities in the locked libraries
	@mkdir -p build
	@$(BIN)/uvx --quiet pip-audit --disable-pip --require-hashes --progress-spinner off -r requirements.lock >build/audit.log 2>&1; \
	  code=$$?; if grep -qiE 'could not be audited|ConnectionError|ServiceError|Max retries|timed out|ProxyError' build/audit.log; then \
	    echo "NOT AUDITED, or in part: the service that knows the vulnerabilities could not be asked (build/audit.log)."; \
	  else cat build/audit.log; exit $$code; fi

# The largest first: the smaller one has the same versions, as the tests ran with them. The peers need others.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --no-emit-find-links --extra local --extra dev pyproject.toml
lock: $(READY) ## Resolve the dependencies anew: versions and hashes, no addresses
	@$(LOCK) --extra exporter --extra analyzer --output-file requirements-full.lock
	@$(LOCK) --extra exporter --constraint requirements-full.lock --output-file requirements.lock
	@$(LOCK) --extra bench --output-file requirements-bench.lock

clean: ## Remove the environment and the local servers' data
	rm -rf $(VENV) $(PEERS) $(VENDOR) $(CONSOLE)/node_modules .reelmill build dist *.egg-info
