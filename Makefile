# Every target builds its own environment first; python3 and make are all a machine needs.
SHELL := /bin/bash
PYTHON ?= python3
# .venv is made anew when the Python that made it is not PYTHON, or has been replaced since. Left out, PYTHON is
# whatever made .venv, so that `make test PYTHON=python3.13` and then `make run` are one environment.
VERSION = $(shell $(1) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
MADE_BY := $(shell sed -n 's/^version = //p' .venv/pyvenv.cfg 2>/dev/null)
WANTED := $(call VERSION,$(if $(filter file,$(origin PYTHON)),.venv/bin/python,$(PYTHON)))
STALE := $(if $(and $(MADE_BY),$(filter $(MADE_BY),$(WANTED))),,stale)
ENV ?= dev
REGION ?= eu-central-1
APPROVAL ?= broadening
WORKERS ?= auto
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-emit-package anc-client
CDK := PATH="$(CURDIR)/$(BIN):$$PATH" build/cli/node_modules/.bin/cdk
SETTINGS = -c env=$(ENV) -c region=$(REGION) $(CONTEXT)
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --require-hashes

.PHONY: help run test attacks bench lint secrets synth resources bootstrap diff deploy destroy deploy-emulated lock client clean stale
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: .venv/run.stamp  ## the platform here, with a demo headset in noise; PORT=8080 DATA=DIR
	$(BIN)/anc up --demo $(if $(PORT),--port $(PORT)) $(if $(DATA),--data "$(DATA)")

# Modules are compiled once, and not by each of some hundred processes. A test runs `make run`, beside which no
# other may find the environment half made: hence its stamp.
test: .venv/dev.stamp .venv/run.stamp  ## every test, in as many workers as there are cores; WORKERS=2 PYTHON=python3.13
	env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX=$(CURDIR)/build/bytecode \
		$(BIN)/python -m pytest -n $(WORKERS)

attacks: .venv/dev.stamp  ## fuzz every parser of outside bytes; MINUTES=10 SEED=1
	$(BIN)/python -m tests.attacks --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

bench: .venv/bench.stamp  ## the adaptive filters against everyone else's
	$(BIN)/python -m benchmarks

lint: .venv/dev.stamp  ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

secrets: .venv/dev.stamp  ## no key or token in the tree, nor in any commit after BASE
	$(BIN)/python .ci/scan_secrets.py $(BASE)

synth: .venv/dev.stamp build/cli.stamp  ## the stacks as CloudFormation, checked, in cdk.out
	rm -rf cdk.out build/cdk.prod
	$(CDK) synth --quiet
	$(CDK) synth --quiet -c env=prod -c endpoint=instance -o build/cdk.prod
	$(BIN)/cfn-lint -- cdk.out/*.template.json build/cdk.prod/*.template.json infra/github.yaml

resources: .venv/dev.stamp  ## write down anew what each stack is made of, for the review of a change
	WRITE_RESOURCES=1 $(BIN)/python -m pytest tests/infra/test_resources.py

bootstrap: .venv/dev.stamp build/cli.stamp  ## what CDK needs in the AWS account of this shell, once
	$(CDK) bootstrap $(SETTINGS)

diff: .venv/dev.stamp build/cli.stamp  ## what a deployment would change in the AWS account of this shell
	$(CDK) diff $(SETTINGS)

deploy: .venv/dev.stamp build/cli.stamp  ## the stacks and the console to the AWS account of this shell
	$(CDK) deploy --all $(SETTINGS) --require-approval $(APPROVAL) --outputs-file build/anc-$(ENV).json
	$(BIN)/python -m infra.publish anc-$(ENV) --region $(REGION)

destroy: .venv/dev.stamp build/cli.stamp  ## the stacks of ENV deleted; prod keeps what people entrusted to it
	$(BIN)/python -m infra.empty_buckets anc-$(ENV) --region $(REGION)
	$(CDK) destroy --all $(SETTINGS) --force

deploy-emulated: .venv/dev.stamp build/cli.stamp  ## the stacks to an emulator here: deploy, smoke test, update, destroy
	$(BIN)/python -m infra.emulated

lock: .venv/dev.stamp  ## compile requirements/*.txt anew from pyproject.toml
	$(COMPILE) pyproject.toml --group infra --group dev --group build -o requirements/dev.txt
	$(COMPILE) --group layer -c requirements/dev.txt -o requirements/layer.txt
	$(COMPILE) pyproject.toml --group build -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) --group layer --group bench -c requirements/dev.txt -o requirements/bench.txt
	$(COMPILE) pyproject.toml --group build --extra train -c requirements/dev.txt -o requirements/train.txt

client: .venv/dev.stamp  ## write the client's types anew from docs/openapi.json
	$(BIN)/python anc_client/generate.py

.venv/bin/python: $(STALE)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	rm -rf .venv
	$(PYTHON) -m venv .venv

# A stamp is older than its lock file when the environment is stale.
.venv/%.stamp: requirements/%.txt pyproject.toml setup.py anc_client/pyproject.toml $(STALE) | .venv/bin/python
	$(INSTALL) -r requirements/$*.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . -e ./anc_client
	@touch $@

# The CDK command line; it and npm run on the Node that is a Python package.
build/cli.stamp: infra/package.json | .venv/dev.stamp
	mkdir -p build/cli && cp infra/package.json build/cli/
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --prefix build/cli --no-package-lock --no-audit --no-fund --silent
	@touch $@

train: .venv/train.stamp  ## fit the hearing models anew on the recordings in DATA
	$(BIN)/anc train --data $(DATA)

endpoint-model: .venv/dev.stamp  ## what a SageMaker endpoint runs, as one archive
	$(BIN)/python sagemaker/package.py build/endpoint/model.tar.gz

clean:  ## forget the environment and everything built
	rm -rf .venv build cdk.out
