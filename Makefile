# Everything one does with this project. `make` alone explains the targets.

# The first of the Pythons that this runs on; a name on PATH need not be one that starts.
PYTHON ?= $(or $(shell for python in python3.11 python3.12 python3.13; do \
	$$python -c "" 2>/dev/null && echo $$python && break; done),no-python)
VENV ?= .venv
BIN := $(VENV)/bin
MLSERVER := var/bench-mlserver
SPARK := var/spark
# No command of BentoML's tells its maker that it was used.
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help
.PHONY: help run train bento images image-web image-evaluation image-portfolio image-model up down logs \
	scale roll-model roll-evaluation roll-portfolio backup restore spark test test-unit test-services \
	test-pages fuzz test-stack \
	bench bench-checkouts bench-faults bench-files bench-model bench-record bench-unkind soak \
	check check-style check-types check-imports check-lock lock openapi upgrade release clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## Start both services and the worker; Ctrl-C stops them (EVALUATION_PORT=8000 MODEL_PORT=8001)
	@exec $(BIN)/python -m deploy.laptop

train: $(VENV)/run.stamp ## Train a model on the data set: make train DATA=path/to/cc_general.csv (OUTPUT=var/new.pkl)
	@test -n "$(DATA)" || { echo "Name the data set: make train DATA=path/to/cc_general.csv" >&2; exit 2; }
	@mkdir -p var
	$(BIN)/python -m model_store train --data "$(DATA)" --output "$(or $(OUTPUT),var/new.pkl)"

# The containers. A release is named by VERSION=1.2.3; without one, what is built here is "local".
ENV_FILE ?= .env
setting = $(shell sed -nE "s/^$(1)=[\"']?([^\"' ]*).*/\1/p" $(ENV_FILE) 2>/dev/null)
IMAGE_PREFIX ?= $(or $(call setting,IMAGE_PREFIX),credit-card-)
VERSION ?= $(or $(call setting,VERSION),local)
NGINX_IMAGE ?= $(call setting,NGINX_IMAGE)
STACK := $(PYTHON) -m deploy.stack --env-file $(ENV_FILE)
COMPOSE := docker compose --env-file $(ENV_FILE)
LABEL := org.opencontainers.image.version=$(VERSION)
DOCKER_BUILD := DOCKER_BUILDKIT=1 docker build --quiet --label $(LABEL)

bento: $(VENV)/run.stamp ## Build the Bento: the model service with its model inside
	@mkdir -p var && $(BIN)/python -m model_store import
	@$(BIN)/bentoml build --output tag > var/bento.tag

images: image-web image-evaluation image-portfolio image-model ## Build the four container images (VERSION=local)

image-web:
	$(DOCKER_BUILD) $(if $(NGINX_IMAGE),--build-arg NGINX_IMAGE=$(NGINX_IMAGE)) -t $(IMAGE_PREFIX)web:$(VERSION) -f deploy/docker/web.Dockerfile .

image-evaluation:
	$(DOCKER_BUILD) -t $(IMAGE_PREFIX)evaluation:$(VERSION) -f deploy/docker/evaluation.Dockerfile .

image-portfolio:
	$(DOCKER_BUILD) -t $(IMAGE_PREFIX)portfolio:$(VERSION) -f deploy/docker/portfolio.Dockerfile .

# From a folder of its own: BentoML 1.4.39 reads a template only below the current folder, and copies
# the Bento's to the one for temporary files. Its last words would name a port that is not ours, and its
# first warn of an option that it has twice.
image-model: bento
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && tag=$$(sed -n 's/^__tag__://p' var/bento.tag) \
		&& bin=$$(cd "$(BIN)" && pwd) && cd "$$folder" && TMPDIR=$$folder DOCKER_BUILDKIT=1 \
		PYTHONWARNINGS=ignore::UserWarning:click.core \
		"$$bin/bentoml" containerize --opt label=$(LABEL) -t $(IMAGE_PREFIX)model:$(VERSION) "$$tag" > /dev/null

up: ## Start the stack and wait until it is healthy (WEB_PORT=80)
	@$(STACK) up

down: ## Stop the stack; what is recorded stays
	@$(COMPOSE) down --remove-orphans

logs: ## Follow the stack's logs
	@$(COMPOSE) logs --follow --tail 100

scale: ## Change the numbers of replicas: make scale MODEL=3 EVAL=2 PORTFOLIO=2
	@test -n "$(MODEL)$(EVAL)$(PORTFOLIO)" || { echo "Say how many: make scale MODEL=3 EVAL=2 PORTFOLIO=2" >&2; exit 2; }
	@$(STACK) scale $(if $(MODEL),--model $(MODEL)) $(if $(EVAL),--evaluation $(EVAL)) \
		$(if $(PORTFOLIO),--portfolio $(PORTFOLIO))

roll-model: ## Replace the model service without a gap: make roll-model VERSION=1.2.3
	@$(STACK) roll ml_model_service $(VERSION)

roll-evaluation: ## Replace the evaluation service without a gap: make roll-evaluation VERSION=1.2.3
	@$(STACK) roll client_evaluation_service $(VERSION)

roll-portfolio: ## Replace the worker for files, which others go on with: make roll-portfolio VERSION=1.2.3
	@$(STACK) roll client_portfolio_worker $(VERSION)

COUNT_TABLES := "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"

backup: ## Write the record to a file: make backup FILE=record.dump
	@test -n "$(FILE)" || { echo "Name the file: make backup FILE=record.dump" >&2; exit 2; }
	@umask 077 && trap 'rm -f "$(FILE).part"' EXIT INT TERM HUP \
		&& $(COMPOSE) exec -T db pg_dump -U evaluation --format=custom evaluation > "$(FILE).part" \
		&& mv "$(FILE).part" "$(FILE)"

restore: ## Read a backup into an empty database: make restore FILE=record.dump
	@test -r "$(FILE)" || { echo "Name a file that is there: make restore FILE=record.dump" >&2; exit 2; }
	@$(COMPOSE) up --detach --wait db
	@$(COMPOSE) exec -T db pg_restore --file /dev/null < "$(FILE)" \
		|| { echo "$(FILE) is no whole backup; nothing was changed." >&2; exit 2; }
	@test "$$($(COMPOSE) exec -T db psql -U evaluation -Atc $(COUNT_TABLES) < /dev/null)" = 0 \
		|| { echo "The database is not empty; nothing was changed: docs/operations.md" >&2; exit 2; }
	@$(COMPOSE) exec -T db pg_restore -U evaluation --dbname evaluation --single-transaction < "$(FILE)" \
		|| { echo "The restore was broken off, and the database is empty as before; its log may say more: docker compose logs db" >&2; exit 2; }

spark: $(SPARK)/run.stamp ## Install what python -m portfolio.spark needs in var/spark; needs Java 17, takes minutes

# JUnit's XML of a part of the tests, in the folder that REPORTS names.
report = $(if $(REPORTS),--junitxml=$(REPORTS)/$(1).xml)

test: ## Run the unit, integration, release and end-to-end tests
	@$(MAKE) --no-print-directory --keep-going --jobs 1 test-unit test-services test-pages

# What they wait for comes as well on a busy machine. Each process has services of its own.
TWO_FILES := --numprocesses 2 --dist loadfile

test-unit: $(VENV)/dev.stamp ## Run the unit tests
	$(BIN)/pytest $(TWO_FILES) $(call report,unit) tests/unit

# In their order: what needs both releases' services stays together, takes longest, and begins.
test-services: $(VENV)/dev.stamp ## Run the integration and release tests
	$(BIN)/pytest $(TWO_FILES) --no-loadscope-reorder $(call report,services) tests/releases tests/integration

test-pages: $(VENV)/dev.stamp ## Run the end-to-end tests in a browser
	$(BIN)/pytest $(TWO_FILES) $(call report,pages) tests/e2e

fuzz: $(VENV)/dev.stamp ## Ask both services 2,000 times in ways that they allow, and decide a million clients
	FUZZ_CASES=2000 $(BIN)/pytest tests/integration/test_descriptions.py tests/unit/portfolio/test_frames.py

test-stack: $(VENV)/dev.stamp ## Run the tests of the container images; needs a Docker engine
	$(BIN)/pytest -m stack $(call report,stack) tests

# BENCH="--seconds 1" makes a quick run; `python -m bench --help` lists the rest.
bench: $(VENV)/dev.stamp ## Measure the system beside the monolith it replaces; needs wrk, takes 5 minutes
	@$(BIN)/python -m bench system $(BENCH)

bench-files: $(VENV)/dev.stamp ## Measure files beside an analyst's script: make bench-files LINES=200000
	@$(BIN)/python -m bench files $(LINES)

bench-checkouts: $(VENV)/dev.stamp ## Measure this checkout's system beside another's, in turn: make bench-checkouts OTHER=../main
	@test -n "$(OTHER)" || { echo "Name the other checkout: make bench-checkouts OTHER=../main" >&2; exit 2; }
	@$(BIN)/python -m bench checkouts "$(OTHER)"

bench-model: $(VENV)/dev.stamp $(MLSERVER)/run.stamp ## Measure the model service beside MLServer and plain BentoML
	@$(BIN)/python -m bench model $(BENCH)

bench-faults: $(VENV)/dev.stamp ## Have each part fail under load, and count what became of every request; takes 4 minutes
	@$(BIN)/python -m bench faults $(BENCH)

bench-record: $(VENV)/dev.stamp ## Measure what the record and the reasons cost
	@$(BIN)/python -m bench record $(BENCH)

bench-unkind: $(VENV)/dev.stamp ## Let thousands of unkind callers at the evaluation service, and a good one
	@$(BIN)/python -m bench unkind

soak: $(VENV)/dev.stamp ## Half of what the system can do for 20 minutes: what grows? SECONDS_LONG=1200
	@$(BIN)/python -m bench soak --seconds $(or $(SECONDS_LONG),1200)

# None waits for another: `make --jobs check` has them at once.
check: check-style check-types check-imports check-lock ## Check style, types, import rules and the lock files

check-style: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types: $(VENV)/dev.stamp
	$(BIN)/mypy

check-imports: $(VENV)/dev.stamp
	@found=$$($(BIN)/lint-imports --no-logo) || { echo "$$found" >&2; exit 1; }

# Locking again with the present pins must change nothing; a newer release elsewhere is no reason.
check-lock: $(VENV)/dev.stamp
	@rm -rf var/lock && mkdir -p var/lock && cp -R requirements var/lock
	@$(MAKE) --no-print-directory --silent lock LOCK_ROOT=var/lock
	@diff -u -r requirements var/lock/requirements || { echo "Lock files are stale: make lock" >&2; exit 1; }

LOCK_ROOT := .
LOCK := "$$bin/uv" pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header

lock: $(VENV)/dev.stamp ## Lock requirements/*.in again, keeping the versions that still fit
	@bin=$$(cd "$(BIN)" && pwd) && cd $(LOCK_ROOT) \
		&& $(LOCK) $(UPGRADE) requirements/dev.in -o requirements/dev.txt >/dev/null
	@bin=$$(cd "$(BIN)" && pwd); for group in api model portfolio run; do (cd $(LOCK_ROOT) && $(LOCK) $(UPGRADE) -c requirements/dev.txt \
		requirements/$$group.in -o requirements/$$group.txt >/dev/null) || exit 1; done

upgrade: UPGRADE := --upgrade
upgrade: lock ## Lock the newest versions that fit

clean: ## Remove the environment and the caches; the decisions recorded in var/ stay
	rm -rf $(VENV) $(MLSERVER) $(SPARK) var/lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

release: ## Make a release of what is committed: make release VERSION=1.0.0
	@$(PYTHON) -m deploy.release "$(VERSION)"

openapi: $(VENV)/run.stamp ## Write the description of the API again, for whoever generates a client
	@$(BIN)/python -c "import json; from evaluation_api.app import create_fastapi_app as app; \
		print(json.dumps(app().openapi(), ensure_ascii=False, indent=1))" > docs/openapi.json

# Says how far pip is. pip's own exit code is awk's.
INSTALL = awk -v all="$$(grep -c '^[a-z].*==' $<)" -v install='$(BIN)/pip install \
	--disable-pip-version-check --progress-bar off --require-hashes -r $<' 'BEGIN { \
	print "Installing up to " all " packages of $< into $(VENV), which can take minutes"; \
	while ((install | getline line) > 0) \
		if (line ~ /^Collecting/ && ++done % 10 == 0) print "  " done " found"; \
		else if (line ~ /^Installing/) print "  all found; unpacking"; \
	exit close(install) != 0 }'

# A stamp inside the environment says which lock file it holds, so that a second start installs nothing.
$(VENV)/run.stamp: requirements/run.txt
	@command -v $(PYTHON) >/dev/null \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed, as python3.11 to python3.13 on PATH." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL)
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@$(INSTALL)
	@touch $@

$(MLSERVER)/run.stamp: bench/requirements-mlserver.txt
	$(PYTHON) -m venv $(MLSERVER)
	$(MLSERVER)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(SPARK)/run.stamp: requirements/run.txt requirements/spark.txt
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/pip install --quiet --disable-pip-version-check --require-hashes $(addprefix -r ,$^)
	@touch $@
