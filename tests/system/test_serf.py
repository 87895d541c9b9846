"""Clusters of our members and serf agents: each notices what becomes of the other."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.system.gossip_peers import Addresses, Ours, Peer, Serf, eventually, stage

pytestmark = pytest.mark.timeout(240)

P = TypeVar("P", bound=Peer)

KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SPEAKS_SERF = ("--delegate", "2,5,5")


class Cluster:
    """Peers in one folder, with or without encryption."""

    def __init__(self, folder: Path, key: str | None) -> None:
        self._folder = folder
        self._key = key
        self._addresses = Addresses(random.Random())
        self._stage = stage()
        self._enter = self._stage.__enter__()
        self.peers: list[Peer] = []

    def ours(self, name: str, profile: str = "fast") -> Ours:
        key = ("--key", self._key) if self._key else ()
        peer = Ours(name, self._addresses.next(), self._folder, *SPEAKS_SERF, "--profile", profile, *key)
        return self._add(peer)

    def serf(self, name: str, profile: str = "local") -> Serf:
        key = (f"-encrypt={self._key}",) if self._key else ()
        return self._add(Serf(name, self._addresses.next(), self._folder, f"-profile={profile}", *key))

    def close(self) -> None:
        self._stage.__exit__(None, None, None)

    def one_view(self) -> bool:
        running = {peer.name for peer in self.peers if peer.is_running}
        return all(peer.alive() == running for peer in self.peers if peer.is_running)

    def _add(self, peer: P) -> P:
        self._enter(peer)
        self.peers.append(peer)
        return peer


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    peers = Cluster(tmp_path, request.param)
    yield peers
    peers.close()


def both_alive(*peers: Peer) -> bool:
    names = {peer.name for peer in peers}
    return all(peer.alive() == names for peer in peers)


def test_we_join_serf_and_stay_alive(cluster: Cluster) -> None:
    first, second, ours = cluster.serf("serf-1"), cluster.serf("serf-2"), cluster.ours("ours")
    first.start()
    second.start(join=first.address)
    ours.start(join=first.address)
    eventually(lambda: both_alive(first, second, ours), seconds=15, what="one cluster of three")

    views = []
    for _ in range(30):
        time.sleep(0.3)
        views.append(both_alive(first, second, ours))

    assert all(views)
    assert {event["event"] for event in ours.events} <= {"join", "update", "user"}
    assert "Refuting" not in first.log() + second.log()


def test_serf_joins_us(cluster: Cluster) -> None:
    ours, serf = cluster.ours("ours"), cluster.serf("serf")
    ours.start()
    serf.start(join=ours.address)

    eventually(lambda: both_alive(ours, serf), seconds=15, what="serf joined us")


def test_each_notices_the_others_death_and_return(cluster: Cluster) -> None:
    ours, serf, witness = cluster.ours("ours"), cluster.serf("serf"), cluster.serf("witness")
    witness.start()
    ours.start(join=witness.address)
    serf.start(join=witness.address)
    eventually(lambda: both_alive(ours, serf, witness), seconds=15, what="one cluster of three")

    serf.kill()
    noticed = eventually(lambda: ours.view()["serf"] == "failed", seconds=5, what="we notice serf's death")
    assert noticed < 2
    eventually(lambda: witness.view()["serf"] == "failed", seconds=5, what="serf hears of it from us")
    serf.start(join=witness.address)
    eventually(lambda: both_alive(ours, serf, witness), seconds=15, what="serf is back")

    ours.kill()
    eventually(lambda: serf.view()["ours"] == "failed", seconds=15, what="serf notices our death")
    ours.start(join=witness.address)
    eventually(lambda: both_alive(ours, serf, witness), seconds=15, what="we are back")


def test_each_notices_that_the_other_leaves(cluster: Cluster) -> None:
    ours, serf, witness = cluster.ours("ours"), cluster.serf("serf"), cluster.serf("witness")
    witness.start()
    ours.start(join=witness.address)
    serf.start(join=witness.address)
    eventually(lambda: both_alive(ours, serf, witness), seconds=15, what="one cluster of three")

    serf.leave()
    eventually(lambda: ours.view()["serf"] == "left", seconds=5, what="we know that serf left")

    ours.leave()
    # Serf calls "left" only who also sent a Serf leave intent; what counts is that it knows at once, by our own word.
    eventually(lambda: witness.view()["ours"] in ("failed", "left"), seconds=1.5, what="serf knows that we left")


def test_random_kills_and_restarts_end_with_one_view(cluster: Cluster) -> None:
    rng = random.Random(7)
    peers: list[Peer] = [cluster.serf(f"serf-{number}") for number in range(1, 6)]
    peers += [cluster.ours("ours-1"), cluster.ours("ours-2")]
    anchor, *others = peers
    anchor.start()
    for peer in others:
        peer.start(join=anchor.address)
    eventually(cluster.one_view, seconds=30, what="one cluster of seven")

    for _ in range(20):
        peer = rng.choice(others)
        if peer.is_running:
            peer.kill()
        else:
            peer.start(join=anchor.address)
        time.sleep(rng.uniform(0.05, 1.0))
    for peer in others:
        if not peer.is_running:
            peer.start(join=anchor.address)

    eventually(cluster.one_view, seconds=60, what="one view after 20 kills and restarts")
