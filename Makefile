# `make demo` and `make test` need Python 3.10 or newer and make; everything else they fetch by pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt

.PHONY: demo test check bench eval clean

demo: $(VENV)/.installed
	$(BIN)/longllama pull mini
	$(BIN)/longllama-lsp demo

test: check
	$(BIN)/longllama pull mini
	$(BIN)/python -m pytest

check: $(VENV)/.installed-dev
	$(BIN)/poe check

bench: $(VENV)/.installed-dev
	$(BIN)/longllama pull mini
	$(BIN)/python tests/bench/run.py

eval: $(VENV)/.installed-dev
	$(BIN)/longllama pull mini
	$(BIN)/longllama eval --packages 10 --lines 0 --windows 4 --foreign-tokens 60000 \
		--arms local,own,attended,copied,foreign,both

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade -c constraints.txt pip

$(VENV)/.installed: $(INPUTS) | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(INPUTS) | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed
