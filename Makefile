# make demo   train a real model, record every cycle, look at the file
# make quick  lint, types and the tests of what changed; of one room: make quick ROOM=reader
# make test   what CI runs
# Everything that a target needs it installs itself, into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check
PYTEST_ARGS ?= -n 2 --dist worksteal
# Tests whose branches are not counted: they draw or forge thousands of inputs, or run in processes
# of their own, and counting would only double their time.
UNCOUNTED := properties hostile spec examples crash docs bench test_wheel.py

.PHONY: demo quick test lint types coverage nightly pythons fixtures spec docs fuzz bench soak clean

demo: $(VENV)/.example
	$(BIN)/python examples/demo.py

# The rooms whose tests to run; without it, those of the files that differ from main.
ROOM ?=
quick: lint types
	$(BIN)/python -m tools.affected $(ROOM:%=--room %) > $(VENV)/affected.txt
	$(BIN)/python -m pytest $(PYTEST_ARGS) @$(VENV)/affected.txt

test: lint types
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.specgen --check

types: $(VENV)/.dev
	$(BIN)/mypy

# Branch coverage of the examples of every part and every command; below the threshold of
# pyproject.toml it fails.
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(UNCOUNTED:%=--ignore=tests/%) \
		--cov --cov-report=term:skip-covered

# All tests with thousands of examples each and the live tools; then with the oldest dependencies
# that pyproject.toml allows, with the newest, and on each Python.
nightly: $(VENV)/.nightly
	HYPOTHESIS_PROFILE=nightly CMETA_LIVE=1 $(BIN)/python -m pytest $(PYTEST_ARGS) -m "" --timeout=14400
	$(BIN)/python -m tools.environments oldest newest
	$(BIN)/python -m tools.environments

# The tests on each supported Python that is on this machine.
pythons: $(VENV)/.dev
	$(BIN)/python -m tools.environments

# Writes the files of other tools again that tests import.
fixtures: $(VENV)/.nightly
	$(BIN)/python -m tests.fixtures.make

# Rewrites what is generated: the tables and dumps of SPEC.md, the JSON Schema.
spec: $(VENV)/.dev
	$(BIN)/python -m tools.specgen

# The documentation site, in out/site.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz.fuzz_reader --seconds 60
	$(BIN)/python -m fuzz.fuzz_roundtrip --seconds 60

# Sizes, times and memory beside twelve others; some 25 minutes. Writes bench/RESULTS.md.
bench: $(VENV)/.dev
	@echo "installing what this needs into $(VENV); the first time takes a minute or more"
	$(BIN)/python $(PIP) -e '.[bench]'
	$(BIN)/python -m bench

# 200 kills and 10,000,000 records; about ten minutes.
soak: $(VENV)/.dev
	$(BIN)/python -m bench.soak

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.example: pyproject.toml | $(BIN)/python
	@echo "installing what this needs into $(VENV); the first time takes a minute or more"
	$(BIN)/python $(PIP) -e '.[example]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing what this needs into $(VENV); the first time takes a minute or more"
	$(BIN)/python $(PIP) -e '.[dev]'
	touch $@ $(VENV)/.example

$(VENV)/.nightly: pyproject.toml | $(BIN)/python
	@echo "installing what this needs into $(VENV); the first time takes a minute or more"
	$(BIN)/python $(PIP) -e '.[nightly]'
	touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	@echo "installing what this needs into $(VENV); the first time takes a minute or more"
	$(BIN)/python $(PIP) -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) .venvs out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
