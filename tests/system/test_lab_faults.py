"""Each fault of a node or the wire is real: the wire, the kernel or the API shows it. No program of ours runs here."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest

from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(120)

MASTER, W11, W12 = "master", "worker-188-11", "worker-188-12"
ADDRESSES = {MASTER: "10.31.188.1", W11: "10.31.188.11", W12: "10.31.188.12"}
NAMES = {address: name for name, address in ADDRESSES.items()}


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    """One bare lab for all tests of this module, each of which leaves it as it was."""
    with running_lab("--bare", "--node-grace", "3") as lab:
        yield lab


def has_carrier(lab: LabUnderTest, node: str) -> bool:
    (link,) = json.loads(lab.hosts.output(node, "ip", "-json", "link", "show", "dev", "eth0"))
    return "LOWER_UP" in link["flags"]


def answers(lab: LabUnderTest, address: str, source: str = "client") -> bool:
    return lab.hosts.run(source, ["ping", "-c", "1", "-W", "1", address]).returncode == 0


def is_ready(lab: LabUnderTest, node: str) -> bool:
    (found,) = [one for one in lab.hosts.get("nodes")["items"] if node in one["metadata"]["name"]]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in found["status"]["conditions"])


def faults(lab: LabUnderTest, node: str) -> list[str]:
    hosts: list[dict[str, Any]] = json.loads(lab.must("status", "--json"))["hosts"]
    return next(list(one["faults"]) for one in hosts if node in one["name"])


# --- cables and ports ---


def test_a_dead_port_passes_nothing_and_keeps_its_carrier(lab: LabUnderTest) -> None:
    lab.must("fault", W11, "port-dead")
    try:
        assert has_carrier(lab, W11)
        assert not answers(lab, ADDRESSES[W11])
        assert not answers(lab, ADDRESSES[MASTER], source=W11)
        assert eventually(lambda: not is_ready(lab, W11))
        assert faults(lab, W11) == ["port-dead"]
    finally:
        assert "port-dead healed" in lab.must("heal", W11)
    assert eventually(lambda: answers(lab, ADDRESSES[W11]) and is_ready(lab, W11))


def test_a_flapping_link_goes_down_and_up_until_healed(lab: LabUnderTest) -> None:
    lab.must("fault", W11, "flap")
    try:
        for wanted in (False, True, False):
            assert eventually(lambda wanted=wanted: has_carrier(lab, W11) is wanted)  # type: ignore[misc]
    finally:
        lab.must("heal", W11)
    assert has_carrier(lab, W11)
    assert eventually(lambda: answers(lab, ADDRESSES[W11]))


def test_healing_one_kind_leaves_the_other(lab: LabUnderTest) -> None:
    lab.must("fault", W11, "flap")
    lab.must("fault", W11, "power")
    try:
        lab.must("heal", W11, "flap")
        assert faults(lab, W11) == ["power"]
        assert not has_carrier(lab, W11)
    finally:
        assert "power healed" in lab.must("heal", W11)
    assert has_carrier(lab, W11)


def test_a_cordoned_node_takes_no_pods_until_healed(lab: LabUnderTest) -> None:
    lab.must("fault", W12, "cordon")
    (node,) = [one for one in lab.hosts.get("nodes")["items"] if W12 in one["metadata"]["name"]]
    assert node["spec"]["unschedulable"]
    assert "cordon healed" in lab.must("heal", W12)
    (node,) = [one for one in lab.hosts.get("nodes")["items"] if W12 in one["metadata"]["name"]]
    assert not node["spec"].get("unschedulable")


def test_a_fault_that_can_not_be_is_one_sentence(lab: LabUnderTest) -> None:
    assert "takes no other" in lab.run("fault", W11, "power", W12).stderr
    assert "doesn't gossip with itself" in lab.run("fault", W11, "deaf", W11).stderr
    assert "one wall clock for all nodes" in lab.run("fault", W11, "clock").stderr
    assert faults(lab, W11) == []


# --- the gossip's port ---


class Ears:
    """What each node hears at the gossip's port."""

    def __init__(self, lab: LabUnderTest) -> None:
        self._lab = lab
        self._heard: dict[str, list[str]] = {node: [] for node in ADDRESSES}
        self._programs = {node: lab.hosts.spawn(node, "tests.system.datagrams", "listen") for node in ADDRESSES}
        self._said = 0
        self.connected: set[tuple[str, str]] = set()
        """Whose connections came about, the last time that all spoke to all."""
        for node, program in self._programs.items():
            threading.Thread(target=self._read, args=(node, program), daemon=True).start()
        assert eventually(lambda: all(lines == ["ready"] for lines in self._heard.values()))

    def _read(self, node: str, program: subprocess.Popen[str]) -> None:
        assert program.stdout is not None
        for line in program.stdout:
            self._heard[node].append(line.strip())

    def close(self) -> None:
        for program in self._programs.values():
            program.kill()
            program.wait()

    def unheard(self) -> set[tuple[str, str]]:
        """Let everybody speak to everybody; who wasn't heard by whom."""
        begin, number = self._next()
        self._say((one, other, f"{one} {number}") for one, other in permutations(ADDRESSES, 2))
        self.catch_up()
        said = {node: lines[begin[node] :] for node, lines in self._heard.items()}
        pairs = set(permutations(ADDRESSES, 2))
        self.connected = {(one, other) for one, other in pairs if f"{ADDRESSES[one]} tcp" in said[other]}
        return {(one, other) for one, other in pairs if f"{ADDRESSES[one]} {one} {number}" not in said[other]}

    def catch_up(self) -> None:
        """Until all is read that has reached a node: what it says to itself by no wire comes last."""
        begin, number = self._next()
        self._say((node, node, f"self {number}") for node in ADDRESSES)

        def has_all(node: str) -> bool:
            wanted = {f"{ADDRESSES[node]} self {number}", f"{ADDRESSES[node]} tcp"}
            return wanted <= {*self._heard[node][begin[node] :]}

        assert eventually(lambda: all(has_all(node) for node in ADDRESSES), seconds=30, every=0.02), self._heard

    def _next(self) -> tuple[dict[str, int], int]:
        """How much each node heard up to now, and a number that nobody said yet."""
        self._said += 1
        return {node: len(lines) for node, lines in self._heard.items()}, self._said

    def _say(self, words: Iterable[tuple[str, str, str]]) -> None:
        """From whom to whom what; wait until it's said."""
        mouths = [
            self._lab.hosts.spawn(one, "tests.system.datagrams", "say", ADDRESSES[one], ADDRESSES[other], text)
            for one, other, text in words
        ]
        for mouth in mouths:
            mouth.communicate()

    def count(self, node: str, line: str) -> int:
        """How often a node heard exactly this."""
        return self._heard[node].count(line)

    def lines(self, node: str) -> int:
        """How much a node heard."""
        return len(self._heard[node])


@pytest.fixture(scope="module")
def ears(lab: LabUnderTest) -> Iterator[Ears]:
    ears = Ears(lab)
    yield ears
    ears.close()


def test_a_deaf_node_hears_nobody_and_is_heard(lab: LabUnderTest, ears: Ears) -> None:
    assert ears.unheard() == set()
    assert ears.connected == set(permutations(ADDRESSES, 2))
    lab.must("fault", W11, "deaf")
    try:
        assert ears.unheard() == {(MASTER, W11), (W12, W11)}
        assert ears.connected == {(MASTER, W12), (W12, MASTER)}, "a connection takes both ways"
        assert answers(lab, ADDRESSES[W11]), "all but the gossip passes"
    finally:
        lab.must("heal", W11)
    assert ears.unheard() == set()


def test_a_mute_node_hears_all_and_one_of_them_does_not_hear_it(lab: LabUnderTest, ears: Ears) -> None:
    lab.must("fault", W11, "mute", W12)
    try:
        assert ears.unheard() == {(W11, W12)}
        lab.must("fault", W11, "mute")
        assert ears.unheard() == {(W11, W12), (W11, MASTER)}
    finally:
        lab.must("heal", W11)
    assert ears.unheard() == set()


def test_the_port_can_be_closed_between_all(lab: LabUnderTest, ears: Ears) -> None:
    told = lab.must("fault", "all", "deaf")
    try:
        assert len(told.splitlines()) == 3
        assert ears.unheard() == set(permutations(ADDRESSES, 2))
    finally:
        assert lab.must("heal", "all").count("deaf healed") == 3
    assert ears.unheard() == set()


# --- strangers on the wire ---

STRANGER = "52:54:00:66:66:66"


def mac_of(lab: LabUnderTest, address: str) -> str:
    """Where the client's kernel thinks that an address is."""
    found = json.loads(lab.hosts.output("client", "ip", "-json", "neigh", "show", address))
    return next((one["lladdr"] for one in found if "lladdr" in one), "")


@pytest.mark.parametrize("address", ["10.31.188.70", "fd00:10:31::188:70"])
def test_a_stranger_answers_for_an_address_until_it_is_taken_off_the_wire(lab: LabUnderTest, address: str) -> None:
    assert not answers(lab, address)
    lab.must("fault", "wire", "answer", address)
    try:
        assert eventually(lambda: answers(lab, address))
        assert mac_of(lab, address) == STRANGER
        assert f"faults of the wire: answer {address}" in lab.must("status")
    finally:
        assert f"answer {address} healed" in lab.must("heal", "wire")
    assert not answers(lab, address)


@pytest.mark.parametrize("address", ["10.31.188.11", "fd00:10:31::188:11"])
def test_an_arp_flood_claims_an_address_with_ever_other_macs(lab: LabUnderTest, address: str) -> None:
    assert eventually(lambda: answers(lab, address))
    lab.must("fault", "wire", "arp-flood", address)
    try:
        seen: set[str] = set()

        def is_flooded() -> bool:
            seen.add(mac_of(lab, address))
            return len({mac for mac in seen if mac.startswith("02:")}) >= 2

        assert eventually(is_flooded)
    finally:
        lab.must("heal", "wire")
    lab.hosts.output("client", "ip", "neigh", "flush", "all")
    assert answers(lab, address)


def test_a_gossip_flood_reaches_every_node(lab: LabUnderTest, ears: Ears) -> None:
    before = {node: ears.lines(node) for node in ADDRESSES}
    lab.must("fault", "wire", "gossip-flood")
    try:
        for node in ADDRESSES:
            assert eventually(lambda node=node: ears.lines(node) > before[node] + 100)  # type: ignore[misc]
    finally:
        assert "gossip-flood healed" in lab.must("heal", "wire")


def test_recorded_gossip_comes_again_from_a_host_that_never_had_the_senders_address(
    lab: LabUnderTest, ears: Ears
) -> None:
    assert "nothing is recorded" in lab.run("fault", "wire", "replay").stderr
    said = ("tests.system.datagrams", "say", ADDRESSES[W11], ADDRESSES[W12], "leave me alone")
    with ThreadPoolExecutor() as pool:
        recording = pool.submit(lab.must, "fault", "wire", "record", W12)
        while not recording.done():
            lab.hosts.spawn(W11, *said).wait()
    line = f"{ADDRESSES[W11]} leave me alone"
    ears.catch_up()
    heard = ears.count(W12, line)

    try:
        told = lab.must("fault", "wire", "replay")
        count = int(told.split(" sent ")[1].split()[0])
        assert 0 < count <= heard
        assert eventually(lambda: ears.count(W12, line) == heard + count)
    finally:
        lab.must("heal", "wire")


def test_a_stranger_needs_an_address_of_the_wire(lab: LabUnderTest) -> None:
    assert "answer needs an address" in lab.run("fault", "wire", "answer").stderr
    assert "is on no subnet of this lab" in lab.run("fault", "wire", "answer", "192.0.2.1").stderr
    assert "no fault 'dance' of the wire; there are: answer" in lab.run("fault", "wire", "dance").stderr
