# Two commands matter: `make run` and `make test`. The others are parts of them, or measure.
.DEFAULT_GOAL := run
# The system's own Python where it is new enough: one that was built by hand without optimisations takes half as long again.
PYTHON ?= $(firstword $(foreach python,/usr/bin/python3 python3,$(shell $(python) -c \
	'import ensurepip, sys; sys.version_info >= (3, 11) and print("$(python)")' 2>/dev/null)) python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
MESSAGES := src/calock/server/locale/en/LC_MESSAGES/django
SCRIPTS := $(shell find src types -name '*.js' -o -name '*.d.ts')
NEWEST ?= $(firstword $(foreach minor,14 13 12,$(shell for python in python3.$(minor) $$HOME/.pyenv/versions/3.$(minor).*/bin/python3; \
	do $$python -c '' 2>/dev/null && echo $$python && break; done)))
export CALOCK_SUITES ?= $(abspath ../shared/suites)
PROCESSORS := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
# Two workers a processor, and of each two processors one more on PostgreSQL: they wait for browsers and drivers a third of the time.
WORKERS ?= $(shell echo $$((2 * $(PROCESSORS))))
WORKERS_ON_POSTGRESQL ?= $(shell echo $$((($(PROCESSORS) + 1) / 2)))
# Hundreds of processes are started by the tests; without compiled files each would compile calock again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-all test-newest tests-on-sqlite tests-on-postgresql lint conformance fuzz reliability failover bindings packages dist dist-pythons image units drill relying bench demo-reset lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: $(VENV)/run.stamp $(MESSAGES).mo  ## install, make the practice world, start driver and server, say what to click
	$(BIN)/calock demo

demo-reset: $(VENV)/run.stamp $(MESSAGES).mo  ## the same from the start
	$(BIN)/calock demo --reset

test: $(VENV)/test.stamp $(MESSAGES).mo node_modules/installed.stamp  ## lint, every test once, and on PostgreSQL what can differ there, side by side
	@$(MAKE) --no-print-directory -j3 lint tests-on-sqlite tests-on-postgresql

test-all: $(VENV)/test.stamp $(MESSAGES).mo node_modules/installed.stamp  ## the same with all of the server on PostgreSQL
	@$(MAKE) --no-print-directory -j3 lint tests-on-sqlite tests-on-postgresql REPEATED="not browser"

tests-on-sqlite:
	$(BIN)/pytest -q -n $(WORKERS)

tests-on-postgresql: REPEATED := postgresql and not browser
tests-on-postgresql:
	@mkdir -p build
	@tools/with-postgres $(BIN)/pytest -q -n $(WORKERS_ON_POSTGRESQL) -m "$(REPEATED)" tests/server tests/upgrade >build/tests-on-postgresql.txt 2>&1; \
	status=$$?; echo "On PostgreSQL:"; cat build/tests-on-postgresql.txt; exit $$status

# By itself: it needs an environment of its own, and what differs between Pythons changes seldom.
test-newest:  ## core, driver and commands on the newest Python here; NEWEST=… names another
	@[ -n "$(NEWEST)" ] || echo "no Python newer than 3.11 here"
	[ -z "$(NEWEST)" ] || $(MAKE) VENV=.venv-newest PYTHON=$(NEWEST) .venv-newest/test.stamp
	[ -z "$(NEWEST)" ] || .venv-newest/bin/pytest -q -n $(WORKERS) -m "not browser" tests/core tests/wire tests/agent tests/cli

lint: $(VENV)/test.stamp node_modules/scripts.stamp  ## formatting, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: $(VENV)/test.stamp  ## third-party suites: a table, and 1 on any unlisted difference
	$(BIN)/python tests/conformance/table.py

fuzz: $(VENV)/fuzz.stamp  ## ≥ 100,000 inputs for each parser of outside bytes
	$(BIN)/python tests/fuzz/run.py

reliability: $(VENV)/test.stamp $(MESSAGES).mo  ## kill, cut off and flood real processes; writes docs/reliability.md (about 40 minutes)
	tools/system-packages reliability
	$(BIN)/python tests/reliability/run.py

failover: $(VENV)/test.stamp $(MESSAGES).mo  ## of these: the machine of PostgreSQL's primary is lost, below Patroni and etcd
	tools/system-packages reliability
	$(BIN)/python tests/reliability/run.py R10p

bindings: $(VENV)/test.stamp  ## 10,000 sequences of acts on locks and bindings against a plain model (about half an hour)
	CALOCK_SEQUENCES=$${CALOCK_SEQUENCES:-10000} $(BIN)/pytest -q -s tests/server/locks/test_binding_model.py

packages: $(VENV)/run.stamp  ## the driver packages that the download centre serves
	$(BIN)/calock packages build

dist: $(VENV)/release.stamp  ## a release: sdist, wheel, locked requirements, SBOM, sums, signature; installed and tried
	$(BIN)/python packaging/dist.py

dist-pythons: dist  ## the release tried on every Python from 3.12 on that is here
	for minor in 12 13 14; do for python in $$(command -v python3.$$minor) $$HOME/.pyenv/versions/3.$$minor.*/bin/python3; do \
	$$python -c '' 2>/dev/null && { $(BIN)/python packaging/dist.py --only-try --python $$python || exit 1; break; }; done; done; true

image: dist  ## an OCI image of the release in dist/image, made and started without an engine; needs root
	tools/system-packages drill
	ops/image/build dist/release dist/image
	$(BIN)/python tests/drill/image.py dist/image/calock-*.tar

units: image  ## the units of ops/systemd, run by systemd itself in a container (systemd-nspawn); needs root
	$(BIN)/python tests/drill/units.py dist/image/calock-*.tar

drill: $(VENV)/test.stamp dist relying  ## from an empty folder to a platform that was upgraded, backed up, wiped and restored; BEFORE=… is the release before
	tools/system-packages drill
	$(BIN)/pytest -q tests/ops
	tools/with-postgres $(BIN)/python tests/drill/drill.py $(if $(BEFORE),--before $(BEFORE))

relying: $(VENV)/test.stamp node_modules/installed.stamp  ## whole applications of others log in and out: what `make test` runs, LemonLDAP::NG, Keycloak
	tools/system-packages relying
	$(BIN)/pytest -q -rs tests/server/relying_parties tests/server/relying_parties/drill_*.py

bench: $(VENV)/test.stamp $(MESSAGES).mo  ## figures, written to docs/performance.md; ONLY="login_over_http …" runs some
	tools/system-packages bench
	-$(BIN)/python bench/run.py $(ONLY)

$(VENV)/bin/python:
	PYTHON=$(PYTHON) tools/system-packages run
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "calock needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python pyproject.toml requirements/run.txt
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/bin/python pyproject.toml requirements/test.txt tools/system-packages
	PYTHON=$(PYTHON) tools/system-packages test
	$(PIP) --require-hashes -r requirements/test.txt
	$(PIP) --no-deps -e .
	touch $@

node_modules/installed.stamp: package.json package-lock.json .npmrc | $(VENV)/test.stamp
	npm ci --loglevel=error
	touch $@

node_modules/scripts.stamp: node_modules/installed.stamp tsconfig.json eslint.config.js $(SCRIPTS)
	node_modules/.bin/tsc
	node_modules/.bin/eslint .
	touch $@

$(VENV)/fuzz.stamp: $(VENV)/test.stamp requirements/fuzz.txt
	$(PIP) --require-hashes -r requirements/fuzz.txt
	touch $@

$(VENV)/release.stamp: $(VENV)/bin/python requirements/release.txt
	$(PIP) --require-hashes -r requirements/release.txt
	touch $@

$(MESSAGES).mo: $(MESSAGES).po | $(VENV)/run.stamp
	$(BIN)/pybabel -q compile -i $< -o $@ -l en

lock:  ## write the locked versions anew; needs uv
	$(LOCK) --upgrade pyproject.toml --extra agent --extra server --extra demo -o requirements/run.txt
	$(LOCK) --upgrade pyproject.toml --extra dev -o requirements/test.txt
	$(LOCK) --upgrade --group fuzz -o requirements/fuzz.txt
	$(LOCK) --upgrade --group release -c requirements/test.txt -o requirements/release.txt  # one environment has both
	npm update --package-lock-only

clean:  ## remove the environment and the practice world
	rm -rf $(VENV) .venv-newest node_modules .calock build dist
