# Everything from nothing but Python >= 3.11 with pip, make and the package indexes.
PYTHON ?= python3
BIN := .venv/bin
# As the caller has it: with .venv/bin in front, `python3` would be the environment that is only being made.
HOST_PYTHON := $(shell command -v $(PYTHON))
export PATH := $(abspath $(BIN)):$(PATH)
UV_VERSION := 0.13.8

.PHONY: setup docs demo test check all-tests lint types unit infra-tests contracts local-tests up down clean lock
.DEFAULT_GOAL := setup

setup: .venv/.synced node_modules/.installed  ## Python packages, Node and the CDK CLI, all into this folder

$(BIN)/uv:
	@test -n '$(HOST_PYTHON)' || { echo 'no $(PYTHON) here: install Python 3.11 or newer, or say make PYTHON=…'; exit 1; }
	@$(HOST_PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "setting up .venv"
	@$(HOST_PYTHON) -m venv --without-pip .venv
	@$(HOST_PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(BIN)/uv
	@echo "installing the locked Python packages (1.7 GB, and a minute to compile them)"
	@VIRTUAL_ENV= UV_COMPILE_BYTECODE=1 $(BIN)/uv sync --frozen --group dev
	@touch $@

.venv-datacontract/.synced: tests/contracts/requirements.txt .venv/.synced
	@echo "installing datacontract-cli (80 MB) into an environment of its own"
	@$(BIN)/uv venv --quiet --clear .venv-datacontract
	@VIRTUAL_ENV=.venv-datacontract $(BIN)/uv pip sync --quiet --require-hashes $<
	@touch $@

node_modules/.installed: package.json package-lock.json .venv/.synced
	@echo "installing the CDK command line"
	@$(BIN)/npm ci --no-audit --no-fund --loglevel=error
	@touch $@

demo: setup  ## The whole story on real flights
	@$(BIN)/python -m demo

up down: setup
	@$(BIN)/penstock $@

# Most of what the laptop cloud's tests do is wait: three workers keep two cores busy.
WORKERS ?= 3
IN_PARALLEL = -n $(WORKERS) --no-loadscope-reorder --durations=20

test: lint  ## Everything that must hold: half an hour on two cores
	@$(MAKE) --no-print-directory -j2 --output-sync=line types all-tests

check: lint types  ## Before a commit: lint, types, and the unit tests of what differs from main; at most 2 minutes
	$(BIN)/pytest -n 2 --no-loadscope-reorder $$($(BIN)/python tests/changed.py)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

all-tests: setup .venv-datacontract/.synced
	$(BIN)/pytest $(IN_PARALLEL) tests

unit: setup
	$(BIN)/pytest $(IN_PARALLEL) tests/unit

infra-tests: setup
	$(BIN)/pytest $(IN_PARALLEL) tests/infra

contracts: setup .venv-datacontract/.synced  ## Our contracts held to the standard, by its own linter
	$(BIN)/pytest tests/contracts

local-tests: setup
	$(BIN)/pytest $(IN_PARALLEL) tests/local

bench-%: setup
	$(BIN)/python -m bench.$(subst -,_,$*)

lock:  ## After a change of pyproject.toml, package.json or tests/contracts/requirements.in
	$(BIN)/uv lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 tests/contracts/requirements.in -o tests/contracts/requirements.txt
	$(BIN)/npm install --package-lock-only

docs: setup  ## The generated reference
	$(BIN)/python -m docs.generate

clean:
	rm -rf .venv .venv-datacontract node_modules cdk.out .bundles .mypy_cache .ruff_cache
