# `make` lists the commands. PYTHON says which interpreter makes the environment: make book PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LONGEST := $(patsubst %,notebooks/%.ipynb,twenty_lines rq3_prism verdicts index use_prism rq4_benefits statements \
	should_i_use debiasing ledger switches theory)
NOTEBOOKS := $(LONGEST) $(filter-out $(LONGEST),$(wildcard notebooks/*.ipynb))
# files of tests that start processes
SLOWEST := $(patsubst %,tests/test_%.py,sweep endings gpu_tools records workers init use)
TESTS := $(SLOWEST) $(filter-out $(SLOWEST),$(wildcard tests/test_*.py))

# Containers set it, and then each kernel and each process of a test would compile this project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help book pdf report lint test test-browser test-recipes bench bench-serving bench-scale why readme-figure gpu-matrix clean
.DELETE_ON_ERROR:

help:
	@echo "make book          build the book: sets up .venv, runs the pages that are stale, prints the address to open"
	@echo "make pdf           print the whole book into book/_build/prism.pdf; needs Chromium"
	@echo "make report        print the one-page report into book/_build/report.pdf, after make book; needs Chromium"
	@echo "make lint          style, types, and what sources, docstrings, notebooks and pages must agree on"
	@echo "make test          lint, types, tests, doctests, and the notebooks against their saved outputs"
	@echo "make test-browser  the built book in headless Chromium, at desktop and phone width and in the dark"
	@echo "make test-recipes  the recipes for other libraries, each with its library in an environment under .recipes/ (5 GB)"
	@echo "make bench         speed against plain references, into benchmarks/*.json, which the book shows (8 minutes)"
	@echo "make gpu-matrix    every step of a GPU without one: compiled, traced and emulated; needs g++ and Triton"
	@echo "make bench-serving what indexes do to a PRISM model's lists, with faiss and hnswlib in .recipes/serving"
	@echo "make bench-scale   time and memory of steps on tables of up to ten million rows, a file of 1e8 pairs (15 minutes)"
	@echo "make why           which pages of the book are stale, and why"
	@echo "make clean         remove what was built; the environment stays (rm -rf .venv removes that)"

# rm: pages that have left the table of contents would stay. -W -n: a warning or a dangling reference fails the build.
# --all: without it a second build is silent about the pages that the first one complained of.
book: $(READY)
	@echo "Building the book: pages that are stale are run first"
	@rm -rf book/_build/html
	@TQDM_DISABLE=1 $(BIN)/jupyter-book build book --all -W -n --keep-going
	@$(BIN)/python -c "from pathlib import Path; print('Open', Path('book/_build/html/index.html').resolve().as_uri())"

pdf: $(READY)
	@$(BIN)/python book/print_pdf.py --check
	@echo "Building the book as one page"
	@rm -rf book/_build/singlehtml
	@TQDM_DISABLE=1 $(BIN)/jupyter-book build book --builder singlehtml --all -W -n --keep-going
	@$(BIN)/python book/print_pdf.py

report: $(READY)
	@$(BIN)/python book/print_pdf.py --page pages/report

STYLE := echo "Linting" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
TYPES := $(BIN)/mypy prismlib prismbook
# Only files with such tests are opened: to look for them in all takes as long as to run them.
TEXTS = OMP_NUM_THREADS=1 $(BIN)/pytest -q -m lint `grep -l "pytest.mark.lint" tests/test_*.py`
TYPES_TOO = wait $$types || { echo "mypy found faults: they are printed above"; exit 1; }

lint: $(READY)
	@$(STYLE)
	@echo "Checking types; reading sources, notebooks and pages"
	@$(TYPES) & types=$$!; $(TEXTS); texts=$$?; $(TYPES_TOO); exit $$texts

# OMP_NUM_THREADS: PyTorch's idle threads spin, and where processes outnumber cores that costs tenfold. So each of the two
# workers has one thread. The longest files and notebooks go first, or one worker would end with them while the other is
# idle; without --no-loadscope-reorder those with few tests or cells come last. Types take one core for longer than texts
# take the other, so the tests begin beside them.
# Each part runs whatever the others find, so that one look shows all faults.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
test: $(READY)
	@$(STYLE)
	@echo "Checking types; reading sources, notebooks and pages"
	@$(TYPES) & types=$$!; export OMP_NUM_THREADS=1; \
		$(TEXTS); texts=$$?; \
		echo "Running tests and doctests"; \
		$(BIN)/pytest -m "not browser and not lint" $(WORKERS) --doctest-modules $(TESTS) prismlib prismbook book/_ext; tests=$$?; \
		echo "Running the notebooks and comparing their outputs"; \
		TQDM_DISABLE=1 $(BIN)/pytest $(WORKERS) --nbval $(NOTEBOOKS); cells=$$?; \
		$(TYPES_TOO); exit $$((texts | tests | cells))

test-browser: $(READY)
	@echo "Opening every page of the book in Chromium"
	@$(BIN)/pytest -n 2 -m browser tests/test_browser.py

# RECIPES says which: make test-recipes RECIPES="recbole cornac"
test-recipes: $(READY)
	@$(BIN)/python recipes/run.py $(RECIPES)

bench: $(READY)
	@$(BIN)/python benchmarks/bench.py $(BENCH) --output benchmarks/bench.json
	@$(BIN)/python benchmarks/bench.py --growth --repeats 5 --output benchmarks/growth.json
	@$(BIN)/python benchmarks/denormals.py --output benchmarks/denormals.json

# Lengths that 16 does not divide compile to other machine code, long ones to other constants; at two widths of each kind.
gpu-matrix: $(READY)
	@$(BIN)/python tests/gpu/ahead_of_time.py --check
	@$(BIN)/python tests/gpu/trace.py
	@$(BIN)/python tests/gpu/trace.py --all
	@$(BIN)/python tests/gpu/emulate.py --all
	@$(BIN)/python tests/gpu/emulate.py --kernels
	@$(BIN)/python tests/gpu/ahead_of_time.py
	@$(BIN)/python tests/gpu/ahead_of_time.py --dims 64 100 --lengths 4095 16384

# SERVING says which part: make bench-serving SERVING="--part quality"
bench-serving: $(READY)
	@$(BIN)/python -c "import sys; sys.path.insert(0, 'recipes'); import run; run.environment('serving')"
	@PYTHONPATH=. .recipes/serving/bin/python benchmarks/serving.py $(SERVING)

# SCALE says which part: make bench-scale SCALE="--part steps --rows 10000"
bench-scale: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scale.py $(SCALE) --output benchmarks/scale.json

why: $(READY)
	@$(BIN)/python book/_ext/pages.py --why

# The README's figure, from the stored records of MovieLens1M.
readme-figure: $(READY)
	@MPLBACKEND=agg $(BIN)/python -c "from matplotlib import style; \
	from prismbook.pages import figures, rq1_tables; \
	from prismbook.plan.experiments import grid_configs; \
	from prismbook.runs.records import default_results; \
	from prismbook.tables import analysis; \
	runs = analysis.measured(default_results(), grid_configs('movielens1m')); \
	style.use(figures.STYLE); \
	drawn = {'movielens1m': analysis.over_seeds(runs)}, None, {'movielens1m': rq1_tables.chosen(runs)}; \
	figures.weight_decay_curves(*drawn).savefig('book/rq1_movielens1m.svg', metadata={'Date': None})"

clean:
	rm -rf book/_build book/pages book/index.ipynb results/synthetic .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# The environment. .venv-unfinished stands while it is being made: what an interrupted set-up leaves can look whole and
# not be, so the next one starts afresh. Renaming that file to .venv/.ready is the last step.
# uv installs ten times faster than pip and is used where it can be had. It compiles only on request, and where Python
# may not write bytecode (PYTHONDONTWRITEBYTECODE, as in containers) each kernel would compile torch and pandas again.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is `$(PYTHON) --version 2>&1`. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@if [ -e .venv-unfinished ] || \
		! $(BIN)/python -c "import pip, sys; sys.exit(sys.prefix == sys.base_prefix)" 2>/dev/null; then \
		echo "Making the environment in .venv"; touch .venv-unfinished; rm -rf .venv; $(PYTHON) -m venv .venv; fi
	@touch .venv-unfinished
	@echo "Installing the packages of requirements.txt (about 1.7 GB, once)"
	@if $(BIN)/python -m pip install --quiet uv; then \
		UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -r requirements.txt; \
	else \
		echo "uv is not to be had: pip installs, more slowly"; $(BIN)/python -m pip install -r requirements.txt; fi
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@mv .venv-unfinished $@
