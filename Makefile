# Every target first builds the environment that it needs. Requirements: make and python3.
SHELL := /bin/bash
PYTHON ?= python3
# .venv is rebuilt if PYTHON has another version than the Python that made it. PYTHON defaults to the Python of
# .venv, so that `make test PYTHON=python3.13` and a later `make run` share one environment.
VERSION = $(shell $(1) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
MADE_BY := $(shell sed -n 's/^version = //p' .venv/pyvenv.cfg 2>/dev/null)
WANTED := $(call VERSION,$(if $(filter file,$(origin PYTHON)),.venv/bin/python,$(PYTHON)))
STALE := $(if $(and $(MADE_BY),$(filter $(MADE_BY),$(WANTED))),,stale)
ENV ?= dev
REGION ?= eu-central-1
APPROVAL ?= broadening
WORKERS ?= auto
BIN := .venv/bin
# Node.js compiles the CDK once, not in each of its processes.
export NODE_COMPILE_CACHE := $(CURDIR)/build/node
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-emit-package anc-client
# Node.js is installed as a Python package.
NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
CDK := $(NODE) build/cli/node_modules/.bin/cdk
SETTINGS = -c env=$(ENV) -c region=$(REGION) $(CONTEXT)
# uv takes a quarter of the time of pip. Where an index is configured for pip only, uv fails and pip installs.
INSTALL = $(BIN)/uv pip install -q --no-config --python $(BIN)/python $(1) || $(PIP) --no-compile $(1)
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check

.PHONY: help run test attacks bench guard proof lint secrets audit synth resources bootstrap diff deploy destroy destroy-account deploy-emulated lock dist client clean stale
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: .venv/run.stamp  ## run the platform with a simulated headset; PORT=8080 DATA=DIR
	$(BIN)/anc up --demo $(if $(PORT),--port $(PORT)) $(if $(DATA),--data "$(DATA)")

# Bytecode is cached, because the tests start some hundred processes. One test runs `make run`, for which the environment
# of the tests is complete too: it has all that requirements/run.txt locks.
test: .venv/dev.stamp  ## run the tests, and all in CI or with THOROUGH=1; WORKERS=2 PYTHON=python3.13
	@touch .venv/run.stamp
	env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX=$(CURDIR)/build/bytecode \
		$(BIN)/python -m pytest -n $(WORKERS) $(if $(CI)$(THOROUGH),,-m "not thorough")

attacks: .venv/dev.stamp  ## fuzz all parsers of untrusted input; MINUTES=10 SEED=1, or FORMAT=amr MUTATIONS=100000
	$(BIN)/python -m $(if $(FORMAT),tests.attacks.sound_files --only $(FORMAT) --mutations $(or $(MUTATIONS),100000),\
		tests.attacks --minutes $(or $(MINUTES),10)) $(if $(SEED),--seed $(SEED))

bench: .venv/bench.stamp  ## benchmark the adaptive filters against other libraries
	$(BIN)/python -m benchmarks

guard: .venv/dev.stamp  ## check that no ratio of processor time is above its limit
	$(BIN)/python -m benchmarks --guard

proof: .venv/dev.stamp  ## reproduce the figures of docs/reliability.md and performance.md; PARTS="faults load" SMALL=1
	$(BIN)/python -m benchmarks.proof $(PARTS) $(if $(SMALL),--small)

lint: .venv/dev.stamp build/types.stamp  ## check style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NODE) build/types/node_modules/.bin/tsc -p web_types

secrets: .venv/dev.stamp  ## scan the working tree, and commits after BASE, for secrets
	$(BIN)/python .ci/scan_secrets.py $(BASE)

audit: .venv/dev.stamp  ## look up all locked dependencies in the OSV database of vulnerabilities
	$(BIN)/python .ci/audit_dependencies.py

synth: .venv/dev.stamp build/cli.stamp  ## synthesize the stacks to cdk.out and check them
	rm -rf cdk.out build/cdk.prod
	$(CDK) synth --quiet
	$(CDK) synth --quiet -c env=prod -c endpoint=instance -o build/cdk.prod
	$(BIN)/cfn-lint -- cdk.out/*.template.json build/cdk.prod/*.template.json infra/github.yaml

resources: .venv/dev.stamp  ## update the resource lists of the stacks in tests/infra/resources
	WRITE_RESOURCES=1 $(BIN)/python -m pytest tests/infra/test_resources.py tests/infra/test_billed_resources.py

bootstrap: .venv/dev.stamp build/cli.stamp  ## prepare the current AWS account for CDK, once
	$(CDK) bootstrap $(SETTINGS)

diff: .venv/dev.stamp build/cli.stamp  ## show what a deployment would change
	$(CDK) diff $(SETTINGS)

deploy: .venv/dev.stamp build/cli.stamp  ## deploy the stacks and the console to the current AWS account
	$(BIN)/python -m infra.preflight $(SETTINGS)
	$(CDK) deploy --all $(SETTINGS) --require-approval $(APPROVAL) --outputs-file build/anc-$(ENV).json
	$(BIN)/python -m infra.indexing --region $(REGION)
	$(BIN)/python -m infra.publish anc-$(ENV) --region $(REGION)

destroy: .venv/dev.stamp build/cli.stamp  ## delete the stacks of ENV; prod retains user data
	$(BIN)/python -m infra.teardown anc-$(ENV) --region $(REGION)
	$(CDK) destroy 'anc-$(ENV)-*' $(SETTINGS) --force

destroy-account: .venv/dev.stamp build/cli.stamp  ## delete the settings that all environments share, at last
	$(CDK) destroy anc-account $(SETTINGS) --force

deploy-emulated: .venv/dev.stamp build/cli.stamp  ## deploy to a local AWS emulator, smoke-test, update, destroy
	$(BIN)/python -m infra.emulated

lock: .venv/dev.stamp  ## update requirements/*.txt from pyproject.toml, and the lock of web_types
	$(COMPILE) pyproject.toml --extra plots --extra traces --group infra --group dev --group build --group release -o requirements/dev.txt
	$(COMPILE) --group layer -c requirements/dev.txt -o requirements/layer.txt
	$(COMPILE) pyproject.toml --extra plots --group build -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/platform.txt
	$(COMPILE) pyproject.toml --extra traces -c requirements/dev.txt -o requirements/image.txt
	$(COMPILE) anc_client/pyproject.toml -c requirements/dev.txt -o requirements/client.txt
	$(COMPILE) --group install -c requirements/dev.txt -o requirements/uv.txt
	$(COMPILE) --group build --group release -c requirements/dev.txt -o requirements/release.txt
	$(COMPILE) --group layer --group bench -c requirements/dev.txt -o requirements/bench.txt
	$(COMPILE) pyproject.toml --group build --extra plots --extra train -c requirements/dev.txt -o requirements/train.txt
	$(NODE) npm install --prefix web_types --package-lock-only --no-audit --no-fund --silent

dist: .venv/release.stamp  ## build wheels, sdists and SBOMs of both packages into dist
	rm -rf dist
	$(BIN)/python .ci/build_packages.py dist

client: .venv/dev.stamp  ## update the types of the client and the console from docs/openapi.json
	$(BIN)/python anc_client/generate.py
	$(BIN)/python web_types/generate.py

.venv/bin/python: $(STALE)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is required")'
	rm -rf .venv
	$(PYTHON) -m venv .venv

# The environment is stale if its stamp is older than the lock file.
KERNEL := $(wildcard layers/dsp/python/anc/dsp/kernel.c)
.venv/%.stamp: requirements/%.txt pyproject.toml setup.py $(KERNEL) anc_client/pyproject.toml $(STALE) | .venv/bin/python
	$(PIP) --require-hashes -r requirements/uv.txt
	$(call INSTALL,--require-hashes -r requirements/$*.txt)
	$(PIP) --no-deps --no-build-isolation -e . -e ./anc_client
	@touch $@

# The compiler that checks the console's types; npm compares every file with the hashes of the lock.
build/types.stamp: web_types/package-lock.json web_types/package.json | .venv/dev.stamp
	mkdir -p build/types && cp $^ build/types/
	$(NODE) npm ci --prefix build/types --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# The CDK CLI.
build/cli.stamp: infra/package.json | .venv/dev.stamp
	mkdir -p build/cli && cp infra/package.json build/cli/
	$(NODE) npm install --prefix build/cli --no-package-lock --no-audit --no-fund --silent
	@touch $@

train: .venv/train.stamp  ## train the classifier; DATA="DIR DIR2" TEACHER=yamnet.tflite
	$(BIN)/anc train $(addprefix --data ,$(DATA)) $(if $(TEACHER),--teacher $(TEACHER))

endpoint-model: .venv/dev.stamp  ## build the model archive of the SageMaker endpoint
	$(BIN)/python sagemaker/package.py build/endpoint/model.tar.gz

clean:  ## delete the environment and all build output
	rm -rf .venv build dist cdk.out
