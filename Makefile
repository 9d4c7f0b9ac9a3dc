# Every target sets up what it needs. A fresh machine needs Python 3.10+ (with venv) and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast lint clean

# The stamp is newer than pyproject.toml when everything in it is installed.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: $(VENV)/.installed  ## the whole method on synthetic videos, about ten minutes on two cores; results in runs/demo
	$(BIN)/python -m training.demo --output-dir runs/demo

test: $(VENV)/.installed  ## lint, then all tests but those that need a GPU
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m "not gpu"

test-fast: $(VENV)/.installed  ## the quick tests
	$(BIN)/python -m pytest -m "not gpu and not slow and not multiprocess"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
