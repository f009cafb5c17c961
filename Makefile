# Two commands do all the set-up: `make run` shows listener at work, `make test` passes the tests.
# Neither needs a service or a model hub; a virtual environment is made in .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   := .cache/demo
SEED   ?= 1
# One more than there are processors: many tests wait for a server or for a whole daemon.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.DEFAULT_GOAL := help
.PHONY: help run test check lint format types contracts bench chaos model clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "listener needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[broker]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## Install, then watch a brand's customers turn: two minutes to the first alert
	@mkdir -p $(DEMO)
	@rm -f $(DEMO)/listener.db $(DEMO)/listener.db-wal $(DEMO)/listener.db-shm
	@$(BIN)/listener run --config config/demo.toml

test: $(VENV)/.dev ## Install, then run all tests; what is missing on this machine is skipped by name
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not soak"

check: lint types contracts test ## All that must hold before a commit

lint: $(VENV)/.dev ## Style and mistakes
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.dev ## Bring the style in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## Who may import whom
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## The figures of the README and the docs, measured on this machine
	$(BIN)/python -m benchmarks

chaos: $(VENV)/.dev ## Kill, freeze and refuse for some minutes: is any alert lost, or told twice? [ROUNDS=3] [SEED=1]
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m benchmarks.chaos --rounds $(or $(ROUNDS),3) --seed $(SEED)

model: $(VENV)/.dev ## Make the bundled model anew: DATA=folder of the public sets [SEED=1] [START=model to go on from]; resumes
	$(BIN)/python -m training.make --data "$(DATA)" --work .cache/model --seed $(SEED) $(if $(START),--start "$(START)") --install listener/sentiment/model

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
