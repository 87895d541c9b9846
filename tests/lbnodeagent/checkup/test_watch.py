"""What is asked on the wires at a look, and whose silence counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random

import pytest

from lbnodeagent.checkup import watch
from lbnodeagent.checkup.answers import IN_A_ROW
from lbnodeagent.checkup.facts import Expected, Facts, Nic
from lbnodeagent.checkup.watch import CheckupWatch
from lbnodeagent.messages import Peer
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress

OWN, THEIRS = Mac(b"RT\0\0\0\1"), Mac(b"RT\0\0\0\2")
NICS = (
    Nic("eth0", (ip_network("10.31.0.0/16"),), (ip_network("fd00:10:31::/64"),), mac=OWN),
    Nic("eth1", (ip_network("10.32.0.0/16"),), mac=OWN),
    Nic("wg0", (ip_network("10.33.0.0/16"),)),
)
VIPS: list[IPAddress] = [IPv4Address(f"10.{second}.188.64") for second in (31, 32, 33)]
SIX: list[IPAddress] = [IPv6Address("fd00:10:31::bc:64"), IPv6Address("fd00:10:31::bc:65")]
PEERS = [Peer("w12", f"10.{second}.0.12") for second in (31, 32, 33)]


def doubted(
    monkeypatch: pytest.MonkeyPatch,
    answering: Iterable[str],
    vips: Sequence[IPAddress] = VIPS,
    peers: Sequence[Peer] = PEERS,
) -> set[IPAddress]:
    """The VIPs that nobody answers for, where these addresses are answered for."""

    async def who_has(questions: Iterable[tuple[str, Mac, IPAddress]]) -> Mapping[IPAddress, frozenset[Mac]]:
        return {one: frozenset({THEIRS} if str(one) in answering else ()) for _, _, one in questions}

    async def is_open(host: str, port: int) -> bool:
        return True

    monkeypatch.setattr(watch, "look", lambda _: Facts(nics=NICS))
    monkeypatch.setattr(watch, "who_has", who_has)
    monkeypatch.setattr(watch, "_is_open", is_open)
    looking = CheckupWatch(Expected, lambda: peers, frozenset, lambda _: dict.fromkeys(vips, "w12"), Random(1))

    async def looks() -> set[IPAddress]:
        for _ in range(IN_A_ROW - 1):
            await looking.look()
        return {doubt.vip for doubt in (await looking.look()).facts.doubts}

    return asyncio.run(looks())


def test_on_a_wire_where_not_even_a_living_node_answers_silence_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doubted(monkeypatch, {"10.31.0.12", "10.31.188.64"}) == set()
    assert doubted(monkeypatch, {"10.31.0.12", "10.32.0.12", "10.31.188.64"}) == {VIPS[1]}


def test_what_can_not_be_asked_for_is_not_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    answering = {"10.31.0.12", "10.32.0.12", "10.33.0.12", "10.31.188.64", "10.32.188.64"}

    assert doubted(monkeypatch, answering) == set()


def test_of_ipv6_too_one_that_nobody_answers_for_is_in_doubt_while_anybody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert doubted(monkeypatch, {"10.31.0.12", str(SIX[1])}, SIX) == {SIX[0]}
    assert doubted(monkeypatch, {"10.31.0.12"}, SIX) == set(), "what answers by IPv4 says nothing of IPv6"
    assert doubted(monkeypatch, {"10.31.0.12", "fd00:10:31::c"}, SIX[:1], [Peer("w12", "fd00:10:31::c")]) == {SIX[0]}
