"""Many cores in virtual time on a network that loses, delays, doubles, reorders and parts: shipped for anybody's tests.

Owns the event queue; machines are machine.py's, the network between them network.py's.  The same seed and calls give
the same run, packet by packet.  Cores are the real ones, and so are the bytes; only sockets and clocks are played here.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from memberlist.config import Config
from memberlist.core import Core
from memberlist.crypto import Keyring
from memberlist.events import Event
from memberlist.machine import SimulatedNode
from memberlist.messages import Endpoint, NodeState, State
from memberlist.network import Link, Network
from memberlist.outbox import Dial, SendPacket

__all__ = ["Link", "Observation", "SimulatedNode", "Simulation"]

PORT = 7946


@dataclass(frozen=True, slots=True)
class Observation:
    """What one node told its application, and when."""

    time: float
    node: str
    event: Event


class Simulation:
    """A network and its nodes.  Time passes only in `run` and `run_until`."""

    def __init__(self, seed: int, *, config: Config, link: Link | None = None, keyring: Keyring | None = None) -> None:
        self.now = 0.0
        self.nodes: dict[str, SimulatedNode] = {}
        self.observations: list[Observation] = []
        self.keeps_observations = True
        self._config = config
        self._keyring = keyring
        self._rng = random.Random(seed)
        self._network = Network(link or Link(), self._rng)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._by_endpoint: dict[Endpoint, SimulatedNode] = {}
        self._numbers = itertools.count(1)

    # --- the population ---

    def add(self, name: str, *, join: str | None = None, config: Config | None = None, meta: bytes = b"") -> Core:
        """A new machine with a member; it joins the named one."""
        address = ipaddress.IPv4Address(int(ipaddress.IPv4Address("10.0.0.0")) + next(self._numbers))
        return self._boot(name, Endpoint(address, PORT), join, config or self._config, meta)

    def populate(self, count: int) -> list[str]:
        """`count` machines that know each other already, called n0, n1, ...; their names."""
        names = [f"n{index}" for index in range(count)]
        for name in names:
            self.add(name)
        states = tuple(
            NodeState(name, node.core.endpoint.address.packed, PORT, b"", 1, State.ALIVE, self._config.versions)
            for name, node in self.nodes.items()
        )
        for node in self.nodes.values():
            node.core.restore(self.now, states)
            node.core.outputs()
        return names

    def restart(self, name: str, *, join: str) -> Core:
        """The same name and address come back with an empty memory."""
        old = self.nodes[name]
        return self._boot(name, old.core.endpoint, join, self._config, b"")

    def revive(self, name: str, *, meta: bytes = b"") -> Core:
        """The same name and address come back with an empty memory, and join nobody."""
        return self._boot(name, self.nodes[name].core.endpoint, None, self._config, meta)

    def join(self, name: str, peer: str) -> None:
        """A push/pull with another node, as an operator would order it."""
        node = self.nodes[name]
        node.core.push_pull(node.time(self.now), self.nodes[peer].core.endpoint, join=True)
        self._carry_out(node)

    def leave(self, name: str) -> None:
        node = self.nodes[name]
        node.core.leave(node.time(self.now))
        self._carry_out(node)

    def update_meta(self, name: str, meta: bytes) -> None:
        """The node's application says something else of itself."""
        node = self.nodes[name]
        node.core.update_meta(node.time(self.now), meta)
        self._carry_out(node)

    def send_best_effort(self, name: str, to: str, payload: bytes) -> None:
        """The node's application sends one packet.  Raises UnknownMember."""
        node = self.nodes[name]
        node.core.send_best_effort(to, payload)
        self._carry_out(node)

    # --- faults ---

    def crash(self, name: str) -> None:
        """The machine is gone, without a word."""
        self.nodes[name].alive = False

    def unplug(self, name: str) -> None:
        """The machine runs on but hears nobody, nor is heard."""
        self._network.unplug(name)

    def plug_in(self, name: str) -> None:
        self._network.plug_in(name)

    def is_plugged_in(self, name: str) -> bool:
        """Whether the machine's cable isn't out."""
        return self._network.is_plugged_in(name)

    def part(self, some: Iterable[str], others: Iterable[str], *, one_way: bool = False) -> None:
        """Packets from `some` to `others` are lost, and back too unless `one_way`."""
        self._network.part(some, others, one_way=one_way)

    def heal(self) -> None:
        """All parts are one network again; what is unplugged stays so."""
        self._network.heal()

    def stall(self, name: str, seconds: float) -> None:
        """The process isn't scheduled for so long; its packets wait in the kernel."""
        node = self.nodes[name]
        node.stalled = True
        self._after(seconds, lambda: self._wake(node))

    def step_clock(self, name: str, seconds: float) -> None:
        """The machine's clock jumps, as after a suspended virtual machine; negative: backwards."""
        node = self.nodes[name]
        node.clock_offset += seconds
        self._carry_out(node)

    # --- time ---

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        while self.step(until):
            pass

    def step(self, until: float) -> bool:
        """Do the next thing that is to happen up to this moment; false if there is none, and then it is this moment.

        So whoever plays the applications can take what was observed before anything else happens.
        """
        if not self._queue or self._queue[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now, _, action = heapq.heappop(self._queue)
        action()
        return True

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something of one's own happen among the rest."""
        self._after(seconds, action)

    def run_until(self, holds: Callable[[], bool], within: float, step: float = 0.01) -> float | None:
        """Seconds until `holds` (looked at every `step`), or None if it didn't within the limit."""
        start = self.now
        while not holds():
            if self.now - start >= within:
                return None
            self.run(step)
        return self.now - start

    # --- what is seen ---

    def view(self, name: str) -> dict[str, State]:
        """What a node believes of each member it knows."""
        return {member.name: member.state for member in self.nodes[name].core.members().values()}

    def living(self) -> list[SimulatedNode]:
        return [node for node in self.nodes.values() if node.alive]

    def seen(self, kind: type[Event]) -> list[Observation]:
        return [seen for seen in self.observations if isinstance(seen.event, kind)]

    def all_see(self, name: str, *states: State) -> bool:
        """Whether every other living node believes `name` to be in one of these states."""
        for node in self.living():
            if node.name != name:
                record = node.core.table.get(name)
                if record is None or record.state not in states:
                    return False
        return True

    def connects(self, one: str, other: str) -> bool:
        """Whether packets get from one machine to the other."""
        return self._network.connects(one, other)

    def is_one_view(self) -> bool:
        """Whether every living node believes exactly the living ones to be alive."""
        living = {node.name for node in self.living()}
        return all(
            {record.name for record in node.core.table if record.state is State.ALIVE} == living
            for node in self.living()
        )

    # --- inner ---

    def _boot(self, name: str, where: Endpoint, join: str | None, config: Config, meta: bytes) -> Core:
        core = Core(
            name,
            where.address,
            where.port,
            config=config,
            rng=random.Random(self._rng.getrandbits(64)),
            keyring=self._keyring,
            meta=meta,
        )
        node = self.nodes[name] = SimulatedNode(name, core)
        self._by_endpoint[where] = node
        core.start(self.now)
        self._carry_out(node)
        if join is not None:
            self.join(name, join)
        return core

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + max(0.0, seconds), next(self._order), action))

    def _carry_out(self, node: SimulatedNode) -> None:
        for output in node.core.outputs():
            match output:
                case SendPacket():
                    self._send(node, output)
                case Dial():
                    self._dial(node, output)
                case event:
                    if self.keeps_observations:
                        self.observations.append(Observation(self.now, node.name, event))
        due = node.due()
        if due < node.tick_at:
            node.tick_at = due
            self._after(due - self.now, lambda: self._tick(node, due))

    def _tick(self, node: SimulatedNode, due: float) -> None:
        if due != node.tick_at:  # an earlier one was queued meanwhile
            return
        node.tick_at = float("inf")
        if node.stalled or not self._is_current(node):
            return
        node.tick(self.now)
        self._carry_out(node)

    def _wake(self, node: SimulatedNode) -> None:
        node.stalled = False
        if not self._is_current(node):
            return
        node.wake(self.now)
        self._carry_out(node)

    def _is_current(self, node: SimulatedNode) -> bool:
        return node.alive and self.nodes.get(node.name) is node

    # --- packets ---

    def _send(self, node: SimulatedNode, packet: SendPacket) -> None:
        node.packets_sent += 1
        node.bytes_sent += len(packet.data)
        target = self._by_endpoint.get(packet.to)
        if target is None or not self._network.connects(node.name, target.name):
            return
        for delay in self._network.arrivals():
            self._after(delay + target.slowness, self._delivery(target, packet.data, node.core.endpoint))

    def _delivery(self, target: SimulatedNode, data: bytes, source: Endpoint) -> Callable[[], None]:
        def deliver() -> None:
            if self._is_current(target) and target.receive(self.now, data, source):
                self._carry_out(target)

        return deliver

    # --- streams ---

    def _dial(self, node: SimulatedNode, dial: Dial) -> None:
        target = self._by_endpoint.get(dial.to)
        deadline = dial.deadline - node.clock_offset
        node.bytes_sent += len(dial.data)

        def fail() -> None:
            if self._is_current(node):
                node.core.dial_failed(node.time(self.now), dial.id)
                self._carry_out(node)

        there = self._network.stream_delay()
        if target is None or not self._both_ways(node, target) or self.now + there > deadline:
            self._after(deadline - self.now, fail)
            return

        def accept() -> None:  # the kernel does it, even if the process is stopped
            if self._is_current(target) and self._is_current(node) and self._both_ways(node, target):
                node.core.dial_accepted(dial.id)

        self._after(there * 2 / 3, accept)

        def serve() -> None:
            if not self._is_current(target) or target.stalled or not self._both_ways(node, target):
                self._after(deadline - self.now, fail)
                return
            request = target.core.request_decoder().feed(dial.data)
            assert request is not None
            reply = target.core.receive_request(target.time(self.now), request, node.core.endpoint)
            target.bytes_sent += len(reply or b"")
            self._carry_out(target)
            back = self._network.stream_delay()
            if reply is None or self.now + back > deadline:
                self._after(deadline - self.now if dial.replies else 0.0, fail)
                return
            self._after(back, lambda: answer(reply))

        def answer(reply: bytes) -> None:
            if node.stalled or not self._both_ways(node, target):
                self._after(deadline - self.now, fail)
            elif self._is_current(node):
                message = node.core.reply_decoder().feed(reply)
                assert message is not None
                node.core.dial_answered(node.time(self.now), dial.id, message, dial.to)
                self._carry_out(node)

        self._after(there, serve)

    def _both_ways(self, one: SimulatedNode, other: SimulatedNode) -> bool:
        return self._network.connects_both_ways(one.name, other.name)
