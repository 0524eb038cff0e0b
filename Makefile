# Each target does its whole set-up: a fresh clone and Python 3.11 or newer are enough.

PYTHON ?= python3
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.installed-core
EXPERTS := $(VENV)/.installed-experts
DEV := $(VENV)/.installed-dev
WEB := services/web/app
PAGE := services/web/bundle/index.html
# A folder with py.typed is one portion of the namespace spatial_agent.
PORTIONS := $(patsubst %/py.typed,%,$(wildcard */py.typed))

# Recordings and weights that tests use where they are at hand, and skip without.
ifneq ($(wildcard ../shared/data),)
export SPATIAL_AGENT_TEST_DATA ?= $(realpath ../shared/data)
endif
ifneq ($(wildcard ../shared/weights),)
export SPATIAL_AGENT_WEIGHTS ?= $(realpath ../shared/weights)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow check format format-check lint types contracts bench namespace web wheel clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

# A recording is answered in this process; experts with weights run as Ray actors.
RUNNER ?= $(if $(filter-out recorded,$(PROFILE)),ray,local)

demo: $(if $(filter-out recorded,$(PROFILE) $(INSTANCES)),$(EXPERTS),$(CORE)) ## Ask the sample scan eight questions (SCAN=folder, PROFILE=name, INSTANCES=name, RUNNER=local|ray).
	$(BIN)/python examples/demo.py $(if $(SCAN),--scan "$(SCAN)") $(if $(PROFILE),--profile $(PROFILE)) $(if $(INSTANCES),--instances $(INSTANCES)) --runner $(RUNNER)

# Tests of the web page skip where it cannot be built.
test: $(DEV) $(if $(shell command -v npm),$(PAGE)) ## Run all tests but slow and gpu ones (JOBS=2, PYTEST_ARGS=...).
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m "not slow and not gpu" $(PYTEST_ARGS)

test-slow: $(DEV) ## Run the slow and gpu tests.
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m "slow or gpu" $(PYTEST_ARGS)

check: format-check lint types contracts test ## Everything that must be clean before a commit.

format: $(DEV) ## Format the code and sort its imports.
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

format-check: $(DEV)
	$(BIN)/ruff format --check .

lint: $(DEV)
	$(BIN)/ruff check .

types: $(DEV) namespace
	$(BIN)/mypy -p spatial_agent
	$(BIN)/mypy tests benchmarks examples

contracts: $(DEV)
	$(BIN)/lint-imports --no-logo

bench: $(DEV) ## List the benchmarks, or run one (NAME=reconstruct, ARGS=...).
ifdef NAME
	$(BIN)/python benchmarks/$(NAME).py $(ARGS)
else
	@for file in benchmarks/*.py; do printf '%-28s %s\n' "$$(basename $$file .py)" "$$(sed -n '1s/"""//gp' $$file)"; done
endif

namespace: ## Show type checkers and editors the import name: links in .namespace/.
	@mkdir -p .namespace/spatial_agent
	@for portion in $(PORTIONS); do ln -sfn ../../$$portion .namespace/spatial_agent/$$portion; done

web: $(PAGE) ## Build the web page (needs Node.js 20 or newer, with npm).

$(PAGE): $(shell find $(WEB) -name node_modules -prune -o -type f -print)
	cd $(WEB) && npm ci --no-audit --no-fund && npm run build
	touch $@

wheel: $(DEV) $(PAGE) ## Build the source distribution, and from it the wheel, in dist/.
	rm -rf build dist
	$(BIN)/python -m build

clean: ## Remove whatever was built; the virtual environment stays.
	rm -rf build dist *.egg-info .namespace .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(PORTIONS) tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written only after pip succeeded, so an interrupted installation is done again.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Expected Python 3.11 or newer, got $$($(PYTHON) --version 2>&1); name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.pip: | $(BIN)/python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	$(BIN)/python -m pip install -q --upgrade pip
	touch $@

$(CORE): pyproject.toml constraints.txt $(VENV)/.pip
	@echo "Installing the core into $(VENV); this takes about two minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

$(EXPERTS): pyproject.toml constraints.txt $(VENV)/.pip
	@echo "Installing the core and all experts into $(VENV); this takes some minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[all]"
	touch $(CORE) $@

$(DEV): pyproject.toml constraints.txt $(VENV)/.pip
	@echo "Installing the core, all extras and what the tests need into $(VENV); this takes some minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[all,dev]"
	touch $(CORE) $(EXPERTS) $@
