# `make demo` and `make test` are all one needs: each first builds .venv from requirements.lock.
# Pass options to the program or to pytest with ARGS: make demo ARGS="--nats-port 4222".

PYTHON ?= python3
UV ?= uv
PROPERTY_EXAMPLES ?= 1500
# ARGS="-n 0" is one after the other. (`--dist loadfile` would leave out tests of one name but one.)
AT_ONCE := --numprocesses auto --maxprocesses 4 --dist worksteal
BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
# What decides and what is computed: no branch of it may be without a test.
RULES := services/ledger/domain/*,contracts/goal_contracts/advice.py,contracts/goal_contracts/cadence.py,contracts/goal_contracts/measures.py

.PHONY: demo up test test-faults properties contracts lint coverage mutation bench lock clean

demo: $(READY)
	@exec $(BIN)/goal-ledger demo $(ARGS)

up: $(READY)
	@exec $(BIN)/goal-ledger up $(ARGS)

test: $(READY)
	@exec $(BIN)/python -m pytest -m "not faults_long" $(AT_ONCE) $(ARGS)

test-faults: $(READY)
	@exec $(BIN)/python -m pytest -m faults_long $(ARGS)

# Random lives of an organisation: each step and state judged by the rules, and each step foretold by
# a model that never looks at the ledger; and what every view says of them at any moment, judged by a
# fold of the log that knows no database. All say how much they looked at.
properties: $(READY)
	@PROPERTY_EXAMPLES=$(PROPERTY_EXAMPLES) $(BIN)/python -m pytest --timeout 0 \
	  tests/ledger/domain/test_properties.py tests/ledger/domain/test_model.py \
	  tests/projections/test_fold.py $(ARGS)

# The published documents and the reference, anew from the structs; the gate wants them so.
contracts: $(READY)
	@$(BIN)/python -m goal_contracts.reference contracts/README.md
	@$(BIN)/python -m goal_contracts.publish

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

coverage: $(READY)
	$(BIN)/coverage run -m pytest -m "not faults_long" $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --include='$(RULES)' --fail-under=100

# Every module that decides, unless told otherwise: make mutation MODULE=services/ledger/domain/grading.py
mutation: $(READY)
	$(BIN)/python tests/ledger/domain/mutation.py $(MODULE)

# Half an hour; ARGS="--quick" is three, ARGS="--only commands" one part of it. In an
# environment of its own, where the libraries of others are; without them: make bench PEERS=0.
bench: $(if $(filter 0,$(PEERS)),$(READY),$(BENCH_READY))
	@exec $(<D)/bin/python -m tests.benchmarks $(ARGS)

$(READY): requirements.lock
$(BENCH_READY): requirements-bench.lock
$(READY) $(BENCH_READY): pyproject.toml contracts/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'Goal Ledger needs Python 3.11 or later; name one like this: make PYTHON=python3.12' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'Python lacks its venv module; on Debian or Ubuntu: apt install python3-venv' >&2; exit 2; }
	@echo 'Setting up $(@D): once, about a minute'
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $(filter %.lock,$^)
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e contracts -e .
	@touch $@

LOCK = env -u UV_FIND_LINKS $(UV) pip compile pyproject.toml --no-emit-package goal-contracts \
	  --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

# One lock for every platform and every Python from 3.11 on. No address of an index goes into it.
lock:
	@command -v $(UV) >/dev/null || { echo 'make lock needs uv; name it like this: make lock UV=path/to/uv' >&2; exit 2; }
	$(LOCK) --group dev --output-file requirements.lock $(ARGS)
	$(LOCK) --group dev --group bench --constraint requirements.lock \
	  --output-file requirements-bench.lock $(ARGS)

clean:
	rm -rf .venv .venv-bench .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
	  .ruff_cache build contracts/build *.egg-info contracts/*.egg-info
	find services contracts tests -name __pycache__ -type d -prune -exec rm -rf {} +
