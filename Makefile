PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest

.PHONY: demo test test-slow test-sweep test-oldest bazel build-files docs dist format clean

demo: $(VENV)/installed
	$(BIN)/python -m netadapt_tf.adapt --network=mobilenet_v1 --alpha=0.25 --resolution=64 --dataset=fashion_mnist_12k \
	    --budget=latency@host/cpu:1=60% --run_dir=runs/demo

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" --durations=10 --numprocesses=2 --dist=loadfile

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "slow and not sweep" --durations=10 --numprocesses=2 --dist=loadfile

# More networks of each kind than test-slow has time for.
test-sweep: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m sweep --durations=10 --numprocesses=2 --dist=loadfile

docs: $(VENV)/installed-dev
	$(BIN)/python tools/api_reference.py build/docs netadapt_tf tflite_bench

# The fast tests with the oldest release of each dependency that pyproject.toml allows.
test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest -m "not slow" tests/netadapt_tf tests/tflite_bench

dist: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Bazel: docs/bazel.md.
bazel: $(VENV)/installed-dev
	bazel test //...

build-files:
	$(PYTHON) -m tools.build_files

clean:
	rm -rf $(VENV) $(OLDEST) build dist .mypy_cache .ruff_cache .pytest_cache

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip --disable-pip-version-check install --quiet --requirement requirements.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --requirement requirements-dev.txt
	touch $@

$(OLDEST)/installed: Makefile pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) tools/lower_bounds.py > $(OLDEST)/constraints.txt
	grep -E "^(axe-playwright-python|hypothesis|playwright|pytest)==" requirements-dev.txt > $(OLDEST)/tools.txt
	$(OLDEST)/bin/pip --disable-pip-version-check install --quiet --constraint $(OLDEST)/constraints.txt \
	    --requirement $(OLDEST)/tools.txt --editable ".[ray,tfds]"
	touch $@
