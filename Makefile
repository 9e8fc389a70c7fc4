# Every target sets up what it needs: a virtual environment in .venv with the project and its dependencies installed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-cluster test-browser test-faults lint bench bench-full clean

demo: .venv/ready                          ## the whole chain on a corpus that it makes; prints Tables 1 and 2
	cd egs/mini_replay/sd && ./run.sh

test: .venv/ready-test                     ## lint and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/recipes tests # the long ones first

test-cluster: .venv/ready-test             ## the launchers and the recipe on a real Slurm and a real Grid Engine, as root on Debian
	tests/cluster/run.sh $(BIN)/python

test-browser: .venv/ready-test             ## the page of sd-report in a headless Chromium, which is installed by apt if need be
	tests/browser/run.sh $(BIN)/python

test-faults: .venv/ready-test              ## kills, full disks, hostile files, odd names and sounds; SDTOOLS_FAULTS=quick: some of each
	$(BIN)/python -m pytest -n 2 tests/faults

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/ready-test                    ## speed against plain numpy, scipy and scikit-learn, and the share of the machine's bound
	$(BIN)/python benchmarks/bench_extraction.py
	$(BIN)/python benchmarks/bench_baselines.py
	$(BIN)/python benchmarks/bench_gmm.py
	$(BIN)/python benchmarks/bench_scores.py
	$(BIN)/python benchmarks/bench_tables.py
	$(BIN)/python benchmarks/bench_startup.py

bench-full: .venv/ready-test               ## that, beside other toolkits and at full size, and the recipe on a corpus of the real size: 35 minutes, 10 GB
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(MAKE) bench
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; $(BIN)/python benchmarks/bench_tables.py --num-utts=100000 --folder="$$folder" && \
	  $(BIN)/python benchmarks/asvspoof2017_size.py "$$folder/size" --scales=0.125,0.25,0.5,1 && \
	  $(BIN)/python benchmarks/asvspoof2017_size.py "$$folder/size" --compress

clean:                                     ## what the recipes and the set-up wrote
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis egs/*/*/corpus* egs/*/*/data egs/*/*/exp
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	utils/make_venv.sh $(PYTHON) .venv

.venv/ready: .venv/bin/python setup.py $(wildcard sdtools/bin/*.py)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/ready-test: .venv/bin/python setup.py $(wildcard sdtools/bin/*.py)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ .venv/ready
