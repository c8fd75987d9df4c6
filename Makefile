PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow format clean bazel build-files

demo: $(VENV)/installed
	$(BIN)/python -m netadapt_tf.adapt --network=mobilenet_v1 --alpha=0.25 --resolution=64 --dataset=fashion_mnist_12k \
	    --budget=latency@host/cpu:1=60% --run_dir=runs/demo

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" --durations=10 --numprocesses=2 --dist=loadfile

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow --durations=10

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Bazel: docs/bazel.md.
bazel: $(VENV)/installed-dev
	bazel test //...

build-files:
	$(PYTHON) -m tools.build_files

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip --disable-pip-version-check install --quiet --requirement requirements.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --requirement requirements-dev.txt
	touch $@
