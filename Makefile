# Two commands for a newcomer: `make demo` and `make test`. Both set up .venv by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread per BLAS call: our own loops use the cores, and results do not depend on their number.
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test verify lint notebooks clean

demo: $(VENV)/core
	@$(BIN)/python -m designtwin demo

test: $(VENV)/test
	@$(BIN)/python -m pytest -n auto --dist loadfile

verify: $(VENV)/test
	@$(BIN)/python -m tests.verify $(if $(JOBS),--jobs $(JOBS))

notebooks: $(VENV)/test
	@$(BIN)/python notebooks/refresh.py

lint: $(VENV)/test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

$(VENV)/core: pyproject.toml
	@$(PYTHON) .ci/prepare.py $(VENV)
	@echo "setting up $(VENV) (once; about two minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python .ci/prepare.py --libraries
	@$(BIN)/python -m designtwin warm
	@touch $@

$(VENV)/test: pyproject.toml | $(VENV)/core
	@echo "adding the test tools to $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .[test]
	@touch $@

clean:
	rm -rf $(VENV) out build .pytest_cache .mypy_cache .ruff_cache
