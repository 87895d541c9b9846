# make demo | demo-ecmp | test | lint | bench: each sets up what it needs first (see ./prepare).
BIN := .venv/bin
# Each prints JSON lines; --help says how to have less or more of it.
BENCHES := allocator placement rebalance apicost detection gossip_flood gossip_scale failover handover footprint moves chaos apikills churn ecmp external_ipam

# What this repository has beside purelb itself, each with its own pyproject.toml, src and tests.
DISTRIBUTIONS := memberlist kubedouble lab

.PHONY: demo demo-ecmp test unit unit-purelb unit-memberlist unit-lab system lint touched bench kernels fuzz soak crds manifests drawings proto constraints locks images clean

demo:
	@./prepare demo
	@$(BIN)/purelb-lab demo $(ARGS)

demo-ecmp:
	@./prepare demo-ecmp
	@$(BIN)/purelb-lab demo --ecmp $(ARGS)

test: lint unit system

# API-level tests, with kubectl as a process, count as system tests, and so do those of what is installed, the table of
# the API server's faults, and those of a whole program beside an API server. Two files at a time: a lab is its own
# world, and mostly waits.
PROGRAMS := $(wildcard tests/allocator/test_*.py) $(addprefix tests/lbnodeagent/kubernetes/,test_controlplane.py test_publisher.py)
API := tests/faults tests/install $(PROGRAMS) $(wildcard tests/test_*.py)

# What pytest has compiled of a test is read the next time, also where the environment says that nothing is written.
unexport PYTHONDONTWRITEBYTECODE

# No unit test has a machine-wide name or port of its own: they share the cores, the distributions' beside each other.
# Half of their time is waiting for sockets and pauses, so purelb's have half as many workers again as there are cores;
# who has no more to do takes from who has most. Each distribution's output comes when its tests have ended.
WORKERS := --numprocesses=$(shell echo $$(($$(nproc) * 3 / 2))) --dist=worksteal
unit:
	@./prepare test
	@$(MAKE) --no-print-directory --jobs --output-sync --keep-going unit-purelb unit-memberlist unit-lab

unit-purelb:
	$(BIN)/pytest -q $(WORKERS) --ignore=tests/system $(addprefix --ignore=,$(API)) $(ARGS)

unit-memberlist unit-lab: unit-%:
	$(BIN)/pytest -q $*/tests

system:
	@./prepare test
	$(BIN)/pytest -q --numprocesses=2 --dist=loadfile kubedouble/tests
	$(BIN)/pytest -q --numprocesses=2 --dist=loadfile $(API) $(ARGS)
	$(BIN)/pytest -q --numprocesses=2 --dist=loadfile tests/system $(ARGS)

lint:
	@./prepare lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@for name in $(DISTRIBUTIONS); do $(BIN)/mypy $$name/tests || exit 1; done
	$(BIN)/lint-imports

# Which distributions a change touches, by its files and by who uses whom: make touched BASE=main
touched:
	@python3 .ci/touched.py $(BASE)

bench:
	@./prepare bench
	@failed=; for name in $(BENCHES); do $(BIN)/python -m bench.$$name $(ARGS) || failed="$$failed $$name"; done; \
	  [ -z "$$failed" ] || { echo "not as it must be:$$failed" >&2; exit 1; }

# The agent's system tests on other kernels: a line for each. ARGS="--kernel 5.10 -k restart"; see docs/lab.md.
kernels:
	@./prepare kernels
	@$(BIN)/python -m kernels $(ARGS)

# A hundred thousand random histories of the data plane, half of them of planned moves, and each law that Hypothesis
# tries with 2,000 examples. SEED=n replays one history; HISTORIES=n, FIRST=n: how many seeds, from which on.
soak:
	@./prepare test
	@$(BIN)/python -m tests.lbnodeagent.stage.soak
	@[ -n "$(SEED)" ] || EXAMPLES=2000 $(BIN)/pytest -q $(WORKERS) -m hypothesis --timeout=1200 tests --ignore=tests/system

# Two minutes of coverage-guided fuzzing; FUZZ=-max_total_time=3600 for an hour.
FUZZ := -max_total_time=120
fuzz:
	@./prepare lint
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	PYTHONPATH=memberlist/tests $(BIN)/python -m fuzz.gossip $(FUZZ)

# What users apply, from its parts: crds/legacy, purelb-complete.yaml, purelb-complete-legacy.yaml, the chart.
crds manifests:
	@./prepare lint
	@$(BIN)/python -m manifests.build

# The pictures in docs/img that show what the code says.
drawings:
	@./prepare lint
	@$(BIN)/python -m docs.drawings

# ipam_pb2.py, from ipam.proto.
proto:
	@./prepare lint
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[proto]'
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. purelb/ipam.proto

# The newest versions that pyproject.toml allows.
constraints:
	@rm -rf .venv && python3 -m venv .venv && $(BIN)/pip install --quiet -e '.[dev]' $(addprefix -e ./,$(DISTRIBUTIONS))
	@{ printf '# Exact versions of everything that is installed: `pip install -c constraints.txt`. Renew with `make constraints`.\n'; \
	  $(BIN)/pip freeze --exclude-editable; } > constraints.txt

# What the images install: the versions of constraints.txt with the hashes of all architectures' wheels.
locks:
	@./prepare lint
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@for pair in allocator:ipam lbnodeagent:agent; do \
	  echo 'setuptools>=77' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header --no-emit-package memberlist --extra $${pair#*:} -c constraints.txt pyproject.toml - -o requirements/$${pair%:*}.txt \
	    || exit 1; done

# Both images, as folders: purelb-lab demo --images .lab/images
images:
	@./prepare test
	@$(BIN)/python -m lab.command.buildimages .lab/images

clean:
	rm -rf .venv .lab .software build ./*.egg-info */build */src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
