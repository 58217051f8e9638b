# make demo: train the quickstart policy and compare it with the baselines.   make test: everything a change must pass.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
EXTRAS ?= grid,train,milp,gurobi,ray,torchrl,bridge,bench,dev
PYTEST_FLAGS ?= -n auto
SUDO ?= $(shell [ "$$(id -u)" = 0 ] || echo sudo)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

export OMP_NUM_THREADS ?= 1

.PHONY: demo test services clean

demo: $(INSTALLED)
	$(BIN)/python train.py configs/train/quickstart.yaml
	$(BIN)/python evaluate.py configs/evaluate/quickstart.yaml

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

services:
	$(SUDO) apt-get update
	$(SUDO) apt-get install --yes --no-install-recommends mosquitto chromium

clean:
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@
