# `make demo` and `make test` set themselves up in .venv; a second run reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean
demo: $(VENV)/.installed
	$(BIN)/glimpse demo $(DEMO_FLAGS)

# Fast tests; `make test SLOW=1` runs the slow ones too, as CI does. JOBS files run at a time.
JOBS := 2
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(JOBS) --dist=loadfile --no-loadscope-reorder $(if $(SLOW),,-m "not slow") $(TEST_FLAGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) .build .pytest_cache .ruff_cache

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "glimpse needs Python >= 3.11, and $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make virtual environments: on Debian, apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(BIN)/pip requirements.txt pyproject.toml
	$(BIN)/pip install --disable-pip-version-check -e .
	@sh tools/fit_opencv.sh $(BIN)
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --disable-pip-version-check -e '.[test]'
	@sh tools/fit_opencv.sh $(BIN)
	@touch $@
