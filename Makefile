# `make demo` and `make test` need Python 3.10 or newer and make; everything else they fetch by pip.
# The extension for VS Code needs npm as well; without it, it is skipped.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt
CLIENT := editor-client/vscode
NPM := $(shell command -v npm)

.PHONY: demo vscode test check docs client workbench cluster bench eval clean

# In a project of yours: make demo REPO=~/src/app, or also FILE=src/app.py LINE=120.
demo: $(VENV)/.installed
	$(BIN)/longllama pull
	$(BIN)/longllama-lsp demo $(if $(REPO),--root "$(REPO)") $(if $(FILE),"$(FILE):$(LINE)")

vscode: $(VENV)/.installed-dev
	$(BIN)/longllama pull
	$(BIN)/python -m tests.vscode $(FOLDER)

# Most tests that need a real model use the small one; tests/e2e/test_coder.py the default.
test: check client
	$(BIN)/longllama pull mini
	$(BIN)/longllama pull coder-0.5b
	OMP_NUM_THREADS=1 LONGLLAMA_TEST_DEADLINE_S=$${LONGLLAMA_TEST_DEADLINE_S:-120} $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile -m "not workbench"

check: $(VENV)/.installed-dev
	$(BIN)/poe check

# The documents as a site, in build/site, with every link checked; nothing in it is fetched from elsewhere.
docs: $(VENV)/.installed-dev
	$(BIN)/poe docs

client: $(if $(NPM),$(CLIENT)/node_modules/.package-lock.json)
ifeq ($(NPM),)
	@echo "skipped: the VS Code extension needs npm (Node.js 20 or newer), which is not on the PATH"
else
	cd $(CLIENT) && npm run check && npm test
endif

$(CLIENT)/node_modules/.package-lock.json: $(CLIENT)/package-lock.json
	cd $(CLIENT) && npm ci
	touch $@

# What a person meets in VS Code, in a workbench for each test file: half an hour, so apart from the other tests.
workbench: $(VENV)/.installed-dev client
	$(BIN)/longllama pull mini
	LONGLLAMA_TEST_DEADLINE_S=$${LONGLLAMA_TEST_DEADLINE_S:-120} $(BIN)/python -m pytest tests/vscode

# A cluster of this machine's own, on loopback: slow to start, so apart from the other tests.
cluster: $(VENV)/.installed-dev
	$(PIP) install -c constraints.txt -e '.[dev,cluster]'
	OMP_NUM_THREADS=1 RAY_USAGE_STATS_ENABLED=0 $(BIN)/python -m pytest tests/cluster

bench: $(VENV)/.installed-dev
	$(BIN)/longllama pull mini
	$(BIN)/python tests/bench/run.py

eval: $(VENV)/.installed-dev
	$(BIN)/longllama pull mini
	$(BIN)/longllama eval --packages 10 --lines 0 --windows 4 --foreign-tokens 60000 \
		--conditions local,own,attended,copied,foreign,both

clean:
	rm -rf $(VENV) build dist $(CLIENT)/node_modules $(CLIENT)/dist $(CLIENT)/dist-test $(CLIENT)/server .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade -c constraints.txt pip

$(VENV)/.installed: $(INPUTS) | $(VENV)/pyvenv.cfg
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(INPUTS) | $(VENV)/pyvenv.cfg
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed
