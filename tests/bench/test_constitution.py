"""Each rule of what no agent does is looked for from outside: a breach of it is told by its name, and by no other."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from bench.chaos import Outcome, tell
from bench.constitution import LAWS, Law, Placed, Seen, breaches

VIP, NODE, ROUTED = ip_address("10.31.64.1"), ip_address("10.31.188.1"), ip_address("172.30.0.64")
GROUP = ip_address("224.0.0.9")
HOSTS = {NODE: "node a"}
GIVEN = {VIP, NODE, ROUTED, GROUP}
NICS = {"a": [("eth0", ip_network("10.31.0.0/16")), ("lan1", ip_network("172.30.0.0/24"))]}
INVARIANTS = Path(__file__).parents[2] / "docs" / "invariants.md"


def on(interface: str, address: object, prefix_length: int) -> Placed:
    return Placed("a", interface, ip_address(str(address)), prefix_length)


WRONG: dict[Law, Seen] = {
    "forbidden-address": Seen({on("eth0", NODE, 16)}, HOSTS, GIVEN, NICS),
    "not-given": Seen({on("eth0", "10.31.64.2", 16)}, HOSTS, GIVEN, NICS),
    "shadows-subnet": Seen({on("kube-lb0", ROUTED, 24)}, HOSTS, GIVEN, NICS),
    "not-ours": Seen(removed=["a eth0 10.31.201.1"]),
    "no-single-host": Seen({on("eth0", GROUP, 32)}, HOSTS, GIVEN, NICS),
    "untold": Seen(unsaid=[str(VIP)]),
}


def test_no_law_is_missing() -> None:
    assert WRONG.keys() == set(LAWS)
    assert breaches(Seen()).keys() == set(LAWS)


@pytest.mark.parametrize("law", LAWS)
def test_a_breach_is_told_by_the_name_of_its_law_alone(law: Law) -> None:
    assert [name for name, found in breaches(WRONG[law]).items() if found] == [law]


def test_what_is_as_it_should_be_breaks_none() -> None:
    right = {on("eth0", VIP, 16), on("kube-lb0", ROUTED, 32), Placed("b", "kube-lb0", ROUTED, 24)}

    assert not any(breaches(Seen(right, HOSTS, GIVEN, NICS)).values())


@pytest.mark.parametrize(("interface", "count"), [("eth0", 1), ("kube-lb0", 0)])
def test_a_broadcast_address_is_one_on_its_own_nic_alone(interface: str, count: int) -> None:
    last = ip_address("10.31.255.255")

    assert len(breaches(Seen({on(interface, last, 32)}, {}, {last}, NICS))["no-single-host"]) == count


@pytest.mark.parametrize("law", LAWS)
def test_chaos_is_not_right_and_says_so_where_one_is_broken(law: Law, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(1, [], {}, [], breaches(WRONG[law]), [], 0.0)

    assert not tell(outcome, 1, 60.0, 1)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if f"broken: {law}" in line]
    assert '"holds": false' in line


def test_the_page_of_invariants_has_every_rule() -> None:
    told = set(re.findall(r"^\| `([a-z-]+)` \|", INVARIANTS.read_text(), re.MULTILINE))

    assert told | {"untold"} == set(LAWS)
