# Each target calls ordinary tools in a virtual environment, .venv, which is made with PYTHON, 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CODE := eventsourcing_kit projections tests benchmarks

.PHONY: demo test bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.cli
	$(BIN)/eskit demo

test: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict $(CODE)
	$(BIN)/python -m pytest -n 2

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f demo.db demo.db-wal demo.db-shm

# Editable, so that what runs and is checked is always this tree; pyproject.toml alone says when to install anew.
$(VENV)/.cli: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[cli]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.cli

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed; name one so: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
