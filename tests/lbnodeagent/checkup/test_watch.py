"""What is asked on the wires at a look, and whose silence counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_network
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
    Nic("eth0", (ip_network("10.31.0.0/16"),), mac=OWN),
    Nic("eth1", (ip_network("10.32.0.0/16"),), mac=OWN),
    Nic("wg0", (ip_network("10.33.0.0/16"),)),
)
VIPS = [IPv4Address(f"10.{second}.188.64") for second in (31, 32, 33)]
PEERS = [Peer("w12", f"10.{second}.0.12") for second in (31, 32, 33)]


def doubted(monkeypatch: pytest.MonkeyPatch, answering: Iterable[str]) -> set[IPAddress]:
    """The VIPs that nobody answers for, where these addresses are answered for."""

    async def who_has(questions: Iterable[tuple[str, Mac, IPv4Address]]) -> Mapping[IPAddress, frozenset[Mac]]:
        return {one: frozenset({THEIRS} if str(one) in answering else ()) for _, _, one in questions}

    async def is_open(host: str, port: int) -> bool:
        return True

    monkeypatch.setattr(watch, "look", lambda _: Facts(nics=NICS))
    monkeypatch.setattr(watch, "who_has", who_has)
    monkeypatch.setattr(watch, "_is_open", is_open)
    looking = CheckupWatch(Expected, lambda: PEERS, frozenset, lambda _: dict.fromkeys(VIPS, "w12"), Random(1))

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
