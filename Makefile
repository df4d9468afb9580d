# Every target sets up what it needs in the virtual environment .venv.

PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo test lint docs clean

demo: .venv/installed
	mkdir -p demo
	$(BIN)/python examples/docstrings.py demo/docstrings.txt --max-sentences 12000
	$(BIN)/mivae train demo/docstrings.txt --config examples/demo.toml --out $(DEMO) --overwrite --iw-samples 20
	$(BIN)/mivae eval $(DEMO) --iw-samples 100
	$(BIN)/mivae estimate-mi $(DEMO)
	$(BIN)/mivae sample $(DEMO) --n 10
	$(BIN)/mivae interpolate $(DEMO)
	$(BIN)/mivae reconstruct $(DEMO) --limit 5
	$(BIN)/mivae report $(DEMO)
	@echo "Next: open $(DEMO)/report.html in a browser, or run $(BIN)/mivae explore $(DEMO)"

test: .venv/installed
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# needs no network once the extra 'docs' is installed
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf .venv demo site $(DEMO) build dist *.egg-info

# constraints.txt pins torch and scikit-learn, so that every index gives the same releases
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@
