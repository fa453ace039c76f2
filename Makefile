# `make help` lists the targets. Everything runs in .venv, which is made when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# CI and new machines alike: the tested versions, and no CUDA where a CPU build is enough.
# Not compiled by pip, which does it on one core; without tests most of what is there is never imported.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt
# On two cores: half of the time a test waits for a process or a screen.
XDIST ?= -n 4
# Where it is set, every process that a test starts compiles the whole program anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo install dev test suite test-fast test-nightly lint fmt bench bench-llm bench-audit bench-direction bench-classify bench-finetune bench-gpu screenshots snapshots train-offline-judge train-tiny-chat clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PYTHON=python3.12, say."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev,ml]'
	@# Once, on all cores: else each of the test processes that start together compiles torch for itself.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib refusal_tui >/dev/null 2>&1 || true
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed ## make .venv and install the workbench

dev: $(VENV)/.installed-dev ## install what tests and linters need, torch included

demo: $(VENV)/.installed ## see it work: sample data and an offline labelling job, live
	@$(BIN)/refusal-tui --workspace artifacts/demo demo

lint: $(VENV)/.installed-dev ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --verbose

test: $(VENV)/.installed-dev ## lint and the whole suite, side by side (under 8 minutes on 2 cores)
	@$(MAKE) --no-print-directory -j2 lint suite

suite: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(XDIST) -m 'not nightly'

test-fast: $(VENV)/.installed-dev ## everything that starts no process (under a minute)
	$(BIN)/python -m pytest $(XDIST) -m 'not nightly and not pty and not kill'

test-nightly: $(VENV)/.installed-dev ## hundreds of kills and the long runs
	$(BIN)/python -m pytest -m nightly

fmt: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## measure; prints the tables of docs/benchmarks.md
	$(BIN)/python -m benchmarks --write

bench-audit: $(VENV)/.installed-dev ## audit a million rows (twenty minutes, 4 GB of disk)
	$(BIN)/python -m benchmarks --write audit

bench-direction: $(VENV)/.installed-dev ## a direction search beside the published procedure (ten minutes)
	$(BIN)/python -m benchmarks --write direction

bench-classify: $(VENV)/.installed-dev ## training and evaluation beside the stock Trainer, offline judges (ten minutes)
	$(BIN)/python -m benchmarks --write classify judges

bench-finetune: $(VENV)/.installed-dev ## what a constraint costs per step; adapters in one loaded model (five minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks --write finetune

bench-gpu: $(VENV)/.installed-dev ## the same on a CUDA device, models of 1.5 and 7 billion weights
	$(BIN)/python -m benchmarks --write direction-gpu classify-gpu

bench-llm: $(VENV)/.installed-dev ## the same for language-model jobs (an hour; BENCH_PEERS=1 adds other tools)
	$(BIN)/python -m benchmarks --write llm llm-memory

snapshots: $(VENV)/.installed-dev ## accept the screens as they are now
	$(BIN)/python -m pytest $(XDIST) tests/tui --snapshot-update -m 'not nightly and not pty'

screenshots: $(VENV)/.installed ## the pictures of the README
	$(BIN)/python -m benchmarks.screenshots docs/images

HUMAN ?= ../shared/data/human
train-offline-judge: $(VENV)/.installed-dev ## make the linear judge's weights again (HUMAN=folder of the labelled files)
	OMP_NUM_THREADS=1 $(BIN)/python -m refusal_tui.judge.offline.train $(HUMAN)

train-tiny-chat: $(VENV)/.installed-dev ## make the tiny chat model of data/tiny_chat again (half a minute on one core)
	OMP_NUM_THREADS=1 $(BIN)/python -m refusal_tui.direction.tiny.train data/tiny_chat

clean: ## remove caches and the demo workspace
	rm -rf artifacts/demo snapshot_report .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
