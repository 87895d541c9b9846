"""What isn't well is found, with what to do; and nothing is found where all is."""

from __future__ import annotations

import pytest

from clusters import NOW, WELL, cluster, condition, group, member, membership, service
from kubectl_purelb.cluster import Cluster, Program
from kubectl_purelb.health import Finding, findings
from kubectl_purelb.places import all_places

SERVED = service("web", "10.31.188.64")
FULL = group(conditions=[condition("Ready", True), condition("Exhausted", True, "none left")])
UNUSED = {"metadata": {"name": "c"}, "status": {"conditions": [condition("Ready", False, "none")]}}


def found(seen: Cluster) -> tuple[Finding, ...]:
    return findings(seen, all_places(seen), NOW)


@pytest.mark.parametrize(
    "seen",
    [
        cluster(SERVED),
        cluster(SERVED, members=membership(member("w11"), member("w12", standing="Excluded", reason="cordoned"))),
        cluster(
            SERVED, groups=[group(conditions=[condition("Ready", True), condition("Exhausted", True, "none left")])]
        ),
        cluster(service("other", "10.5.5.5", branded=False)),
    ],
    ids=["all is well", "a node is cordoned", "a pool is full", "another controller's Service"],
)
def test_what_is_meant_so_is_no_trouble(seen: Cluster) -> None:
    assert found(seen) == ()


@pytest.mark.parametrize(
    ("seen", "about", "why"),
    [
        (cluster(programs={}, members=None), "PureLB", "neither its programs nor its agents' word are in"),
        (cluster(programs={"lbnodeagent": WELL["lbnodeagent"]}), "allocator", "there is no such Deployment"),
        (
            cluster(programs={**WELL, "allocator": Program("allocator", 1, 2, "a:1")}),
            "allocator",
            "1 of 2 pods are ready",
        ),
        (
            cluster(programs={**WELL, "lbnodeagent": Program("lbnodeagent", 0, 0, "l:1")}),
            "lbnodeagent",
            "no pod of it is wanted",
        ),
        (cluster(SERVED, members=None), "nodes", "no agent says which nodes take part"),
        (cluster(SERVED, members=membership(member("w11"), member("w12"), age=600)), "nodes", "for 10 min"),
        (
            cluster(SERVED, members=membership(member("w11"), member("w12", standing="Failing", reason="no route"))),
            "node w12",
            "no route",
        ),
        (
            cluster(SERVED, members=membership(member("w11"), member("w12", behind=True))),
            "node w12",
            "its agent doesn't hear from the API server",
        ),
        (cluster(SERVED, members=membership(member("w11"))), "nodes", "2 agents are ready, and only 1 of them"),
        (cluster(groups=[group(conditions=[condition("Ready", False, "it overlaps")])]), "pool wire", "it overlaps"),
        (cluster(groups=[group(pool="10.9.0.1")]), "pool wire", "10.9.0.1 is not contained in its subnet"),
        (
            cluster(
                configs=[{"metadata": {"name": "c"}, "status": {"conditions": [condition("Ready", False, "none")]}}]
            ),
            "LBNodeAgent c",
            "none",
        ),
        (cluster(service("web")), "service default/web", "it has no address yet"),
        (
            cluster(service("web", "10.31.188.64", node="dead")),
            "service default/web",
            "10.31.188.64: the node that announced it takes no part any more",
        ),
        (
            cluster(SERVED, members=membership(member("w11"), member("w12"), nowhere=1)),
            "nodes",
            "1 addresses are on no node, as the agents say",
        ),
    ],
)
def test_what_is_not_well_is_found_and_nothing_else(seen: Cluster, about: str, why: str) -> None:
    (one,) = found(seen)

    assert one.about == about
    assert why in one.why
    assert one.remedy


def test_a_name_in_a_command_to_copy_stays_one_word() -> None:
    seen = cluster(members=membership(member("w11"), member("x; reboot", standing="Failing")))

    assert "kubectl describe node 'x; reboot'" in found(seen)[0].remedy
