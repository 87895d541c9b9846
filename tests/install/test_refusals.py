"""Wrong ServiceGroups and LBNodeAgents are refused by `kubectl apply`, each with one sentence; right ones are taken."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from manifests.build import legacy_crds
from tests.install.conftest import Kubectl
from tests.install.objects import RIGHT, WRONG, Case, documents

ROOT = Path(__file__).parents[2]
UNCHECKED = "some validation rules were not checked"


@pytest.fixture(scope="module", autouse=True)
def definitions(kubectl: Kubectl) -> None:
    """The CRDs and the namespace are there."""
    assert kubectl("create", "namespace", "purelb").returncode == 0
    installed = kubectl("apply", "-k", str(ROOT / "crds"))
    assert installed.returncode == 0, installed.stderr
    established = kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    assert established.returncode == 0, established.stderr


def refusals(stderr: str) -> dict[tuple[str, str], str]:
    """(kind, name) to what kubectl says about it."""
    said = re.split(r"^Error from server \(Invalid\): ", stderr, flags=re.MULTILINE)[1:]
    named = (re.search(r'(\w+)\.purelb\.io "([^"]+)" is invalid: (.*)', text, re.DOTALL) for text in said)
    return {(found[1], found[2]): found[3].strip() for found in named if found}


@pytest.fixture(scope="module")
def refused(kubectl: Kubectl) -> dict[tuple[str, str], str]:
    """All wrong ones in one file: kubectl goes on after each refusal."""
    result = kubectl("apply", "-f", "-", document=documents(WRONG))
    assert result.returncode == 1
    assert result.stdout == "", "a wrong object was taken"
    return refusals(result.stderr)


def _titles(cases: list[Case]) -> list[str]:
    return [f"{case.kind} {case.title}" for case in cases]


@pytest.mark.parametrize("case", WRONG, ids=_titles(WRONG))
def test_a_wrong_object_is_refused_with_one_sentence(case: Case, refused: dict[tuple[str, str], str]) -> None:
    sentence = refused[case.kind, case.body("v1")["metadata"]["name"]]

    assert case.message in sentence
    others = sentence.removeprefix("[").split(", <nil>: ")[1:]
    assert sentence.startswith("spec") or (others and UNCHECKED in others[0]), "more than one sentence"


@pytest.fixture(scope="module")
def accepted(kubectl: Kubectl) -> str:
    return kubectl("apply", "-f", "-", document=documents(RIGHT)).stdout


@pytest.mark.parametrize("case", RIGHT, ids=_titles(RIGHT))
def test_a_right_object_is_taken(case: Case, accepted: str) -> None:
    name = case.body("v1")["metadata"]["name"]

    assert f"{case.kind.lower()}.purelb.io/{name} created" in accepted.splitlines()


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(WRONG) >= 40
    assert len(RIGHT) >= 30
    for cases in (WRONG, RIGHT):
        assert len({(case.kind, case.title.lower()) for case in cases}) == len(cases)


def test_the_samples_apply_as_they_are(kubectl: Kubectl) -> None:
    result = kubectl("apply", "-f", str(ROOT / "manifests" / "samples"))

    assert result.returncode == 0, result.stderr


def test_what_one_version_stores_the_other_shows(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", document=documents(RIGHT))

    for case in RIGHT:
        name = case.body("v1")["metadata"]["name"]
        specs = []
        for version in ("v1", "v2"):
            shown = kubectl("get", f"{case.kind}.{version}.purelb.io".lower(), name, "-n", "purelb", "-o", "json")
            specs.append(json.loads(shown.stdout)["spec"])
        assert specs[0] == specs[1]


def test_a_newcomer_understands_explain(kubectl: Kubectl) -> None:
    told = kubectl("explain", "servicegroup.spec.local.v4pool.aggregation").stdout

    text = " ".join(told.split())
    assert "prefix length" in text
    assert "/32 (IPv4) or /128 (IPv6) announces the address alone" in text
    assert "no effect on an address that is put on a node's own network interface" in text


def test_an_object_from_before_the_rules_keeps_its_status(kubectl: Kubectl) -> None:
    """Upgrades: what older CRDs let in is not refused when the allocator writes about it."""
    outside = Case("ServiceGroup", "from before", "{local: {v4pool: {pool: 10.9.0.0/26, subnet: 10.0.0.0/24}}}")
    assert kubectl("apply", "-f", "-", document=documents([outside])).returncode == 1
    for _, text in legacy_crds():
        assert kubectl("apply", "-f", "-", document=text).returncode == 0

    def taken() -> bool:
        return kubectl("apply", "-f", "-", document=documents([outside])).returncode == 0

    assert any(taken() for _ in range(40)), "the legacy rules know nothing of subnets"
    assert kubectl("apply", "-k", str(ROOT / "crds")).returncode == 0
    status = '{"status": {"allocatedIPv4": 1, "allocatedIPv6": 0}}'
    patched = kubectl(
        "patch", "sg", "from-before", "-n", "purelb", "--subresource=status", "--type=merge", "-p", status
    )
    assert patched.returncode == 0, patched.stderr
