# make demo | make test: everything is installed into .venv on the first call.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow lint bench clean

demo: $(VENV)/installed
	$(BIN)/foolsgold run alphago

test: $(VENV)/installed-test
	$(BIN)/pytest -m "not slow" -n 2

test-slow: $(VENV)/installed-test
	$(BIN)/pytest -m slow

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-test
	$(PIP) -e .[bench]
	$(BIN)/python bench/go.py
	$(BIN)/python bench/lm.py
	$(BIN)/python bench/audit.py
	$(BIN)/python bench/verifiers.py
	$(BIN)/python bench/labels.py
	$(BIN)/python bench/label_load.py
	$(BIN)/python bench/aggregation.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "foolsgold needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (a few minutes the first time)"
	$(PIP) -e .
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (a few minutes the first time)"
	$(PIP) -e .[test]
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
