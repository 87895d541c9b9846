"""CI says which distributions a change touches."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "touched.py"
EVERY = {"kubectl-purelb", "kubedouble", "memberlist", "purelb", "purelb-lab"}


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize(
    ("changed", "touched"),
    [
        ("memberlist/src/memberlist/core.py", {"kubectl-purelb", "memberlist", "purelb", "purelb-lab"}),
        ("kubedouble/tests/test_store.py", {"kubedouble", "purelb-lab"}),
        ("lab/pyproject.toml", {"purelb-lab"}),
        ("allocator/ipam/engine.py", {"kubectl-purelb", "purelb", "purelb-lab"}),
        ("pyproject.toml", {"kubectl-purelb", "purelb", "purelb-lab"}),
        ("tests/purelb/test_kube.py", {"kubectl-purelb", "purelb", "purelb-lab"}),
        ("kubectl_purelb/pyproject.toml", {"kubectl-purelb"}),
        ("docs/gossip.md", set()),
        ("bench/failover.py", set()),
        ("constraints.txt", EVERY),
    ],
)
def test_a_change_touches_its_distribution_and_those_that_depend_on_it(
    script: dict[str, Any], changed: str, touched: set[str]
) -> None:
    known = script["distributions"](ROOT)

    assert set(script["touched"]([changed], known)) == touched


def test_the_reason_is_said(script: dict[str, Any]) -> None:
    known = script["distributions"](ROOT)

    whys = script["touched"](["memberlist/README.md", "docs/lab.md"], known)

    assert whys["memberlist"] == "memberlist/README.md changed"
    assert whys["purelb"] == "depends on memberlist"


def test_without_a_base_to_compare_with_all_are_touched() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "no-such-commit"], capture_output=True, text=True, check=True)

    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == EVERY
    assert "there is no no-such-commit" in done.stdout
