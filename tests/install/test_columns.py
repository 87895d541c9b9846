"""What `kubectl get` shows of our objects: columns that answer, and fit a terminal."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from allocator.groups.catalog import GroupKey, read_catalog
from allocator.groups.status import group_status
from allocator.ipam.engine import Usage
from allocator.reconcile.agentstatus import statuses
from allocator.reconcile.fleet import read_rule
from purelb.addresses import Family
from purelb.membership import MemberNode, Standing, membership_status
from purelb.ordering import ObjectKey
from tests.allocator.builders import EPOCH, entries
from tests.install.conftest import Kubectl
from tests.install.objects import Case, documents

ROOT = Path(__file__).parents[2]
WIDE = 120
RANGES = entries("10.31.188.64-10.31.188.126", "10.32.188.64-10.32.188.126", "10.33.0.0/16")
NAMESPACES = [f"team-{number}-production" for number in range(40)]


@pytest.fixture(scope="module", autouse=True)
def definitions(kubectl: Kubectl) -> None:
    """The CRDs and the namespace are there."""
    assert kubectl("create", "namespace", "purelb").returncode == 0
    assert kubectl("apply", "-k", str(ROOT / "crds")).returncode == 0
    assert kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s").returncode == 0


@pytest.fixture(scope="module")
def groups(kubectl: Kubectl) -> None:
    """A large group that is served, and one that overlaps it, with the status that the allocator writes."""
    specs = {
        "layer2-ippool": {"remote": {"v4pools": RANGES, "v6pools": entries("2001:db8:31:188::/64")}},
        "overlapping": {"local": {"v4pools": RANGES}},
    }
    specs["layer2-ippool"]["namespaces"] = NAMESPACES  # type: ignore[assignment]
    cases = [Case("ServiceGroup", name, json.dumps(spec)) for name, spec in specs.items()]
    applied = kubectl("apply", "-f", "-", document=documents(cases))
    assert applied.returncode == 0, applied.stderr
    catalog = read_catalog(case.body("v1") for case in cases)
    usages = [Usage("layer2-ippool", Family.IPV4, 65662, 65661), Usage("layer2-ippool", Family.IPV6, 2**64, 1)]
    for name in specs:
        status = group_status(catalog.verdicts[GroupKey("purelb", name)], usages, {}, EPOCH)
        patch = json.dumps({"status": status})
        patched = kubectl("patch", "sg", name, "-n", "purelb", "--subresource=status", "--type=merge", "-p", patch)
        assert patched.returncode == 0, patched.stderr


def table(shown: str) -> list[list[str]]:
    """Cells by row, without the age."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()][:-1] for line in shown.splitlines()]


@pytest.mark.usefixtures("groups")
def test_groups_are_shown_with_whether_they_are_served_and_how_full_they_are(kubectl: Kubectl) -> None:
    assert table(kubectl("get", "sg", "-n", "purelb").stdout) == [
        ["NAME", "READY", "ANNOUNCE", "IPAM", "IPV4", "IPV6"],
        ["layer2-ippool", "True", "Remote", "Cluster", "65661/65662", "1/2^64"],
        ["overlapping", "False"],
    ]


@pytest.mark.usefixtures("groups")
def test_wide_adds_ranges_and_namespaces_within_120_columns_and_no_list_in_json(kubectl: Kubectl) -> None:
    shown = kubectl("get", "sg", "-n", "purelb", "-o", "wide").stdout

    assert table(shown)[1][-2:] == ["10.31.188.64-…126 +3", "team-0-prod… +39"]
    assert max(map(len, shown.splitlines())) <= WIDE
    assert not set(shown) & set("[{")


def test_agents_are_shown_with_their_interfaces_by_either_name(kubectl: Kubectl) -> None:
    cases = [
        Case("LBNodeAgent", "of-v1", "{local: {localint: default, extlbint: kube-lb0}}"),
        Case(
            "LBNodeAgent",
            "of-v2",
            "{local: {localInterface: eth1, dummyInterface: lb1}, nodeSelector: {matchLabels: {rack: a}}}",
        ),
    ]
    assert kubectl("apply", "-f", "-", document=documents(cases)).returncode == 0
    bodies = [case.body("v1") for case in cases]
    rules = {ObjectKey("purelb", body["metadata"]["name"]): read_rule(body) for body in bodies}
    for key, status in statuses(rules, {"one": {}, "two": {}, "three": {"rack": "b"}}, EPOCH).items():
        patch = json.dumps({"status": status})
        patched = kubectl(
            "patch", "lbna", key.name, "-n", "purelb", "--subresource=status", "--type=merge", "-p", patch
        )
        assert patched.returncode == 0, patched.stderr

    assert table(kubectl("get", "lbna", "-n", "purelb").stdout) == [
        ["NAME", "READY", "NODES", "INTERFACE", "DUMMY", "SELECTOR"],
        ["of-v1", "True", "3", "default", "kube-lb0"],
        ["of-v2", "False", "0", "eth1", "lb1", '{"rack":"a"}'],
    ]


MEMBERSHIP = "{apiVersion: purelb.io/v1, kind: Membership, metadata: {name: NAME, namespace: purelb}}"


def test_one_line_says_who_is_there_and_who_does_not_serve(kubectl: Kubectl) -> None:
    """The status is the one that an agent writes."""
    nodes = [
        MemberNode("m", Standing.SERVING, subnets=frozenset({ip_network("10.31.0.0/16")}), version="0.3.0", vips=3),
        MemberNode("w11", Standing.EXCLUDED, "cordoned"),
        MemberNode("w12", Standing.FAILING, "kube-proxy doesn't answer on port 10256"),
        MemberNode("w13", Standing.STARTING),
        MemberNode("old", Standing.LEAVING, speaks=False),
    ]
    status = membership_status(
        {one.name: one for one in nodes}, 7, spokesman="m", nowhere=1, observed="2026-11-29T12:00:00Z"
    )
    applied = kubectl("apply", "-f", "-", document=MEMBERSHIP.replace("NAME", "purelb"))
    assert applied.returncode == 0, applied.stderr

    patch = json.dumps({"status": status})
    patched = kubectl("patch", "plbm", "purelb", "-n", "purelb", "--subresource=status", "--type=merge", "-p", patch)

    assert patched.returncode == 0, patched.stderr
    header, row = table(kubectl("get", "memberships", "-n", "purelb").stdout)
    others = "old: leaving; w11: cordoned; w12: kube-proxy doesn't answer on port 10256; w13: starting"
    assert header == ["NAME", "SERVING", "VIPS", "NOT SERVING", "SPOKESMAN", "OBSERVED"]
    assert row[:-1] == ["purelb", "1/5", "7", others, "m"]
    kept = json.loads(kubectl("get", "plbm", "purelb", "-n", "purelb", "-o", "json").stdout)["status"]
    assert kept == status


def test_there_is_one_membership_only(kubectl: Kubectl) -> None:
    refused = kubectl("apply", "-f", "-", document=MEMBERSHIP.replace("NAME", "another"))

    assert refused.returncode != 0
    assert "there is one Membership, which is called purelb" in refused.stderr
