# The front door. Each target sets up what it needs, and is quick when nothing is to be done.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DOCKYARD := $(BIN)/dockyard
READY := .venv/.ready

# Notebooks and shells find `dockyard`, `jupyter` and our Python first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help lab test test-all test-quick test-machine check grade release hub reset doctor images bundle bench lint lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# What came with a bundle (dockyard/bundle/): then no network is asked.
BUNDLE := .dockyard/bundle
WHEELS := $(if $(wildcard $(BUNDLE)/wheels),--no-index --find-links $(BUNDLE)/wheels)
VENV := $(if $(wildcard $(BUNDLE)/packages),dockyard/bundle/install-packages $(BUNDLE)/packages python3-venv \
	,apt-get update -qq && apt-get install -y -qq python3-venv)

# Everything that Python needs, from the locked list.
$(READY): requirements.lock pyproject.toml
	@echo " • Making the Python environment (about a minute, once)"
	@[ ! -f $(BUNDLE)/SUMS ] || { grep '  $(BUNDLE)/' $(BUNDLE)/SUMS | sha256sum --check --quiet --strict; } \
	  || { echo "The bundle is damaged: copy it again, and unpack it again."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && $(VENV) >/dev/null; } \
	  || { echo "$(PYTHON) has no venv module: install python3-venv (or python3 itself), then try again."; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Dockyard takes Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 2; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --disable-pip-version-check $(WHEELS) --require-hashes -r requirements.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The learners' kit comes without them (release.py).
tests:
	@echo "A learners' kit has no tests and no benchmarks; they are in the full checkout."; exit 2

lab: $(READY) ## Set up everything and open JupyterLab
	@$(DOCKYARD) lab

test: tests $(READY) ## Set up everything and run all tests
	@$(DOCKYARD) engine with make --no-print-directory _test PROVE='-m "not thorough"'

test-all: tests $(READY) ## The same with every near miss, not one for each criterion
	@$(DOCKYARD) engine with make --no-print-directory _test

.PHONY: _test
_test:
	@$(DOCKYARD) images > /dev/null
	@command -v chromium > /dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null; } \
	  || echo "No Chromium here: the browser's tests are left out."
	@$(BIN)/pytest --numprocesses 3 --dist loadgroup $(PROVE) $(ARGS)

test-quick: tests $(READY) ## Run the tests that need no engine
	@$(BIN)/pytest --quiet --numprocesses auto -m "not lab" $(ARGS)

test-machine: tests $(READY) ## Prove 02_clustering on a plain Debian 12 under qemu (slow, root)
	@$(DOCKYARD) engine with make --no-print-directory _machine

# What 02_clustering needs, made here: building it in the machine would take twenty minutes.
MACHINE_IMAGES := host debian python vote redis worker postgres result

.PHONY: _machine
_machine:
	@$(DOCKYARD) images 02_clustering > /dev/null
	@eval "$$($(DOCKYARD) env --engine)" && docker save --output .dockyard/machine-images.tar \
	  $(MACHINE_IMAGES:%=dockyard/%:1)
	@tests/machine/run --minutes 120 --take .venv --take .dockyard/machine-images.tar tests/machine/prove

check: $(READY) ## Look at your lab: make check EX=02_clustering
	@$(DOCKYARD) check $(or $(EX),$(error Name an exercise: make check EX=02_clustering))

grade: $(READY) ## Grade submissions: make grade EX=02_clustering SUBMISSIONS=folder
	@$(DOCKYARD) grade $(or $(EX),$(error Name an exercise: make grade EX=02_clustering SUBMISSIONS=folder)) \
	  --submissions $(or $(SUBMISSIONS),$(error Name a folder: make grade EX=02_clustering SUBMISSIONS=folder))

release: $(READY) ## Make the learners' kit: make release DIR=kit
	@$(DOCKYARD) release $(or $(DIR),kit)

hub: $(READY) ## A JupyterHub for a room: each learner works on this machine, in a browser
	@$(DOCKYARD) hub $(ARGS)

reset: $(READY) ## Bring your labs, or one (EX=…), back to the start
	@$(DOCKYARD) reset $(EX)

doctor: $(READY) ## Check this machine
	@$(DOCKYARD) doctor

images: $(READY) ## Make the images of all exercises
	@$(DOCKYARD) images

bundle: $(READY) ## All that a room without internet needs, in one file: make bundle FILE=room.tar
	@$(DOCKYARD) bundle save $(or $(FILE),room.tar)

bench: tests $(READY) ## Measure, as ratios against floors and peers
	@$(DOCKYARD) engine with $(BIN)/python -m bench

lint: tests $(READY) ## ruff, strict types, notebooks without outputs, Dockerfiles
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/nbstripout --keep-id --verify $$(git ls-files '*.ipynb')
	@$(BIN)/hadolint images/*/Dockerfile*

lock: $(READY) ## Choose versions anew and lock them
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --quiet --output-file requirements.lock
	@$(BIN)/uv pip compile images/learner/requirements.in --constraint requirements.lock --python-version 3.13 \
	  --python-platform linux --generate-hashes --no-emit-index-url --no-annotate --quiet \
	  --output-file images/learner/requirements.lock

clean: ## Remove labs, the embedded engine and the environment; work/ stays
	@[ ! -x $(DOCKYARD) ] || $(DOCKYARD) engine remove
	@rm -rf .venv .dockyard .mypy_cache .ruff_cache .pytest_cache
