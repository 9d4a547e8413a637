# make demo     the simulated beamline, scanned and reconstructed: one picture at the end
# make session  an IPython session at the beamline of beamline.toml
# make test     all tests
# make lint     ruff, mypy and the import arrows

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo session test lint

demo: $(INSTALLED)
	$(BIN)/ghostbeam demo

session: $(INSTALLED)
	$(BIN)/ghostbeam session

# Two files of tests at a time, since many tests wait for processes; three gained 4 % on two cores. One thread for the numerical
# libraries: more of them fight over the cores with the processes that the tests start.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing into $(VENV), once: 2.6 GB on the disk, and some minutes. pip says below what it brings."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)
