# couponpress: every target sets up what it needs by itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
# Compiled when the project is installed.
MESSAGES := $(wildcard producers/couponpress/locale/*/LC_MESSAGES/*.po)

# Python keeps the bytecode that it compiles, also where the environment forbids it: a run of the tests compiles 400
# modules and rewrites the assertions of as many, which takes half a minute of CPU in each of its processes.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick bench chaos wheel check check-deploy sbom audit format users-acl messages lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with everything, from hashed requirements

# The locked dependencies first, then the project itself without asking any index again.
$(STAMP): pyproject.toml requirements/dev.txt $(MESSAGES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "couponpress needs Python 3.11 or newer; say which: make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## 5,000 sample rows through a real fleet and a sandbox platform, with a picture of the rate
	@$(BIN)/couponpress demo $(DEMO)

# A process for each lane: tests/conftest.py. PYTEST="-n 0 ..." for one process that runs everything.
LANES := unit producers worker flows-1 flows-2 flows-3
test: $(STAMP) ## all tests, on a real Redis-compatible server that they start themselves
	@$(BIN)/python -m pytest --dist each --max-worker-restart 0 $(addprefix --tx popen//id=,$(LANES)) $(PYTEST)

QUICK_LANES := quick-producers quick-worker
test-quick: $(STAMP) ## the unit tests alone, with fewer examples of what is generated
	@$(MAKE) --no-print-directory --output-sync=target -j2 $(QUICK_LANES)

.PHONY: $(QUICK_LANES)
$(QUICK_LANES): $(STAMP)
	@$(BIN)/python -m pytest --lane $@ --hypothesis-profile=quick $(PYTEST)

bench: $(STAMP) ## what the promise costs and how well it is kept: docs/benchmarks; BENCH="cost rate" or --quick for less
	@$(BIN)/python -m tests.benchmarks $(BENCH)

chaos: $(STAMP) ## a fleet under attack, then an audit of every spec: docs/chaos.md; DURATION= seconds, SEED=, CHAOS="--plan" for more
	@$(BIN)/python -m tests.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED)) $(CHAOS)

wheel: $(STAMP) ## dist/couponpress-VERSION.whl, the same bytes from the same commit, to install elsewhere: pip install 'couponpress-VERSION.whl[worker]'
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1577836800) $(BIN)/python -m hatchling build -t wheel

check: $(STAMP) check-deploy ## format, lint and types; deploy/ by the schemas of what reads it
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check-deploy: $(STAMP)
	@$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml deploy/compose.users.yaml
	@$(BIN)/kubernetes-validate --strict --quiet $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))
	@$(BIN)/check-jsonschema --quiet --schemafile deploy/kubernetes/keda/scaled-object.schema.json deploy/kubernetes/keda/worker.yaml

# What a fleet installs, each with its version and hashes, in the form of CycloneDX.
SBOM := dist/couponpress.cdx.json
sbom: $(STAMP) ## dist/couponpress.cdx.json: the list of materials, from the lock
	@mkdir -p $(dir $(SBOM))
	@$(BIN)/cyclonedx-py requirements requirements/worker.txt --pyproject pyproject.toml --output-reproducible $(SBOM_FLAGS) -o $(SBOM)

audit: ## known weaknesses of what is locked (needs pip-audit and a network)
	pip-audit --require-hashes --disable-pip -r requirements/worker.txt

LOCALE := producers/couponpress/locale
messages: $(STAMP) ## bring the Chinese catalog up to date with the sentences in the code, and compile it
	@$(BIN)/pybabel -q extract -F babel.cfg -k gettext -k gettext_noop -k ngettext:1,2 --no-location --sort-output --omit-header -o build/messages.pot .
	@$(BIN)/pybabel -q update -D couponpress -d $(LOCALE) -i build/messages.pot -w 120 --no-fuzzy-matching --ignore-obsolete
	@sed -i -E '/./,$$!d;1,20{/^"(Project|Report|POT|PO-|Last|Language-T|MIME|Content-Tr|Generated)/d}' $(LOCALE)/zh_CN/LC_MESSAGES/couponpress.po
	@$(BIN)/pybabel -q compile -D couponpress -d $(LOCALE)

users-acl: $(STAMP) ## write deploy/redis/users.acl anew from the table of rights
	@$(BIN)/python -c 'from couponpress.redis_rights import Keys, users_acl; print(end=users_acl(Keys("1900000000")))' > deploy/redis/users.acl

format: $(STAMP) ## write the formatter's and the linter's own fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only .

# The lock holds hashes and no index address, so it installs from whatever index a machine is set up with.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-annotate --no-header --quiet
# What is tested is what is delivered: the other two locks take their versions from the first.
lock: ## resolve the dependencies again (needs uv)
	$(LOCK) pyproject.toml --extra demo --extra otel --group dev -o requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt pyproject.toml --extra worker --extra excel --extra gateway --extra metrics --extra nightly --extra otel -o requirements/worker.txt
	$(LOCK) --constraint requirements/dev.txt --group build -o requirements/build.txt

clean: ## remove the .venv and every cache
	rm -rf $(VENV) build dist demo chaos-run .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
