# Each target calls ordinary tools in a virtual environment, .venv, which is made with PYTHON, 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CODE := eventsourcing_kit ingest projections tests benchmarks examples
SAM := .venv-sam
BUILD ?= build

.PHONY: demo test bench docs build-ingest clean
.DELETE_ON_ERROR:

demo: $(VENV)/.cli
	$(BIN)/eskit demo

test: $(VENV)/.dev $(SAM)/.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict $(CODE)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Ten minutes; make bench GROUPS="sqlite appends" measures some of it, GROUPS=--full all of it at full size.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(GROUPS)

# The pages of the example notebooks, with their output.
docs: $(VENV)/.dev
	$(BIN)/python -m examples.export

# What `sam build` puts into its bucket, as a zip, for who deploys it in another way.
build-ingest: | $(BIN)/python
	rm -rf $(BUILD)/ingest $(BUILD)/ingest.zip
	$(MAKE) -f ingest/Makefile build-IngestFunction PYTHON=$(abspath $(BIN)/python) ARTIFACTS_DIR=$(abspath $(BUILD)/ingest)
	cd $(BUILD)/ingest && $(abspath $(BIN)/python) -m zipfile -c ../ingest.zip *

clean:
	rm -rf $(VENV) $(SAM) $(BUILD) dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f demo.db demo.db-wal demo.db-shm

# Editable, so that what runs and is checked is always this tree; pyproject.toml alone says when to install anew.
$(VENV)/.cli: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[cli]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.cli

# Tools for infra/template.yaml, in an environment of their own; infra/requirements.txt says why, and when to install anew.
$(SAM)/.done: infra/requirements.txt | $(BIN)/python
	$(BIN)/python -m venv $(SAM)
	$(SAM)/bin/python -m pip install --quiet --disable-pip-version-check -r infra/requirements.txt
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed; name one so: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
