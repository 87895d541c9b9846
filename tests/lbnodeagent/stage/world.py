"""The stage: nodes with kernels and agents, the wires between them, the API that tells them, in virtual time.

The gossip is memberlist's own simulation; its seed and the history's make a run what it is. It owns time, and the life
of machines and agents; what must hold is laws.py's.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Sequence

from lbnodeagent.election.negotiation import Send
from lbnodeagent.gate.looks import Look, Looked
from lbnodeagent.tables import FOREVER, Action
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Probe
from memberlist.config import Config
from memberlist.errors import UnknownMember
from memberlist.messages import State
from memberlist.network import Link
from memberlist.simulation import Simulation
from purelb.addresses import IPAddress
from purelb.names import DEFAULT_INTERFACE
from tests.lbnodeagent.stage.agent import Agent
from tests.lbnodeagent.stage.api import KINDS, Api, Kind
from tests.lbnodeagent.stage.kernel import FakeKernel
from tests.lbnodeagent.stage.laws import Laws
from tests.lbnodeagent.stage.machine import Node
from tests.lbnodeagent.stage.netlink import Seam
from tests.lbnodeagent.stage.topology import ETH0, Topology, topology
from tests.lbnodeagent.stage.wire import Wire

GOSSIP = Config(
    probe_interval=1.0,
    probe_length=0.56,
    probe_timeout=0.25,
    watch_turns=2,
    suspicion_mult=2,
    suspicion_interval=0.375,
    suspicion_max_timeout_mult=5,
    gossip_interval=0.2,
    push_pull_interval=10.0,
    retransmit_mult=6,
    knock_interval=2.0,
    late_after=0.25,
    tcp_timeout=1.0,
)
"""The fast profile, twelve times slower: a history costs as much less."""
LOOK = 1.0
"""Seconds between two looks of an agent for peers that it should join."""
PEEP = 2.0
"""Seconds between two looks of an agent at its node's data path."""
LISTEN = 3.0
"""Seconds between two looks of an agent whether any peer answers."""
HEARD: tuple[float, float] = (0.005, 0.03)
"""Seconds until agents hear of an object that changed."""
GOSSIPS: tuple[float, float] = (0.0, 0.3)
"""Seconds until an agent that starts has the gossip's key and port: the API server may have said all else before."""
JOINED: tuple[float, float] = (0.0, 1.5)
"""Seconds until an agent that starts has found its first peers."""
WITHIN = 12
"""Seconds within which an agent that is replaced says to be back."""
TOLD = 1.5
"""Seconds until all have heard that."""
LISTED: tuple[float, float] = (0.03, 0.2)
"""Seconds until an agent that starts has a list."""


class World:
    """``size`` nodes at rest, after ``begin``; what follows has its chances from ``seed``."""

    def __init__(
        self, seed: int, size: int, loss: float = 0.0, *, is_planned: bool = False, of: Topology | None = None
    ) -> None:
        self.chance = random.Random(seed)
        link = Link(loss=loss, duplicate=loss / 2, reorder=loss)
        self.simulation = Simulation(seed, config=GOSSIP, link=link)
        self.topology = topology(self.chance, size) if of is None else of
        self.nodes = {name: self._machine(name) for name in self.topology.nics}
        self.api = Api(self._tell)
        local_interface = "eth0|^lan" if self.topology.has_second_nics else DEFAULT_INTERFACE
        self.api.install(tuple(self.nodes), local_interface=local_interface)
        self.hushed: set[tuple[str, str]] = set()
        """From whom to whom no gossip gets, though frames do."""
        self._parted: set[tuple[str, str]] = set()
        """Between whom nothing passes, neither gossip nor frames."""
        self.wire = Wire(self.nodes, self.connects, self.simulation.after, self.chance)
        kube_proxy = Look.ANSWERS if seed % 3 else Look.REFUSED  # where the CNI does its work
        self.proxies = dict.fromkeys(self.nodes, kube_proxy)
        self.lateness: dict[str, float] = {}
        """Seconds by which agents hear of the API later than others, where they do."""
        self.laws = Laws(self.nodes, self.api, self.wire, self.proxies, self.hushed, is_planned)
        self.overheard: list[tuple[str, bytes]] = []
        """To whom agents wrote what, as somebody on the wire can record it."""
        self._heard = 0

    def _machine(self, name: str) -> Node:
        has_marks = self.chance.random() < 0.6
        return Node(name, self._boot(name), Seam(has_marks))

    def _boot(self, name: str) -> FakeKernel:
        kernel = FakeKernel(self.topology.nics[name], lambda index, vip: self.wire.is_elsewhere(name, index, vip))
        kernel.boot()
        if self.chance.random() < 0.5:
            kernel.promotes.update(nic.index for nic in kernel.nics)  # as systemd sets it
        return kernel

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.simulation.now

    @property
    def last_expiry(self) -> float:
        """When the last address is gone that nobody renews, as its LBNodeAgent wants it; those without an end aside."""
        dead = (node for node in self.nodes.values() if node.agent is None)
        ends = (one.expires for node in dead for one in node.kernel.addresses.values() if one.expires != FOREVER)
        return max(ends, default=self.now)

    def run(self, seconds: float) -> None:
        """Let so much time pass, and look at the laws at each moment."""
        until = self.now + seconds
        while self.simulation.step(until):
            self._pass_on()
        self._pass_on()

    def _pass_on(self) -> None:
        """Have agents hear what was observed, and kernels notify."""
        seen = self.simulation.observations
        while self._heard < len(seen):
            observation = seen[self._heard]
            self._heard += 1
            observer = self.nodes.get(observation.node)  # none of ours: another program in the gossip
            if observer is not None and observer.agent is not None:
                observer.agent.gossip(observation.event)
        for node in self.nodes.values():
            if node.kernel.news:
                news = node.kernel.take_news()
                if node.agent is not None:
                    node.agent.netlink.notified(news)
                self._schedule(node)
                self.laws.look(node, self.now)

    def _schedule(self, node: Node) -> None:
        """Have the kernel's own time pass."""
        due = node.kernel.next_deadline()
        if due < node.kernel_tick_at:
            node.kernel_tick_at = due
            kernel = node.kernel
            self.simulation.after(due - self.now, lambda: self._kernel_tick(node, kernel, due))

    def _kernel_tick(self, node: Node, kernel: FakeKernel, due: float) -> None:
        if node.kernel is kernel and node.kernel_tick_at == due:
            node.kernel_tick_at = float("inf")
            kernel.tick(self.now)
            self._schedule(node)

    # --- agents ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """All agents start."""
        for name in self.nodes:
            self.start_agent(name)

    def start_agent(self, name: str) -> None:
        """An agent begins on a node that has none."""
        node = self.nodes[name]
        if node.agent is not None or not node.is_powered:
            return
        agent = Agent(name, node.kernel, node.seam, self.simulation, self, self.chance, GOSSIP.probe_interval)
        node.is_stopping = False
        node.agent = agent
        agent.begin(frozenset(other for other in self.nodes if other != name))
        self._look(agent)
        self.simulation.after(self.chance.uniform(*GOSSIPS), lambda: self._gossip(agent))
        if self.api.is_there:
            for kind in KINDS:
                agent.told(kind, self.api.told, self.chance.uniform(*LISTED))

    def _gossip(self, agent: Agent) -> None:
        """It takes part in the gossip from now on, learns where the others are, and connects."""
        if agent.is_over:
            return
        meta = agent.correspondence.meta(agent.said)
        if agent.name in self.simulation.nodes:
            self.simulation.revive(agent.name, meta=meta)
        else:
            self.simulation.add(agent.name, meta=meta)
        agent.gossip_starts()
        self._listen(agent)
        self.simulation.after(self.chance.uniform(*JOINED), lambda: self._join(agent))

    def _look(self, agent: Agent) -> None:
        """What gate/watch.py does, at one pace. What a frozen agent should have looked at it hasn't."""
        if agent.is_over:
            return
        if not agent.is_frozen:
            agent.looked(Looked(self.proxies[agent.name]))
        self.simulation.after(PEEP, lambda: self._look(agent))

    def _listen(self, agent: Agent) -> None:
        """What gossip/peers.py does, at another pace."""
        if agent.is_over:
            return
        if not agent.is_frozen:
            agent.listen()
        self.simulation.after(LISTEN, lambda: self._listen(agent))

    def kill_agent(self, name: str) -> None:
        """Its process is gone; the kernel stays as it is."""
        node = self.nodes[name]
        if node.agent is not None:
            node.agent.end()
            if node.agent.has_gossip:
                self.simulation.crash(name)
            node.agent = None

    def stop_agent(self, name: str) -> None:
        """SIGTERM: it leaves, and goes when it has, or after 4 s."""
        agent = self.nodes[name].agent
        if agent is None:
            return
        agent.leave()
        self.nodes[name].is_stopping = True
        self._end_when_left(name, agent, 0.0)

    def _end_when_left(self, name: str, agent: Agent, told: float) -> None:
        """``told``: seconds that what it said last takes to get around."""
        deadline = self.now + 4.0

        def end() -> None:
            if self._is_agent(name, agent):
                if agent.has_gossip:
                    self.simulation.leave(name)
                self.simulation.after(0.3, lambda: self.kill_agent(name) if self._is_agent(name, agent) else None)

        def look() -> None:
            if self.nodes[name].agent is not agent:
                return
            if agent.core.has_left or self.now >= deadline:
                self.simulation.after(told, end)
            else:
                self.simulation.after(0.02, look)

        self.simulation.after(0.02, look)

    def replace_agent(self, name: str, within: int = WITHIN) -> None:
        """SIGTERM, and another one is to come: it says so and ends, if peers leave its VIPs to it; else it leaves."""
        agent = self.nodes[name].agent
        if agent is None or self.nodes[name].is_stopping:
            return
        if not agent.core.may_pause:
            self.stop_agent(name)
            return
        agent.pause(within)
        self.nodes[name].is_stopping = True
        self._end_when_left(name, agent, TOLD)

    def start_again(self, name: str) -> None:
        """The next agent begins as soon as the one that stops is gone."""
        if self.nodes[name].agent is not None and self.nodes[name].is_stopping:
            self.simulation.after(0.1, lambda: self.start_again(name))
        else:
            self.start_agent(name)

    def _is_agent(self, name: str, agent: Agent) -> bool:
        return self.nodes[name].agent is agent

    def freeze_agent(self, name: str, seconds: float) -> None:
        """Its process isn't scheduled for so long."""
        agent = self.nodes[name].agent
        if agent is None or agent.is_frozen:
            return
        agent.freeze()
        if agent.has_gossip:
            self.simulation.stall(name, seconds)
        self.simulation.after(seconds, agent.thaw)

    def _join(self, agent: Agent) -> None:
        """What gossip/joining.py does, with other pauses."""
        if agent.is_over:
            return
        if not agent.is_frozen:
            members = self.simulation.nodes[agent.name].core.members().values()
            alive = {member.name for member in members if member.state in (State.ALIVE, State.SUSPECT)}
            absent = [name for name in self.simulation.nodes if name not in alive]
            for name in absent[:2]:
                self.simulation.join(agent.name, name)
        self.simulation.after(LOOK * self.chance.uniform(0.8, 1.2), lambda: self._join(agent))

    def _tell(self, kinds: tuple[Kind, ...]) -> None:
        """The API has news."""
        for node in self.nodes.values():
            if node.agent is not None:
                for kind in kinds:
                    late = self.chance.uniform(*HEARD) + self.lateness.get(node.name, 0.0)
                    node.agent.told(kind, self.api.told, late)

    # --- machines ----------------------------------------------------------------------------------------------------

    def cut_power(self, name: str) -> None:
        """The machine is off, and what its kernel had is gone, and /run with it."""
        self.kill_agent(name)
        node = self.nodes[name]
        node.is_powered = False
        before, node.kernel = node.kernel, self._boot(name)
        for nic in node.kernel.nics:
            node.kernel.set_link(nic.index, has_carrier=before.links[nic.index].has_carrier)
        node.kernel.take_news()
        node.seam.ledger = ""
        node.kernel_tick_at = float("inf")

    def restore_power(self, name: str) -> None:
        """It boots, and its agent starts."""
        node = self.nodes[name]
        if not node.is_powered:
            node.is_powered = True
            self.start_agent(name)

    def unplug(self, name: str) -> None:
        """The cable of its eth0 is cut."""
        if self.nodes[name].is_powered:
            self.nodes[name].kernel.set_link(ETH0, has_carrier=False)
            self.simulation.unplug(name)

    def plug_in(self, name: str) -> None:
        self.simulation.plug_in(name)
        self.nodes[name].kernel.set_link(ETH0, has_carrier=True)

    def connects(self, one: str, other: str) -> bool:
        """Whether frames get from one node to another."""
        if (one, other) in self.hushed:
            return self.simulation.is_plugged_in(one) and self.simulation.is_plugged_in(other)
        return self.simulation.connects(one, other)

    def hush(self, some: Iterable[str], others: Iterable[str]) -> None:
        """No gossip gets from ``some`` to ``others``."""
        some, others = list(some), list(others)
        self.simulation.part(some, others, one_way=True)
        self.hushed |= {(one, other) for one in some for other in others} - self._parted

    def part(self, some: Iterable[str], others: Iterable[str]) -> None:
        """Nothing gets from ``some`` to ``others``, nor back."""
        some, others = list(some), list(others)
        self.simulation.part(some, others)
        self._parted |= {pair for one in some for other in others for pair in ((one, other), (other, one))}
        self.hushed -= self._parted

    def heal(self) -> None:
        """All that was parted is one network again."""
        self.simulation.heal()
        self._parted.clear()
        self.hushed.clear()

    # --- what agents do ----------------------------------------------------------------------------------------------

    def announce(self, sender: str, announce: Announce) -> None:
        self.wire.announce(sender, announce)

    def probe(self, sender: str, probe: Probe) -> None:
        self.wire.probe(sender, probe)

    def sent(self, sender: str, send: Send) -> None:
        self.laws.sent(self.nodes[sender], send, self.now)

    def executed(self, node: str, actions: Sequence[Action]) -> None:
        self.laws.executed(self.nodes[node], actions, self.now)

    def overhear(self, to: str, payload: bytes) -> None:
        self.overheard.append((to, payload))

    def replay(self, by: str) -> None:
        """All that agents ever wrote to each other is sent again; a host without the key can do that."""
        for to, payload in self.overheard:
            with contextlib.suppress(UnknownMember):
                self.simulation.send_best_effort(by, to, payload)

    def holders(self, vip: IPAddress) -> set[str]:
        """The nodes that answer for a VIP, or route it."""
        return self.laws.holders(vip)
