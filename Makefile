# `make demo` and `make test` set themselves up in .venv; a second run reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ADDONS_VENV := .venv-addons

.PHONY: demo test test-addons lint clean
demo: $(VENV)/.installed
	$(BIN)/glimpse demo $(DEMO_FLAGS)

# Fast tests; `make test SLOW=1` runs the slow ones too, as CI does. JOBS files run at a time.
JOBS := 2
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(JOBS) --dist=loadfile --no-loadscope-reorder $(if $(SLOW),,-m "not slow") $(TEST_FLAGS)

# Our SavedModels in TensorFlow 2.15, and our beam search beside that of tensorflow-addons, which
# no later TensorFlow can import, in an environment of their own (1.7 GB).
test-addons: $(VENV)/.installed $(ADDONS_VENV)/.installed
	@cases=$$(mktemp -d) && trap 'rm -rf "$$cases"' EXIT && \
	  $(BIN)/python -m tests.addons_cases "$$cases" && \
	  ADDONS_CASES="$$cases" TF_CPP_MIN_LOG_LEVEL=2 \
	    $(ADDONS_VENV)/bin/python -m pytest -s -c tests/addons/pytest.ini tests/addons

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) $(ADDONS_VENV) .build .pytest_cache .ruff_cache

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

$(ADDONS_VENV)/.installed: requirements-addons.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 12))' || \
	  { echo "tensorflow-addons runs on Python 3.9 to 3.11 alone, and $(PYTHON) is another:" \
	    "make test-addons PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(ADDONS_VENV) || { rm -rf $(ADDONS_VENV); \
	  echo "$(PYTHON) cannot make virtual environments: on Debian, apt-get install python3-venv" >&2; exit 1; }
	$(ADDONS_VENV)/bin/pip install --disable-pip-version-check -r requirements-addons.txt
	@touch $@
