# make demo: the main job. make test: the tests. Both set up everything they need in .venv first.

export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Else every process compiles every module again.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
# The address of the packages of a build of PyTorch, such as the CPU build; see pytorch.org. Empty for pip's own.
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: help demo test test-fast test-page docs links compatibility package versions lint clean

help:
	@echo "make demo   see where the initial state matters, and the paper's figures 4 to 6, in runs/demo; takes 3 minutes"
	@echo "make test   run the tests; takes 5 minutes on two cores"
	@echo "make test-fast  run the tests of the library and of tables, without long trainings"
	@echo "make test-page  try the page of explore in a browser"
	@echo "make docs   build the documentation in build/docs/index.html"
	@echo "make links  check the documentation's links to other sites"
	@echo "make compatibility  install the tools of docs/compatibility.md and try every class with them; takes 30 minutes"
	@echo "make package  build the sdist and the wheel, and use them in a clean environment"
	@echo "make versions  run tests with the lowest and the newest PyTorch that are allowed"
	@echo "make lint   check style and types"
	@echo "make .venv  install everything into .venv; the others do so when it is missing"

# The file marks an installation that was finished: one that broke off is done again.
.venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@echo "Setting up .venv; this takes a minute or two."
	$(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable ".[jobs]"
	@touch $@

.venv/tested: .venv/installed
	$(PIP) --editable ".[pairs,translation,cluster,fast,digits,export,explore,test,lint]"
	@touch $@

demo: .venv/installed
	@$(BIN)/contextual-rnn example tank --out runs/demo
	@echo; echo "Two networks are trained on these runs, five times each: one starts from zero, one from the first three levels."
	@$(BIN)/contextual-rnn compare series --train runs/demo/tank_train.csv --test runs/demo/tank_test.csv \
	    --inputs pump --targets level --series run --window 3 --initial-states zero context --epochs 5 \
	    --out runs/demo/tank --resume
	@echo; echo "Next, figures 4 to 6 of the paper: linear cosine decay, with a period that is known at the start."
	@$(BIN)/contextual-rnn reproduce lcd --initial-states zero gaussian --seeds 1 --out runs/demo/lcd --resume
	@echo; echo "Look at runs/demo/tank/figures/start.png and runs/demo/lcd/figures/figure_5.png."

test: .venv/tested
	$(BIN)/python -m pytest --numprocesses 2

test-fast: .venv/tested
	$(BIN)/python -m pytest --numprocesses 2 -m "not slow"

# Every job and control of the page in Chromium, which reaches this machine alone.
test-page: .venv/tested
	$(PIP) --editable ".[page]"
	.ci/chromium
	$(BIN)/python -m pytest tests/browser_page.py

# opacus asks for packages that it needs only for its own examples; what it imports is opt_einsum.
compatibility: .venv/tested
	$(PIP) lightning skorch huggingface_hub onnx onnxscript onnxruntime opt_einsum
	$(PIP) --no-deps opacus
	EVERY_CASE=1 $(BIN)/python -m pytest tests/test_compatibility*.py tests/test_examples.py tests/test_export*.py

.venv/docs: .venv/tested
	$(PIP) --editable ".[docs]"
	@touch $@

# A warning is an error: a broken link between pages, a missing name, a malformed docstring.
docs: .venv/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs build/docs
	@echo "Open build/docs/index.html."

links: .venv/docs
	@$(BIN)/python .ci/links.py

# Builds the sdist and the wheel in build/dist, and uses them where nothing else is installed.
package:
	PYTHON=$(PYTHON) TORCH_INDEX=$(TORCH_INDEX) .ci/package

# Such as make versions PYTHONS="python3.11 python3.13" TORCHES="lowest newest"
versions:
	PYTHONS="$(or $(PYTHONS),$(PYTHON))" TORCHES="$(TORCHES)" TORCH_INDEX=$(TORCH_INDEX) .ci/versions

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
