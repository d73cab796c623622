# Everything starts here: each target sets up .venv first if that is needed; a second run is fast.
#   make demo                       explain an atom of the embedded glass on the command line
#   make explore PYTHON=python3.12  set up with another Python

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings

# Jupyter finds the extensions and the settings of this environment, whatever else the machine has installed.
unexport JUPYTER_PATH JUPYTER_CONFIG_PATH
export JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_CONFIG_DIR := $(CURDIR)/$(VENV)/jupyter/config
export JUPYTER_DATA_DIR := $(CURDIR)/$(VENV)/jupyter/data
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help explore app docs demo test fuzz lint bench figures clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# The notebook runs by itself: an extension that only this server is told of does it.
explore: $(READY) ## Open the explorer in JupyterLab: click an atom, see what made the network predict its barrier
	$(BIN)/python -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) \
		--LabApp.extra_labextensions_path="$(CURDIR)/widgets/symgnn_widgets/labextensions" notebooks/01_explore.ipynb

app: $(READY) ## Open the explorer as a web page without code, served by Voilà
	$(BIN)/python -m voila notebooks/app.ipynb

demo: $(READY) ## Predict every barrier of the embedded glass and explain one atom, into out/demo/
	$(BIN)/symgnn-explain predict sample --overwrite --out out/demo/prediction.csv
	$(BIN)/symgnn-explain explain sample --atom 1501 --overwrite --out out/demo

test: lint ## Lint, types and every test, on as many cores as there are
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n "$$(getconf _NPROCESSORS_ONLN)" --dist worksteal

fuzz: $(READY) ## Property tests alone, with FUZZ times (20) their examples, drawn anew: to find what nobody thought of
	SYMGNN_EXPLAIN_FUZZ=$(or $(FUZZ),20) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n "$$(getconf _NPROCESSORS_ONLN)"

docs: $(READY) ## Build the documentation into docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: $(READY) ## Lint, formatting, direction of imports, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy

# What needs a GPU is run by scripts/gpu_check.sh; edits are verified, not timed alone.
bench: $(READY) ## Measure every claim again, one script of benchmarks/ each, into docs/results
	@for script in benchmarks/[!_]*.py; do \
		name="$$(basename "$$script" .py)"; more=; \
		case "$$name" in gpu_check) continue ;; what_if) more="--out out/what_if" ;; esac; \
		echo "== $$name"; \
		$(BIN)/python "$$script" $$more --json "docs/results/$$name.json" || exit 1; \
	done

figures: $(READY) ## Draw the gallery and write the pages whose numbers were measured
	$(BIN)/python scripts/make_gallery.py
	$(BIN)/python scripts/make_benchmarks_page.py

clean: ## Remove what these targets made: .venv, out/demo, build output, caches
	rm -rf $(VENV) out/demo docs/_build build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis lightning_logs
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt scripts/check_python.sh scripts/setup_system.sh scripts/jupyterlab_overrides.json
	@sh scripts/check_python.sh "$(PYTHON)"
	@echo "Setting up $(VENV) (some minutes the first time) …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lab,app,docs,dev]'
	@mkdir -p $(LAB_SETTINGS)
	@cp scripts/jupyterlab_overrides.json $(LAB_SETTINGS)/overrides.json
	@sh scripts/setup_system.sh
	@touch $@
