# Everything a newcomer or a developer runs. Needs Python 3.11 or newer and make; nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo pictures test test-fast lint format languages modules benchmarks clean

demo: $(VENV)/.installed                ## A project on its own Postgres, real traffic, a failure, and the answers.
	@$(BIN)/python examples/demo.py

pictures: $(VENV)/.installed            ## The screens over the demo's record, as SVG for the documentation.
	@$(BIN)/python examples/pictures.py

test: $(VENV)/.developing               ## Every test, on each Postgres version found.
	@$(BIN)/python -m pytest -n 3 $(ARGS)

test-fast: $(VENV)/.developing          ## The tests people run most: under a minute.
	@$(BIN)/python -m pytest -n 3 -m "not slow" $(ARGS)

lint: $(VENV)/.developing               ## What CI checks besides the tests.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar db

format: $(VENV)/.developing             ## Bring Python files into shape.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

languages: $(VENV)/.developing          ## The table of what each language can do, as the conformance suite has it.
	@PYTHONPATH=tests/guests $(BIN)/python tests/guests/conformance/table.py

modules: $(VENV)/.developing            ## The WebAssembly modules of the tests, from their sources: cargo, go, npm, mvn.
	$(BIN)/python tests/guests/build_modules.py $(LANGUAGES)

benchmarks: $(VENV)/.developing         ## Every figure the documentation states.
	$(BIN)/python benchmarks/recorder.py
	$(BIN)/python benchmarks/request.py
	$(BIN)/python benchmarks/sandbox.py
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/bug_bisect.py
	$(BIN)/python benchmarks/jobs.py
	$(BIN)/python benchmarks/compile.py
	$(BIN)/python benchmarks/screens.py
	$(BIN)/python benchmarks/guests.py

clean:                                  ## Remove what the other targets made.
	rm -rf $(VENV) demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Flux needs Python 3.11 or newer; try make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing flux into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.developing: pyproject.toml | $(VENV)/bin/python
	@echo "installing flux and its test tools into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed
