# lamina: `make` or `make help` lists the targets. Needs Python 3.11, Java 17, make and pip; everything else is fetched by name.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The demo's knobs: SYSTEM=whose, DATA=folder of third-party files, ACTS=1 leaves out the second act, KEEP=1 leaves the
# stack up.
SYSTEM ?= fraud
DATA ?=
KEEP ?=
# make up DEMO=1 (and status, down): the stack that the demo has left.
DEMO ?=
# What to give pytest, lamina up and the benchmarks: make test ARGS="-k store -x", make up ARGS="--only kafka,redis".
ARGS ?=
# In how many processes make test runs: two for the whole suite, its own for what ARGS names.
PROCESSES ?= $(if $(strip $(ARGS)),0,2)

UV_VERSION := 0.13.9
UV := .tools/bin/uv
PY := .venv/bin/python
FLINK_PY := .venv-flink/bin/python
MAIN_GROUPS := serving console tracing monitoring spark training airflow local build dev
CODE := $(shell find lamina jobs models -name '*.py' -not -path '*/__pycache__/*' 2>/dev/null)
SOURCES := lamina jobs models serving dags benchmarks tests

# A copy of some other environment's variables would send tools to the wrong interpreter.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME SPARK_HOME FLINK_HOME AIRFLOW_HOME

.PHONY: help env networks jars opensearch prometheus up down status doctor check format test test-unit mutants demo bench bench-quick client lock clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-zA-Z0-9_\/.-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/.stamp .venv-flink/.stamp jars ## Make both environments from their locks and fetch the jars

$(UV):
	@python=""; \
	for name in python3.11 python3 python; do \
	  if command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; \
	  then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 was not found: install it (Debian: apt-get install python3.11 python3.11-venv)" >&2; exit 1; fi; \
	$$python -m venv .tools || { echo "venv failed: install the venv module of Python 3.11 (Debian: python3.11-venv)" >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# $(call environment,folder,lock): the environment holds exactly what the lock names, then lamina itself.
define environment
	@test -x $(1)/bin/python || $(UV) venv --quiet --python .tools/bin/python $(1)
	# Some packages come as sources only: what builds them is pinned too.
	$(UV) pip sync --quiet --require-hashes --build-constraints requirements/main.txt --python $(1)/bin/python $(2)
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(1)/bin/python --editable .
	@touch $@
endef

.venv/.stamp: requirements/main.txt pyproject.toml | $(UV)
	$(call environment,.venv,requirements/main.txt)

.venv-flink/.stamp: requirements/flink.txt pyproject.toml | $(UV)
	$(call environment,.venv-flink,requirements/flink.txt)

networks: .venv-networks/.stamp ## Make the environment with torch, to train and export networks

.venv-networks/.stamp: requirements/networks.txt pyproject.toml | $(UV)
	$(call environment,.venv-networks,requirements/networks.txt)

# Made by the benchmark that asks for it.
.venv-peers/.stamp: requirements/peers.txt | $(UV)
	@test -x .venv-peers/bin/python || $(UV) venv --quiet --python .tools/bin/python .venv-peers
	$(UV) pip sync --quiet --require-hashes --only-binary :all: --python .venv-peers/bin/python requirements/peers.txt
	@touch $@

jars: .tools/jars/.stamp ## Fetch Kafka's broker, the Flink connector and Spark's Kafka source

.tools/jars/.stamp: lamina/local/jars.py lamina/local/jars.sha256 .venv/.stamp
	@$(PY) -m lamina.local.jars
	@touch $@

opensearch: .venv/.stamp ## Fetch OpenSearch's jars, for indexes in a cluster; ARGS="--only opensearch" of `make up` starts it
	@$(PY) -m lamina.local.jars opensearch

prometheus: .venv/.stamp ## Fetch Prometheus and Alertmanager from Debian, without root, to check alerts and dashboards
	@$(PY) -m lamina.local.prometheus

up: env dist/code.zip ## Start the stack; DEMO=1 that of the demo; ARGS="--only kafka,redis" a part
	@$(PY) -m lamina.cli up $(if $(DEMO),--demo) $(ARGS)

down: .venv/.stamp ## Stop the stack and anything it left behind
	@$(PY) -m lamina.cli down $(if $(DEMO),--demo)

status: .venv/.stamp ## Show each service, its address, memory and age
	@$(PY) -m lamina.cli status $(if $(DEMO),--demo)

doctor: .venv/.stamp ## Check Java, ports, memory, disk and versions; say what to install
	@$(PY) -m lamina.cli doctor

check: .venv/.stamp ## Format, lint, types, import arrows: what CI runs
	@.venv/bin/ruff format --check $(SOURCES)
	@.venv/bin/ruff check $(SOURCES)
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: .venv/.stamp ## Rewrite the sources in the project's format
	@.venv/bin/ruff format $(SOURCES)
	@.venv/bin/ruff check --fix $(SOURCES)

test: env networks ## Run the whole suite on real services
	@$(PY) -m pytest --numprocesses $(PROCESSES) $(ARGS)

test-unit: .venv/.stamp ## Run the tests that need no service
	@$(PY) -m pytest tests/unit $(ARGS)

mutants: .venv/.stamp ## Change the code in small ways and see whether a test notices; ARGS="--package lamina/store --sample 20"
	@$(PY) -m tests.mutants $(ARGS)

client: .venv/.stamp ## Write the Python client anew from the API's routes
	@$(PY) -m serving.client_code

demo: env dist/code.zip ## Watch fraud being caught, or SYSTEM=another at work; DATA=folder of third-party files, KEEP=1 leaves the stack up
	@SYSTEM="$(SYSTEM)" DATA="$(DATA)" KEEP="$(KEEP)" ACTS="$(or $(ACTS),2)" $(PY) -m lamina.demo $(ARGS)

bench: env dist/code.zip ## Run every benchmark
	@$(PY) -m benchmarks $(ARGS)

bench-quick: env dist/code.zip ## Run every benchmark in a short form
	@$(PY) -m benchmarks --quick $(ARGS)

dist/code.zip: $(CODE) .venv/.stamp ## Pack lamina/, jobs/ and models/ for spark-submit --py-files and flink run --pyFiles
	@$(PY) -m lamina.local.archive $@

lock: $(UV) .venv/.stamp ## Resolve the lock files again from pyproject.toml, and the jars' sums
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
	  $(addprefix --group ,$(MAIN_GROUPS)) --output-file requirements/main.txt pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
	  --group flink --group build --output-file requirements/flink.txt pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
	  --constraint requirements/main.txt --group networks --group build \
	  --output-file requirements/networks.txt pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
	  --group peers --output-file requirements/peers.txt
	@$(PY) -m lamina.local.jars lock
	@! grep -nE '^(-i|--(extra-)?index-url|--find-links)|://' requirements/*.txt

clean: ## Remove the environments, tools and archives; the stack's data stays
	rm -rf .venv .venv-flink .venv-networks .venv-peers .tools dist .mypy_cache .ruff_cache .pytest_cache
