# make demo: the main job. make test: the tests. Both set up everything they need in .venv first.

export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: help demo test docs links compatibility lint clean

help:
	@echo "make demo   train the paper's cosine-decay model and draw its figures 4, 5 and 6 in runs/demo"
	@echo "make test   run the tests"
	@echo "make docs   build the documentation in build/docs/index.html"
	@echo "make links  check the documentation's links to other sites"
	@echo "make compatibility  install the tools of docs/compatibility.md and try every class with them; takes 30 minutes"
	@echo "make lint   check style and types"
	@echo "make .venv  install everything into .venv; the others do so when it is missing"

# The file marks an installation that was finished: one that broke off is done again.
.venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@echo "Setting up .venv; this takes a minute or two."
	$(PYTHON) -m venv .venv
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable ".[fast,digits,export,translation,test,lint]"
	@touch $@

demo: .venv/installed
	$(BIN)/contextual-rnn reproduce lcd --initial-states zero gaussian --seeds 1 --out runs/demo --resume

test: .venv/installed
	$(BIN)/python -m pytest --numprocesses 2

# opacus asks for packages that it needs only for its own examples; what it imports is opt_einsum.
compatibility: .venv/installed
	$(PIP) lightning skorch huggingface_hub onnx onnxscript onnxruntime opt_einsum
	$(PIP) --no-deps opacus
	EVERY_CASE=1 $(BIN)/python -m pytest tests/test_compatibility*.py tests/test_examples.py

.venv/docs: .venv/installed
	$(PIP) --editable ".[docs]"
	@touch $@

# A warning is an error: a broken link between pages, a missing name, a malformed docstring.
docs: .venv/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs build/docs
	@echo "Open build/docs/index.html."

links: .venv/docs
	$(BIN)/python -m sphinx --quiet --keep-going --builder linkcheck docs build/links

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
