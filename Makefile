# Each target makes the virtual environment it needs; downloads are cached by pip outside the tree.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
GROUPS := --group bench
DEMO_ARGS ?=
COLLECTOR ?=
PYTEST_ARGS ?=
EVENTS ?=
MODULES ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or later is needed; install it with: sudo apt-get install -y python3 python3-venv"; exit 1; }
	@echo "▸ Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is missing; install it with: sudo apt-get install -y python3-venv"; exit 1; }
	@$(PIP) install --quiet --upgrade 'pip>=25.1'

# chdb-core's own dependencies (pandas, pyarrow) are for its Python API; the server needs the wheel alone.
$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "▸ Installing the package and ClickHouse (about 200 MB at the first time)"
	@$(PIP) install --quiet --editable .
	@$(PIP) install --quiet --no-deps $$($(VENV)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["embedded"])')
	@touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	@echo "▸ Installing what the tests need"
	@$(PIP) install --quiet $(GROUPS)
	@touch $@

.PHONY: demo
demo: $(VENV)/demo.stamp $(if $(COLLECTOR),collector) ## Run the demo site with ClickHouse and 60 days of history; COLLECTOR=1: the Collector, too
	@$(VENV)/bin/python -m demo $(if $(COLLECTOR),--collector) $(DEMO_ARGS)

.PHONY: test
test: $(VENV)/test.stamp ## Lint, check types and run all tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory collector
	@echo "▸ Running the tests"
	@# Where bytecode is not kept, as in images, each of some hundred processes would compile everything again.
	@# -X dev without its slow memory allocator, which finds mistakes of C code.
	@PYTHONDONTWRITEBYTECODE= PYTHONMALLOC=pymalloc $(VENV)/bin/python -X dev -m pytest -q -n auto $(PYTEST_ARGS)

.PHONY: coverage
coverage: $(VENV)/test.stamp collector ## Run the tests and measure what they reach, children included
	@$(VENV)/bin/python tests/coverage/run.py $(PYTEST_ARGS)

.PHONY: lint
lint: $(VENV)/test.stamp ## Check style and types
	@echo "▸ Checking style and types"
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary

.PHONY: test-matrix
test-matrix: ## Run the unit tests on newer interpreters and Django releases, where they are found
	@$(PYTHON) tests/matrix.py

.PHONY: bench
bench: $(VENV)/test.stamp ## Measure what the README states
	@$(VENV)/bin/python benchmarks/call_cost.py

.PHONY: bench-collector
bench-collector: $(VENV)/test.stamp collector ## Measure the way through the Collector; EVENTS=30000: with fewer events
	@$(VENV)/bin/python -m benchmarks.collector $(EVENTS)

.PHONY: bench-dashboards
bench-dashboards: $(VENV)/test.stamp ## Measure the dashboards' queries on 10 million events; EVENTS=1000000: on fewer
	@$(VENV)/bin/python -m benchmarks.dashboards $(EVENTS)

.PHONY: bench-metrics
bench-metrics: $(VENV)/test.stamp ## Measure what numbers cost on 1 million events; EVENTS=10000000: on more
	@$(VENV)/bin/python -m benchmarks.metrics $(EVENTS)

.PHONY: snapshots
snapshots: $(VENV)/test.stamp ## Take the staff pages as they are now for right; look at the diff
	@$(VENV)/bin/python -X dev -m pytest -q -n0 --snapshot-update tests/pipeline/test_snapshots.py

MUTANTS ?=
.PHONY: mutants
mutants: $(VENV)/test.stamp collector ## Plant mistakes in the package and say which no test notices; MUTANTS='--size 0': all
	@$(PIP) install --quiet --group mutants
	@$(VENV)/bin/python -m tests.mutants $(MUTANTS)

.PHONY: docs
docs: $(VENV)/test.stamp ## Build the documentation into docs/_build/html
	@$(VENV)/bin/python -m sphinx --fail-on-warning --quiet --builder html docs docs/_build/html
	@echo "▸ docs/_build/html/index.html"

.PHONY: collector
collector: ## Build the OpenTelemetry Collector and print the binary's path
	@$(PYTHON) collector/build.py

.PHONY: generate
generate: $(VENV)/test.stamp ## Write all that follows from the catalogue of events, and the dashboards
	@$(VENV)/bin/python -m tools.generate

.PHONY: generate-check
generate-check: $(VENV)/test.stamp ## Say which generated parts are out of date, and change nothing
	@$(VENV)/bin/python -m tools.generate --check

.PHONY: bench-shards
bench-shards: $(VENV)/test.stamp ## Measure what a metric costs on one server and on two shards
	@$(VENV)/bin/python -m benchmarks.shards

.PHONY: mutants-grafana
mutants-grafana: $(VENV)/test.stamp ## Make mistakes in the dashboards' queries, and see which no test notices
	@$(VENV)/bin/python -m tests.grafana.mutants $(MODULES)

FILES ?=
.PHONY: mutants-sql
mutants-sql: $(VENV)/test.stamp ## Make mistakes in the views, and see which no test notices; FILES=70_numbers: in it; FILES=--all: all
	@$(VENV)/bin/python -m tests.sql.mutants $(FILES)

.PHONY: clean
clean: ## Remove environments and the demo's data
	rm -rf $(VENV) .demo .venv-* .coverage-data docs/_build mutants .mypy_cache .ruff_cache .pytest_cache
