"""The commands of README.md and docs/ that say `run: lab`, run word for word by a shell in a checkout: each ends well.

docs/getting-started.md makes the lab in which those of the other pages run; README.md has one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.commands import IN_LAB, PAGES, ROOT, Block, blocks
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

BEGIN, K3S, METALLB = "docs/getting-started.md", "docs/from-k3s-servicelb.md", "docs/from-metallb.md"
IN_THEIR_ORDER = (
    "docs/layer2.md",
    "docs/operations.md",
    "docs/reference.md",
    "docs/gitops.md",
    "docs/coming-from.md",
    "docs/troubleshooting.md",
    "docs/gossip.md",
    "docs/external-ipam.md",
)
ROUTED = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: routed, namespace: purelb}
spec: {remote: {v4pool: {subnet: 10.189.0.0/24, pool: 10.189.0.10-10.189.0.20, aggregation: /32}}}
---
apiVersion: v1
kind: Service
metadata: {name: routed, annotations: {purelb.io/service-group: routed}}
spec: {type: LoadBalancer, ports: [{port: 80}], selector: {app: web}}
"""


def in_lab(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.runs and block.by == IN_LAB]


class Reader:
    """Somebody in a checkout of the repository who types what a page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("manifests", "crds", "charts"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(sys.prefix)
        self.lab = LabUnderTest(folder / ".lab")
        path = f"{folder}/.venv/bin:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(folder / ".lab" / "kubeconfig")}

    def does(self, block: Block) -> str:
        """One block; of a session, what stands behind its prompts."""
        lines = block.text.splitlines()
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")] or lines
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(typed)],
            cwd=self.folder,
            env=self._environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{block.place}\n{done.stdout}\n{done.stderr}\n{self.lab.supervisor_log()[-2000:]}"
        return done.stdout


@pytest.fixture
def newcomer() -> Iterator[Reader]:
    """In a checkout without a lab."""
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        reader = Reader(Path(folder))
        yield reader
        reader.lab.down()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """Who has followed docs/getting-started.md but for its last block, and has a routed Service too."""
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        one = Reader(Path(folder))
        try:
            for block in in_lab(BEGIN)[:-1]:
                one.does(block)
            one.lab.kubectl("apply", "-f", "-", stdin=ROUTED)
            yield one
        finally:
            one.lab.down()


def test_the_readme_s(newcomer: Reader) -> None:
    for block in in_lab("README.md"):
        newcomer.does(block)


@pytest.mark.parametrize("page", IN_THEIR_ORDER)
def test_those_of_a_page(reader: Reader, page: str) -> None:
    for block in in_lab(page):
        reader.does(block)


def test_who_comes_from_another_load_balancer_keeps_the_address(reader: Reader) -> None:
    as_a_class_only, by_default = in_lab(K3S)
    reader.does(as_a_class_only)
    reader.lab.kubectl("create", "service", "loadbalancer", "old-lb", "--tcp=80:80")
    status = '{"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.205"}]}}}'
    patch = ("--subresource=status", "--field-manager=controller", "--type=merge", "-p", status)
    reader.lab.kubectl("patch", "service", "old-lb", *patch)
    reader.does(by_default)

    for block in in_lab(METALLB):
        reader.does(block)

    def announced() -> bool:
        body = reader.lab.hosts.get("service", "old-lb")
        return (
            body["status"]["loadBalancer"]["ingress"][0]["ip"] == "10.31.188.205"
            and "purelb.io/announcing-IPv4" in body["metadata"]["annotations"]
        )

    assert eventually(announced)


def test_the_lab_ends_as_the_page_says(reader: Reader) -> None:
    reader.does(in_lab(BEGIN)[-1])

    assert reader.lab.run("status").returncode != 0


def test_no_page_is_left_out() -> None:
    assert {page for page in PAGES if in_lab(page)} == {"README.md", BEGIN, K3S, METALLB, *IN_THEIR_ORDER}
