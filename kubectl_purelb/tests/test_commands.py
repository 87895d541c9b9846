"""What the commands answer, for people and for programs."""

from __future__ import annotations

import io
from ipaddress import ip_address
from typing import Any

import pytest

from clusters import NOW, WELL, cluster, condition, group, member, membership, service
from kubectl_purelb.answers import Answer, Table, Text
from kubectl_purelb.commands.nodes import nodes
from kubectl_purelb.commands.pools import pools
from kubectl_purelb.commands.services import Only, services
from kubectl_purelb.commands.status import status
from kubectl_purelb.commands.version import version
from kubectl_purelb.printing import print_answer


def shown(answer: Answer) -> list[str]:
    file = io.StringIO()
    print_answer(answer, "table", file)
    return file.getvalue().splitlines()


def cells(answer: Answer) -> list[dict[str, str]]:
    (table,) = answer.parts
    assert isinstance(table, Table)
    texts = [[cell.text if isinstance(cell, Text) else cell for cell in row] for row in table.rows]
    return [dict(zip(table.columns, row, strict=True)) for row in texts]


def document(answer: Answer) -> Any:
    return answer.document


def test_status_of_a_healthy_cluster_is_a_screen_of_six_lines() -> None:
    answer = status(cluster(service("web", "10.31.188.64")), NOW)

    assert answer.is_well
    assert shown(answer) == [
        "PureLB in namespace purelb: healthy",
        "allocator    2 of 2 ready",
        "node agents  2 of 2 ready",
        "nodes        2 serving (told 10 s ago by w11)",
        "pools        1 of 1 served",
        "services     1, their addresses: 1 announced",
    ]


def test_status_says_what_is_not_well_and_what_to_do() -> None:
    answer = status(cluster(service("web")), NOW)

    assert not answer.is_well
    assert shown(answer)[0] == "PureLB in namespace purelb: 1 thing is not well"
    assert shown(answer)[-2:] == [
        "✗ service default/web: it has no address yet",
        "  → kubectl purelb inspect default/web",
    ]
    assert document(answer)["healthy"] is False
    assert document(answer)["findings"][0]["about"] == "service default/web"


def test_a_screen_takes_twenty_findings_and_the_document_all() -> None:
    answer = status(cluster(*(service(f"web-{number}") for number in range(30))), NOW)

    assert len(shown(answer)) < 60
    assert shown(answer)[-1] == "… and 10 more: -o json tells all"
    assert len(document(answer)["findings"]) == 30


def test_pools_show_how_full_they_are() -> None:
    full = [condition("Ready", True), condition("Exhausted", True, "no free IPv4 address")]
    refused = [condition("Ready", False, "Failed to parse: it is wrong")]
    answer = pools(
        cluster(
            service("web", "10.31.188.64"),
            groups=[
                group(),
                group("full", conditions=full, allocatedIPv4=63, availableIPv4=0),
                group("wrong", conditions=refused),
                group("vast", allocatedIPv6=3, availableIPv6=2**63 - 1),
            ],
        )
    )
    wire, other, wrong, vast = cells(answer)

    assert (wire["STATE"], wire["IPV4"], wire["IPV6"], wire["SERVICES"]) == ("Served", "1/63", "-", "1")
    assert (other["STATE"], other["IPV4"], other["WHY"]) == ("Full", "63/63", "no free IPv4 address")
    assert (wrong["STATE"], wrong["WHY"]) == ("NotServed", "Failed to parse: it is wrong")
    assert vast["IPV6"] == "3/9.2e+18"
    assert not answer.is_well
    assert document(answer)[0]["addresses"] == {"IPv4": {"used": 1, "free": 62}}


def test_services_have_a_row_for_each_address() -> None:
    answer = services(cluster(service("web", "10.31.188.64", "fd00:10:31::64"), service("waits")), None)
    first, second, third = cells(answer)

    assert (first["ADDRESS"], first["NODE"], first["INTERFACE"], first["STATE"]) == (
        "10.31.188.64", "w11", "eth0", "Announced",
    )  # fmt: skip
    assert second["ADDRESS"] == "fd00:10:31::64"
    assert (third["NAME"], third["ADDRESS"], third["STATE"]) == ("waits", "-", "Pending")
    assert not answer.is_well
    assert document(answer)[2]["address"] is None


@pytest.mark.parametrize(
    ("only", "addresses"),
    [
        (Only(pool="wire"), ["10.31.188.64", None]),
        (Only(pool="other"), ["10.31.188.65"]),
        (Only(node="w12"), ["10.31.188.65"]),
        (Only(address=ip_address("10.31.188.64")), ["10.31.188.64"]),
        (Only(troubled=True), [None]),
        (Only(pool="wire", node="w12"), []),
    ],
)
def test_services_are_shown_as_far_as_they_are_asked_for(only: Only, addresses: list[str | None]) -> None:
    seen = cluster(
        service("web", "10.31.188.64"),
        service("second", "10.31.188.65", node="w12", group="other"),
        service("waits", annotations={"purelb.io/service-group": "wire"}),
    )

    answer = services(seen, None, only)
    assert sorted((one["address"] for one in document(answer)), key=str) == addresses
    assert answer.is_well is (None not in addresses)


def test_without_services_that_is_said() -> None:
    answer = services(cluster(), "web")

    assert answer.is_well
    assert shown(answer) == ["no Service of type LoadBalancer is PureLB's in namespace web"]


def test_nodes_are_as_the_gossip_sees_them() -> None:
    answer = nodes(
        cluster(
            members=membership(
                member("w11", "fd00::/64", "10.31.0.0/16", weight=3),
                member("w12", standing="Failing", reason="its kube-proxy doesn't answer", behind=True),
                member("w13", agent="Other", version=""),
            )
        )
    )
    first, second, third = cells(answer)

    assert (first["WEIGHT"], first["SUBNETS"], first["BEHIND"]) == ("3", "10.31.0.0/16,fd00::/64", "no")
    assert (second["STANDING"], second["BEHIND"]) == ("Failing", "yes")
    assert second["REASON"] == "its kube-proxy doesn't answer"
    assert third["VERSION"] == "not ours"
    assert not answer.is_well
    assert document(answer)[1]["behind"] is True


def test_versions_are_those_of_all_that_runs() -> None:
    mixed = membership(member("w11"), member("w12", version="0.2.0"), member("w13", version="0.2.0"))

    assert shown(version(cluster(members=mixed, programs=WELL), "9.9"))[1:] == [
        "kubectl-purelb     9.9",
        "allocator          a:1",
        "lbnodeagent        l:1",
        "agents on 1 node   0.1.0",
        "agents on 2 nodes  0.2.0",
    ]
