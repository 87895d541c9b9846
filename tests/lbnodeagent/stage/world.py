"""The stage: nodes with kernels and agents, the wire between them, the API that tells them, in virtual time.

The gossip is memberlist's own simulation; its seed and the history's make a run what it is. At each moment the world
looks whether a law is broken that holds always; ``laws_at_rest`` says which of those are that hold once all is quiet.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network

from lbnodeagent.gossip.meta import Meta
from lbnodeagent.messages import Begun, Configured, NodeExcluded, PeersKnown, Synced, Told, VipChanged
from lbnodeagent.tables import Mac, WantedVip
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Probe
from memberlist.config import Config
from memberlist.errors import UnknownMember
from memberlist.messages import State
from memberlist.network import Link
from memberlist.simulation import Simulation
from purelb.addresses import IPAddress
from purelb.election import owner
from purelb.nodeagents import NodeAgentConfig
from purelb.services import ServiceKey
from tests.lbnodeagent.stage.agent import Agent
from tests.lbnodeagent.stage.kernel import NIC, FakeKernel

GOSSIP = Config(
    probe_interval=0.5,
    probe_timeout=0.15,
    suspicion_mult=2,
    suspicion_max_timeout_mult=2,
    gossip_interval=0.1,
    push_pull_interval=5.0,
    retransmit_mult=6,
    knock_interval=1.0,
    late_after=0.2,
    tcp_timeout=1.0,
)
"""The fast profile, six times slower: a history costs as much less."""
LOOK = 1.0
"""Seconds between two looks of an agent for peers that it should join."""
WIRE = ip_network("10.31.0.0/16")
WIRE6 = ip_network("fd00:10:31::/64")
REST = 32.0
"""Seconds until all is quiet: an address that nobody renews lives 20, a hand-over 3, a refused action waits 10."""


@dataclass(slots=True)
class Node:
    """A machine, with or without power and an agent."""

    name: str
    mac: Mac
    kernel: FakeKernel
    agent: Agent | None = None
    is_powered: bool = True
    is_stopping: bool = False
    kernel_tick_at: float = float("inf")


@dataclass(slots=True)
class World:
    """``size`` nodes at rest, after ``begin``; what follows has its chances from ``seed``."""

    seed: int
    size: int
    loss: float = 0.0
    nodes: dict[str, Node] = field(default_factory=dict)
    wanted: dict[IPAddress, WantedVip] = field(default_factory=dict)
    known: dict[IPAddress, WantedVip] = field(default_factory=dict)
    """What of it the API has told."""
    excluded: set[str] = field(default_factory=set)
    known_excluded: set[str] = field(default_factory=set)
    """Likewise."""
    is_api_there: bool = True
    strangers: dict[IPAddress, Mac] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    guarded: set[IPAddress] = field(default_factory=set)
    """VIPs that somebody must have at each moment from now on."""
    overheard: list[tuple[str, bytes]] = field(default_factory=list)
    """To whom agents wrote what, as somebody on the wire can record it."""
    simulation: Simulation = field(init=False)
    _chance: random.Random = field(init=False)
    _heard: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        link = Link(loss=self.loss, duplicate=self.loss / 2, reorder=self.loss)
        self.simulation = Simulation(self.seed, config=GOSSIP, link=link)
        for number in range(1, self.size + 1):
            name, mac = f"n{number}", Mac(bytes((0x52, 0x54, 0, 0, 0, number)))
            self.nodes[name] = Node(name, mac, self._kernel(number, mac))

    def _kernel(self, number: int, mac: Mac) -> FakeKernel:
        own = (ip_interface(f"10.31.188.{number}/16"), ip_interface(f"fd00:10:31::{number}/64"))
        kernel = FakeKernel(mac, own, lambda vip: self._is_elsewhere(f"n{number}", vip))
        kernel.boot()
        if self._chance.random() < 0.5:
            kernel.promotes.add(NIC)  # as systemd sets it
        return kernel

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.simulation.now

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
            agent = self.nodes[observation.node].agent
            if agent is not None:
                agent.gossip(observation.event)
        for node in self.nodes.values():
            if node.kernel.has_news:
                news = node.kernel.take_news()
                if node.agent is not None:
                    node.agent.notified(news)
                self._schedule(node)
                self._look_at_laws(node)

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

    def _look_at_laws(self, node: Node) -> None:
        self.broken += (f"{self.now:.3f} {node.name}: {one}" for one in node.kernel.violations)
        node.kernel.violations.clear()
        for vip in self.guarded:
            if not self.holders(vip):
                self.broken.append(f"{self.now:.3f}: nobody has {vip}")
                self.guarded = self.guarded - {vip}

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
        agent = Agent(name, node.kernel, self.simulation, self, self._chance)
        meta = agent.correspondence.meta(Meta())
        if name in self.simulation.nodes:
            self.simulation.revive(name, meta=meta)
        else:
            self.simulation.add(name, meta=meta)
        node.is_stopping = False
        node.agent = agent
        agent.begin()
        self._join(agent)
        self._tell_all(agent)

    def kill_agent(self, name: str) -> None:
        """Its process is gone; the kernel stays as it is."""
        node = self.nodes[name]
        if node.agent is not None:
            node.agent.end()
            node.agent = None
            self.simulation.crash(name)

    def stop_agent(self, name: str) -> None:
        """SIGTERM: it leaves, and goes when it has, or after 4 s."""
        agent = self.nodes[name].agent
        if agent is None:
            return
        agent.leave()
        self.nodes[name].is_stopping = True
        deadline = self.now + 4.0

        def look() -> None:
            if self.nodes[name].agent is not agent:
                return
            if agent.core.has_left or self.now >= deadline:
                self.simulation.leave(name)
                self.simulation.after(0.3, lambda: self.kill_agent(name) if self._is_agent(name, agent) else None)
            else:
                self.simulation.after(0.02, look)

        self.simulation.after(0.02, look)

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
        self.simulation.after(LOOK * self._chance.uniform(0.8, 1.2), lambda: self._join(agent))

    # --- the API -----------------------------------------------------------------------------------------------------

    def want(self, *vips: IPAddress) -> None:
        """Services get these."""
        for vip in vips:
            self.wanted[vip] = WantedVip(vip, (ServiceKey("default", str(vip)),), 24 if vip.version == 4 else 64)
        self._tell(VipChanged(vip, self.wanted[vip]) for vip in vips)

    def unwant(self, vip: IPAddress) -> None:
        """Its Service is deleted."""
        self.wanted.pop(vip, None)
        self._tell([VipChanged(vip, None)])

    def exclude(self, name: str, *, is_excluded: bool) -> None:
        """A node is labelled, or no longer."""
        (self.excluded.add if is_excluded else self.excluded.discard)(name)
        if self.is_api_there:
            self.known_excluded = set(self.excluded)
        agent = self.nodes[name].agent
        if agent is not None and self.is_api_there:
            self._tell_one(agent, [NodeExcluded(is_excluded)])

    def silence_api(self) -> None:
        self.is_api_there = False

    def restore_api(self) -> None:
        """It is there again: all is listed anew."""
        self.is_api_there = True
        self.known, self.known_excluded = dict(self.wanted), set(self.excluded)
        for node in self.nodes.values():
            if node.agent is not None:
                self._tell_all(node.agent)

    def _tell(self, told: Iterable[Told]) -> None:
        told = list(told)
        if self.is_api_there:
            self.known, self.known_excluded = dict(self.wanted), set(self.excluded)
        for node in self.nodes.values():
            if node.agent is not None and self.is_api_there:
                self._tell_one(node.agent, told)

    def _tell_one(self, agent: Agent, told: list[Told]) -> None:
        self.simulation.after(self._chance.uniform(0.005, 0.03), lambda: agent.told(told))

    def _tell_all(self, agent: Agent) -> None:
        """A control plane begins: as long as the API is there, it tells everything."""
        if not self.is_api_there:
            return

        def tell() -> None:
            if not self.is_api_there or agent.is_over:
                return
            peers = frozenset(name for name in self.nodes if name != agent.name)
            vips = [VipChanged(vip, wanted) for vip, wanted in self.wanted.items()]
            excluded = NodeExcluded(agent.name in self.excluded)
            agent.told([Begun(), Configured(NodeAgentConfig()), PeersKnown(peers), *vips, excluded, Synced()])
            agent.is_synced = True

        self.simulation.after(self._chance.uniform(0.03, 0.2), tell)

    # --- machines ----------------------------------------------------------------------------------------------------

    def cut_power(self, name: str) -> None:
        """The machine is off, and what its kernel had is gone."""
        self.kill_agent(name)
        node = self.nodes[name]
        node.is_powered = False
        node.kernel = self._kernel(int(name[1:]), node.mac)
        node.kernel_tick_at = float("inf")
        node.kernel.set_link(NIC, has_carrier=False)

    def restore_power(self, name: str) -> None:
        """It boots, and its agent starts."""
        node = self.nodes[name]
        if not node.is_powered:
            node.is_powered = True
            node.kernel.set_link(NIC, has_carrier=True)
            self.start_agent(name)

    def unplug(self, name: str) -> None:
        """Its cable is cut."""
        if self.nodes[name].is_powered:
            self.nodes[name].kernel.set_link(NIC, has_carrier=False)
            self.simulation.unplug(name)

    def plug_in(self, name: str) -> None:
        self.simulation.plug_in(name)
        if self.nodes[name].is_powered:
            self.nodes[name].kernel.set_link(NIC, has_carrier=True)

    # --- the wire ----------------------------------------------------------------------------------------------------

    def announce(self, sender: str, announce: Announce) -> None:
        for name, node in self.nodes.items():
            if name != sender and self._hears(sender, name):
                self._deliver(node, announce.vip, announce.mac)

    def probe(self, sender: str, probe: Probe) -> None:
        asking = self.nodes[sender]
        for name, node in self.nodes.items():
            if name != sender and self._hears(sender, name) and node.kernel.has(probe.vip):
                self._deliver(asking, probe.vip, node.mac)
        if probe.vip in self.strangers and asking.kernel.links[NIC].has_carrier:
            self._deliver(asking, probe.vip, self.strangers[probe.vip])

    def overhear(self, to: str, payload: bytes) -> None:
        self.overheard.append((to, payload))

    def replay(self, by: str) -> None:
        """All that agents ever wrote to each other is sent again; a host without the key can do that."""
        for to, payload in self.overheard:
            with contextlib.suppress(UnknownMember):
                self.simulation.send_best_effort(by, to, payload)

    def claim(self, vip: IPAddress, mac: Mac) -> None:
        """A stranger announces an address."""
        self.strangers[vip] = mac
        for node in self.nodes.values():
            self._deliver(node, vip, mac)

    def _deliver(self, node: Node, vip: IPAddress, mac: Mac) -> None:
        agent = node.agent
        if agent is not None:
            self.simulation.after(self._chance.uniform(0.0001, 0.002), lambda: agent.claim(vip, mac))

    def _hears(self, one: str, other: str) -> bool:
        cables = all(
            self.nodes[name].is_powered
            and self.nodes[name].kernel.links[NIC].has_carrier
            and self.nodes[name].kernel.links[NIC].is_up
            for name in (one, other)
        )
        return cables and self.simulation.connects(one, other)

    def _is_elsewhere(self, name: str, vip: IPAddress) -> bool:
        return vip in self.strangers or any(
            other != name and self._hears(name, other) and node.kernel.has(vip) for other, node in self.nodes.items()
        )

    # --- what is seen ------------------------------------------------------------------------------------------------

    def holders(self, vip: IPAddress) -> set[str]:
        """The nodes that answer for a VIP."""
        return {name for name, node in self.nodes.items() if node.is_powered and node.kernel.has(vip)}

    def laws_at_rest(self) -> list[str]:
        """Which laws are broken now that all has been quiet for REST."""
        broken = list(self.broken)
        broken += (f"{node.name}: {one}" for node in self.nodes.values() for one in node.kernel.violations)
        for vip in self.known:
            broken += self._placement(vip) if vip in WIRE or vip in WIRE6 else self._routed(vip)
        for node in self.nodes.values():
            for there in node.kernel.addresses.values():
                if there.is_ours and there.address not in self.known and self._is_told(node):
                    broken.append(f"{node.name} has {there.address}, which nobody wants")
        return broken

    def _placement(self, vip: IPAddress) -> list[str]:
        broken, holders = [], self.holders(vip)
        for part in self._partitions():
            eligible = self._eligible(part, vip)
            if not eligible:
                continue
            right = owner(eligible, vip)
            if holders & part != {right}:
                broken.append(f"{vip} is on {sorted(holders & part)}, not on {right} alone, of {sorted(part)}")
        return broken

    def _routed(self, vip: IPAddress) -> list[str]:
        return [
            f"{vip} is {'not ' if name not in self.excluded else ''}on the dummy interface of {name}"
            for name, node in self.nodes.items()
            if self._is_told(node) and node.kernel.has_routed(vip) == (name in self.known_excluded)
        ]

    def _is_told(self, node: Node) -> bool:
        return node.is_powered and node.agent is not None and node.agent.is_synced and self.is_api_there

    def _partitions(self) -> list[set[str]]:
        """The nodes by whom they reach."""
        parts: list[set[str]] = []
        for name in self.nodes:
            part = next((part for part in parts if all(self.simulation.connects(name, other) for other in part)), None)
            if part is None:
                parts.append({name})
            else:
                part.add(name)
        return parts

    def _eligible(self, part: set[str], vip: IPAddress) -> set[str]:
        """Who may have a VIP: excluded nodes only if there are no others."""
        able = {
            name
            for name in part
            if (node := self.nodes[name]).is_powered
            and node.agent is not None
            and node.agent.is_synced
            and node.kernel.links[NIC].is_up
            and node.kernel.links[NIC].has_carrier
            and node.kernel.has_own(vip.version)
        }
        return able - self.known_excluded or able


def vips(count: int) -> list[IPAddress]:
    """Of both families on the wire, and routed ones of one aggregate."""
    kinds: list[Callable[[int], str]] = [
        lambda number: f"10.31.188.{64 + number}",
        lambda number: f"fd00:10:31::1:{64 + number}",
        lambda number: f"10.189.0.{number}",
        lambda number: f"10.189.0.{number}",
    ]
    return [ip_address(kinds[number % len(kinds)](number)) for number in range(count)]
