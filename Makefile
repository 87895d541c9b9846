# make demo | test | lint | bench: each sets up what it needs first (see ./prepare).
BIN := .venv/bin

.PHONY: demo test unit system lint bench manifests constraints clean

demo:
	@./prepare demo
	@$(BIN)/purelb-lab demo $(ARGS)

test: lint unit system

unit:
	@./prepare test
	$(BIN)/pytest -q --ignore=tests/system $(ARGS)

system:
	@./prepare test
	$(BIN)/pytest -q tests/system $(ARGS)

lint:
	@./prepare lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench:
	@./prepare bench
	@for file in bench/[a-z]*.py; do $(BIN)/python "$$file" || exit 1; done

# purelb-complete.yaml, from its parts.
manifests:
	@./prepare lint
	@{ printf '# One file that installs all: kubectl apply -f purelb-complete.yaml\n# Made by `make manifests` from manifests/base and crds.\n'; \
	  $(BIN)/kubectl kustomize manifests/base; } > manifests/purelb-complete.yaml

# The newest versions that pyproject.toml allows.
constraints:
	@rm -rf .venv && python3 -m venv .venv && $(BIN)/pip install --quiet -e '.[dev]'
	@{ printf '# Exact versions of everything that is installed: `pip install -c constraints.txt`. Renew with `make constraints`.\n'; \
	  $(BIN)/pip freeze --exclude-editable; } > constraints.txt

clean:
	rm -rf .venv .lab build ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
