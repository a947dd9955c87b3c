# One environment, made from pinned and hashed requirements; every target makes what it needs.
MODEL ?= reviews
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1

.PHONY: help install data run repro test up lock lint clean
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## make the environment in .venv

$(VENV)/.uv: requirements-uv.txt
	@echo "making the environment in $(VENV)"
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -m venv --clear $(VENV) || python3 -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements.txt pyproject.toml
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

data: install ## the embedded datasets; quick where they are there
	@$(BIN)/luodi fetch

run: install data ## retrain MODEL (default reviews) on Airflow and land it if it is proven better
	@$(BIN)/luodi run $(MODEL)

repro: install data ## the same graph by dvc repro in the checkout
	@$(BIN)/luodi connect
	@PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

up: install data ## Airflow standalone with the DAGs loaded and their schedules on
	@$(BIN)/luodi up

test: $(VENV)/.dev data ## every test
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest

lint: $(VENV)/.dev ## style, types and the import contract
	@$(BIN)/ruff format --check src dags tests benchmarks
	@$(BIN)/ruff check src dags tests benchmarks
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports

lock: $(VENV)/.uv ## resolve the requirements again
	@$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## remove what `run` and `repro` made, not the environment
	rm -rf .luodi artifacts
