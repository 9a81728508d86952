# make demo   train a real model, record every cycle, look at the file
# make test   what CI runs
# Everything that a target needs it installs itself, into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 2
DEEP := tests/properties tests/hostile tests/spec tests/examples tests/crash tests/docs tests/bench

.PHONY: demo test lint types unit deep spec fuzz bench soak clean

demo: $(VENV)/.example
	$(BIN)/python examples/demo.py

test: lint types unit deep

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.specgen --check

types: $(VENV)/.dev
	$(BIN)/mypy

# Examples of every part and every command, with branch coverage.
unit: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(DEEP:%=--ignore=%) --cov --cov-report=term:skip-covered

# What draws or forges thousands of inputs, or runs in processes of its own; counting branches there
# would only double the time.
deep: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(DEEP)

# Rewrites what is generated: the tables and dumps of SPEC.md, the JSON Schema.
spec: $(VENV)/.dev
	$(BIN)/python -m tools.specgen

fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz.fuzz_reader --seconds 60
	$(BIN)/python -m fuzz.fuzz_roundtrip --seconds 60

# Sizes, times and memory beside twelve others; some 25 minutes. Writes bench/RESULTS.md.
bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m bench

# 200 kills and 10,000,000 records; about ten minutes.
soak: $(VENV)/.dev
	$(BIN)/python -m bench.soak

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.example: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[example]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.example

clean:
	rm -rf $(VENV) out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
