# `make` alone says what there is. Each target sets up what it needs first (see ./prepare).
.DEFAULT_GOAL := help
BIN := .venv/bin
# Each prints JSON lines; --help says how to have less or more of it.
BENCHES := allocator placement rebalance apicost detection gossip_flood gossip_scale failover handover footprint moves connections rehash chaos apikills churn ecmp external_ipam

# What this repository has beside purelb itself, each with its own pyproject.toml, src and tests.
DISTRIBUTIONS := memberlist kubedouble lab kubectl_purelb

.PHONY: help demo demo-ecmp test unit unit-purelb unit-memberlist unit-lab unit-kubectl_purelb system lint touched bench kernels fuzz soak crds manifests docs links docs-speed recording drawings dashboard screenshots proto constraints locks images plugin release precommit clean

# What a target is for stands behind its name, after two number signs; what has no such words is a part of another.
help:  ## this list
	@echo 'PureLB in Python. Each target sets up what it needs (.venv, Debian packages) and changes nothing of this machine else.'
	@echo
	@sed -n 's/^\([a-z][a-z -]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
	  printf '  make %-15s %s\n' "$$name" "$$what"; done
	@echo
	@echo 'Begin with: make demo. ARGS="..." goes to the program or to pytest: make unit ARGS="-k placement"'

demo:  ## the walkthrough on three nodes of this machine, without a cluster; ten seconds once it is set up
	@./prepare demo
	@$(BIN)/purelb-lab demo $(ARGS)

demo-ecmp:  ## the same, then ECMP with BIRD and FRR
	@./prepare demo-ecmp
	@$(BIN)/purelb-lab demo --ecmp $(ARGS)

test: lint unit system  ## lint, unit and system: all that must be green; some twenty minutes

# API-level tests, with kubectl as a process, count as system tests, and so do those of what is installed, the table of
# the API server's faults, and those of a whole program beside an API server. Two files at a time: a lab is its own
# world, and mostly waits.
PROGRAMS := $(wildcard tests/allocator/test_*.py) $(addprefix tests/lbnodeagent/kubernetes/,test_controlplane.py test_publisher.py)
API := tests/faults tests/install tests/plugin $(PROGRAMS) $(wildcard tests/test_*.py)

# What pytest has compiled of a test is read the next time, also where the environment says that nothing is written.
unexport PYTHONDONTWRITEBYTECODE

# No unit test has a machine-wide name or port of its own: they share the cores, the distributions' beside each other.
# Half of their time is waiting for sockets and pauses, so purelb's have half as many workers again as there are cores;
# who has no more to do takes from who has most. Each distribution's output comes when its tests have ended.
WORKERS := --numprocesses=$(shell echo $$(($$(nproc) * 3 / 2))) --dist=worksteal
unit:  ## unit tests; about a minute
	@./prepare test
	@$(MAKE) --no-print-directory --jobs --output-sync --keep-going unit-purelb unit-memberlist unit-lab unit-kubectl_purelb

unit-purelb:
	$(BIN)/pytest -q $(WORKERS) --ignore=tests/system $(addprefix --ignore=,$(API)) $(ARGS)

unit-memberlist unit-lab unit-kubectl_purelb: unit-%:
	$(BIN)/pytest -q $*/tests

system:  ## tests with an API server and with labs
	@./prepare test
	$(BIN)/pytest -q --numprocesses=2 --dist=loadfile kubedouble/tests
	$(BIN)/pytest -q --numprocesses=2 --dist=loadfile $(API) $(ARGS)
	$(BIN)/pytest -q --numprocesses=2 --dist=loadfile tests/system $(ARGS)

lint:  ## style, types, who may import whom, and the site of docs/
	@./prepare lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@for name in $(DISTRIBUTIONS); do $(BIN)/mypy $$name/tests || exit 1; done
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs

# Strict: a link to nowhere, or a page that the navigation leaves out, ends it; so does what is wrong in the HTML that
# comes of it, or a page that is too heavy.
docs:  ## the web site of docs/, in build/site
	@./prepare lint
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@$(BIN)/python -m docs.site.check build/site
	@echo 'To read it at http://localhost:8000: python3 -m http.server --bind localhost --directory build/site'

# Asks the web for every page that ours lead to: for who has a network, before a release. How fast ours are: in a browser,
# by a line of 10 Mbit/s.
links: docs  ## whether the web has what the site leads to; takes a network
	@$(BIN)/python -m docs.site.check build/site --elsewhere

docs-speed: docs  ## how long each page of the site takes in Chromium, as JSON lines; a minute
	@./prepare pictures
	@$(BIN)/python -m docs.site.browse build/site

# What .pre-commit-config.yaml asks before each commit; without pre-commit it is a target as others.
precommit:  ## style alone, of the files that changed; some seconds
	@./prepare lint
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/lint-imports >/dev/null

# Which distributions a change touches, by its files and by who uses whom: make touched BASE=main
touched:  ## which distributions a change touches: BASE=main
	@python3 .ci/touched.py $(BASE)

bench:  ## the measurements, as JSON lines; hours
	@./prepare bench
	@failed=; for name in $(BENCHES); do $(BIN)/python -m bench.$$name $(ARGS) || failed="$$failed $$name"; done; \
	  [ -z "$$failed" ] || { echo "not as it must be:$$failed" >&2; exit 1; }

# The agent's system tests on other kernels: a line for each. ARGS="--kernel 5.10 -k restart"; see docs/lab.md.
kernels:  ## the agent's system tests on other kernels
	@./prepare kernels
	@$(BIN)/python -m kernels $(ARGS)

# A hundred thousand random histories of the data plane, half of them of planned moves, and each law that Hypothesis
# tries with 2,000 examples. SEED=n replays one history; HISTORIES=n, FIRST=n: how many seeds, from which on.
soak:  ## 100,000 random histories and every law 2,000 times; hours
	@./prepare test
	@$(BIN)/python -m tests.lbnodeagent.stage.soak
	@[ -n "$(SEED)" ] || EXAMPLES=2000 $(BIN)/pytest -q $(WORKERS) -m hypothesis --timeout=1200 tests --ignore=tests/system

# Two minutes of coverage-guided fuzzing; FUZZ=-max_total_time=3600 for an hour.
FUZZ := -max_total_time=120
fuzz:  ## coverage-guided fuzzing of the gossip; two minutes
	@./prepare lint
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	PYTHONPATH=memberlist/tests $(BIN)/python -m fuzz.gossip $(FUZZ)

# What users apply, from its parts: crds/legacy, purelb-complete.yaml, purelb-complete-legacy.yaml, the chart; and the
# pages that list fields and metrics.
crds manifests:  ## what users apply and the chart, from their parts; the pages of fields and metrics
	@./prepare lint
	@$(BIN)/python -m manifests.build
	@$(BIN)/python -m docs.site

# The demo as it runs now, which `make drawings` makes a moving picture of.
recording:  ## docs/img/demo.cast: the demo, recorded
	@./prepare demo
	@$(BIN)/python -m docs.drawings.record

# The pictures in docs/img that show what the code says.
drawings:  ## the pictures in docs/img
	@./prepare lint
	@$(BIN)/python -m docs.drawings

# Those of the status page, as Debian's Chromium shows it.
screenshots:  ## the pictures of the status page in docs/img
	@./prepare pictures
	@$(BIN)/python -m docs.screenshots

# What the panels of the Grafana dashboard show of a lab in which things happen, where Grafana would show it.
dashboard:  ## docs/img/dashboard.png, from a Prometheus in a lab; three minutes
	@./prepare test
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plots]'
	@$(BIN)/python -m docs.drawings.dashboard

# ipam_pb2.py, from ipam.proto.
proto:  ## ipam_pb2.py, from ipam.proto
	@./prepare lint
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[proto]'
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. purelb/ipam.proto

# The newest versions that pyproject.toml allows.
constraints:  ## the newest versions that pyproject.toml allows
	@rm -rf .venv && python3 -m venv .venv && $(BIN)/pip install --quiet -e '.[dev]' $(addprefix -e ./,$(DISTRIBUTIONS))
	@{ printf '# Exact versions of everything that is installed: `pip install -c constraints.txt`. Renew with `make constraints`.\n'; \
	  $(BIN)/pip freeze --exclude-editable; } > constraints.txt

# What the images install, the versions of constraints.txt with the hashes of all architectures' wheels; and what makes a release.
locks:  ## requirements/ with hashes, from constraints.txt
	@./prepare lint
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@for pair in allocator:ipam lbnodeagent:agent; do \
	  echo 'setuptools>=77' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header --no-emit-package memberlist --extra $${pair#*:} -c constraints.txt pyproject.toml - -o requirements/$${pair%:*}.txt \
	    || exit 1; done
	@printf '%s\n' build cyclonedx-bom "$$(grep -o '^setuptools==[0-9.]*' requirements/allocator.txt)" | \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    -c constraints.txt - -o requirements/release.txt

# Both images, as folders: purelb-lab demo --images .lab/images. ARGS=--twice builds each twice and fails unless they are alike;
# ARGS="--arch arm64" builds them for that, by emulation.
images:  ## both images as folders for the lab
	@./prepare test
	@$(BIN)/python -m lab.command.buildimages .lab/images $(ARGS)

# Sources and wheels of all distributions, the chart, what is applied, bills of materials, checksums: in dist/VERSION. What
# git knows of is released, as it is; the version is written wherever it stands. Published is nothing.
release:  ## all that a release consists of, in dist/: VERSION=X.Y.Z; publishes nothing
	@./prepare lint
	@$(BIN)/python -m release $(ARGS) $(patsubst v%,%,$(VERSION))

# Wheels for pip, and what krew takes: kubectl krew install --manifest=build/plugin/purelb.yaml --archive=build/plugin/kubectl-purelb.tar.gz
# URL=...: where the archive will be published.
plugin:  ## kubectl purelb as wheels, and for krew, in build/plugin
	@./prepare lint
	@$(BIN)/python -m manifests.krew build/plugin $(if $(URL),--url $(URL))

clean:  ## remove all that was set up or built here
	rm -rf .venv .lab .software build dist ./*.egg-info */build */src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
