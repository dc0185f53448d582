# make demo    set up, build an edition from examples/, show an essay with its related articles, serve it with the desk
# make test    set up, run every check that CI runs
# make system  install what the browser, proxy and load tests need from Debian; without it they are skipped
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?= 8000
SOURCES ?= examples
DATA ?= data
DEMO := .demo
CORPORA ?= grass_gis linux_man_pages libreoffice_help r_help perl_docs
BIN := .venv/bin
READY := .venv/ready

.PHONY: help setup system demo test lint types imports tests gate wheel build serve bench screenshots fuzz clean

help:
	@echo "make demo    set up, build an edition from examples/, show an essay with its related articles, serve it"
	@echo "make test    set up, run every check that CI runs"
	@echo "make system  install Debian's chromium, nginx-light and wrk (tests that need them are skipped without)"
	@echo "make build   run the offline job: make build SOURCES='pages/ more.jsonl' DATA=data"
	@echo "make serve   serve the edition in DATA on PORT"
	@echo "make bench   make the public corpora and measure quality on them (encoding them takes a while)"
	@echo "make screenshots  take the README's pictures of the desk"
	@echo "make fuzz    the parsers against 10,000 hostile pages of each kind"
	@echo "make clean   remove everything that make made, .venv too"

setup: $(READY)

# torch comes first and by its pinned version: any other resolution takes gigabytes of CUDA packages along.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

# Only what is missing is installed: as root, else by sudo.
system:
	@missing=""; export PATH="$$PATH:/usr/sbin"; \
	for pair in chromium:chromium nginx:nginx-light wrk:wrk; do \
		command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	if [ -z "$$missing" ]; then echo "chromium, nginx and wrk are here"; exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "make system needs apt-get, which is not here: install$$missing by this system's own means" >&2; exit 1; \
	fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=""; \
	elif command -v sudo >/dev/null; then sudo="sudo"; \
	else echo "make system needs root or sudo to install$$missing" >&2; exit 1; fi; \
	$$sudo apt-get update --quiet && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $$missing

demo: setup
	$(BIN)/related build examples --home $(DEMO)
	$(BIN)/related show harrison-h4 --home $(DEMO)
	@echo "Try: curl 'http://127.0.0.1:$(PORT)/v1/articles/harrison-h4/related?limit=3'"
	@echo "The editors' desk: http://127.0.0.1:$(PORT)/desk/articles/harrison-h4"
	$(BIN)/related serve --home $(DEMO) --port $(PORT)

test: lint types imports tests gate wheel

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

tests: setup
	$(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --cov --cov-report=term:skip-covered

gate: setup
	$(BIN)/python -m benchmarks.gate

# The wheel in an environment of its own, run from another folder, so that nothing of the checkout helps it.
wheel: setup
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist . >/dev/null
	$(PYTHON) -m venv --clear build/wheel-env
	build/wheel-env/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	build/wheel-env/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	root=$$PWD && cd build && $$root/build/wheel-env/bin/related build $$root/examples --home wheel-home --quiet
	root=$$PWD && cd build && $$root/build/wheel-env/bin/related show harrison-h4 --home wheel-home
	root=$$PWD && cd build && printf '%s\n' '{"key": "wheel", "action": "exclude", "target": "time-ball", "editor": "wheel", "at": "2026-11-22T12:00:00Z"}' \
		> wheel-home/decisions.jsonl && $$root/build/wheel-env/bin/related decisions --home wheel-home --import wheel-home/decisions.jsonl
	rm -rf build/wheel-env build/wheel-home

build: setup
	$(BIN)/related build $(SOURCES) --home $(DATA)

serve: setup
	$(BIN)/related serve --home $(DATA) --port $(PORT)

bench: setup
	$(BIN)/python -m benchmarks.public_corpora --out benchmarks/corpora $(CORPORA)
	$(BIN)/python -m benchmarks.quality --floor 0 --out benchmarks/results $(CORPORA)

# The pictures of the desk in the README.
screenshots: setup
	$(BIN)/python -m benchmarks.screenshots

fuzz: setup
	FUZZ_EXAMPLES=10000 $(BIN)/pytest tests/corpus/test_hostile_pages.py

clean:
	rm -rf .venv build dist *.egg-info $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
