# make demo | test | check-all | wheel-test: each works as the first command on a fresh clone.
PYTHON ?= python3
VENV := .venv
# Processes that share the tests, of one thread each: more would wait for those of the other processes.
WORKERS ?= 2
ALONE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit check-all wheel-test format clean

help:
	@echo "make demo        install, forecast a shipped series, draw the picture"
	@echo "make test        lint, types, unit, property and contract tests"
	@echo "make check-all   long suites: scikit-learn's conformance checks, notebooks"
	@echo "make wheel-test  build the wheel, install it elsewhere, forecast from it"

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[plot]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.core

demo: $(VENV)/.core
	$(BIN)/python examples/demo.py

test: lint types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(ALONE) $(BIN)/python -m pytest -q -m "not slow" -n $(WORKERS) --dist loadfile

check-all: $(VENV)/.dev
	$(ALONE) SCIPY_ARRAY_API=1 $(BIN)/python -m pytest -q -m slow -n $(WORKERS) --dist worksteal

wheel-test: $(VENV)/.dev
	rm -rf dist .venv-wheel
	$(BIN)/python -m build --wheel --installer pip .
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet -c constraints.txt dist/*.whl
	cd dist && ../.venv-wheel/bin/python ../tests/wheel_check.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-wheel dist build demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
