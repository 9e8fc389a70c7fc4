# Every target first installs the project and its dependencies into .venv.
PYTHON ?= python3
BIN := .venv/bin
LONGEST := tests/recipes/test_recipe_asvspoof2017.py tests/recipes # they start first

.PHONY: demo test-fast test test-cluster test-browser test-faults lint bench bench-full clean

demo: .venv/ready               ## the whole chain on a corpus that it makes; prints Tables 1 and 2
	cd egs/mini_replay/sd && ./run.sh

test-fast: lint                 ## lint and unit tests
	$(BIN)/python -m pytest -n 2 tests/unit

test: lint                      ## lint and all tests but those of the next three targets
	$(BIN)/python -m pytest -n 2 --dist worksteal $(LONGEST) tests

test-cluster: .venv/ready-test  ## launchers and recipe on real Slurm and Grid Engine; root on Debian
	tests/cluster/run.sh $(BIN)/python

test-browser: .venv/ready-test  ## the page of sd-report in headless Chromium, which apt installs
	tests/browser/run.sh $(BIN)/python

test-faults: .venv/ready-test   ## kills, full disks, hostile files; SDTOOLS_FAULTS=quick: some
	$(BIN)/python -m pytest -n 2 tests/faults

lint: .venv/ready-test          ## ruff: rules and format; mypy: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready-test         ## speed beside numpy, scipy, scikit-learn and the machine's bound
	$(BIN)/python benchmarks/bench_extraction.py
	$(BIN)/python benchmarks/bench_baselines.py
	$(BIN)/python benchmarks/bench_gmm.py
	$(BIN)/python benchmarks/bench_scores.py
	$(BIN)/python benchmarks/bench_tables.py
	$(BIN)/python benchmarks/bench_detect.py
	$(BIN)/python benchmarks/bench_startup.py

bench-full: .venv/ready-test    ## also beside other toolkits and at full size: 35 minutes, 10 GB
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(MAKE) bench
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	  $(BIN)/python benchmarks/bench_tables.py --num-utts=100000 --folder="$$folder" && \
	  $(BIN)/python benchmarks/asvspoof2017_size.py "$$folder/size" --scales=0.125,0.25,0.5,1 && \
	  $(BIN)/python benchmarks/asvspoof2017_size.py "$$folder/size" --compress

clean:                          ## what recipes and installation wrote
	rm -rf .venv build *.egg-info .*_cache .hypothesis egs/*/*/corpus* egs/*/*/data egs/*/*/exp
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	utils/make_venv.sh $(PYTHON) .venv

.venv/ready: .venv/bin/python setup.py $(wildcard sdtools/bin/*.py)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[formats]'
	touch $@

.venv/ready-test: .venv/bin/python setup.py $(wildcard sdtools/bin/*.py)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[formats,test]'
	touch $@ .venv/ready
