"""What can happen to a cluster: how each fault begins, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_interface
from typing import Any, Final, Literal, TypeAlias, get_args

from lbnodeagent.gate.failures import Failure
from lbnodeagent.gate.looks import Look
from lbnodeagent.kubernetes.nodefeed import EXCLUDE_LABEL
from lbnodeagent.tables import Mac
from purelb import names
from purelb.addresses import IPAddress
from tests.lbnodeagent.stage.netlink import PROMPT
from tests.lbnodeagent.stage.topology import ETH0, segment_of
from tests.lbnodeagent.stage.world import World

OfAgents: TypeAlias = Literal["kill", "stop", "replace", "freeze", "replay"]
OfMachines: TypeAlias = Literal[
    "power",
    "unplug",
    "part",
    "flap",
    "flap the second NIC",
    "cut the second NIC",
    "kube-proxy",
    "deaf",
    "mute",
    "no gossip",
]
OfKernels: TypeAlias = Literal[
    "wipe VIPs",
    "wipe the node's own",
    "renew the node's own",
    "set down",
    "refuse",
    "notify late",
    "overrun",
    "set promote_secondaries back",
    "operator's address",
    "lookalike",
    "delete the dummy",
    "stranger",
    "flood of claims",
]
OfTheApi: TypeAlias = Literal[
    "exclude",
    "cordon",
    "silence the API",
    "tell the past",
    "restore a backup",
    "delete a Service",
    "move endpoints",
    "drain endpoints",
    "lose endpoints",
    "change the policy",
    "edit the group",
    "edit the configuration",
    "announce nothing",
    "label the node",
    "not ready",
    "plan",
    "plan, heard late",
    "choose nodes",
]
Fault: TypeAlias = OfAgents | OfMachines | OfKernels | OfTheApi
FAULTS: Final[tuple[Fault, ...]] = tuple(
    fault for kind in (OfAgents, OfMachines, OfKernels, OfTheApi) for fault in get_args(kind)
)
STRANGER: Final = Mac(bytes.fromhex("02deadbeef01"))
CLAIMANTS: Final = tuple(Mac(bytes((2, 0xF1, 0, 0, 0, number))) for number in range(40))
"""Who claim an address in a flood."""
LATE: Final = (0.0, 3.0)
"""Seconds by which a busy node hears what its kernel notifies of."""
PLANNABLE: Final[tuple[Mapping[str, Any], ...]] = (
    {"localInterface": "^(eth0|lan1)$"},
    {"dummyInterface": "kube-lb1"},
    {"addressConfig": {"localInterface": {"validLifetime": 0}}},
    {"addressConfig": {"localInterface": {"validLifetime": 60}}},
    {"garpConfig": {"count": 1}, "interfaces": ["bond0"]},
)
"""What an LBNodeAgent can be edited to without anybody's loss."""
CONFIGURATIONS: Final = (
    *PLANNABLE,
    # The kernel changes whether an address has a route only by taking the address away.
    {"addressConfig": {"localInterface": {"validLifetime": 0, "noPrefixRoute": False}}},
    # What is on a second NIC is on no node's subnet any more, and is routed as soon as all have heard that.
    {"localInterface": "^eth0$"},
)


PROXIES: Final = (Look.SILENT, Look.REFUSED, Look.SAYS_NO)
"""How a kube-proxy is found that doesn't work."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fault of a node or a VIP, which begins and (unless ``stays``) ends."""

    at: float
    """Seconds from the begin of the history."""
    lasts: float
    fault: Fault
    node: str
    number: int = 0
    """Which VIP, and which of several ways."""
    stays: bool = False


Act: TypeAlias = Callable[[], None]
Acts: TypeAlias = tuple[Act, Act]


def acts(world: World, step: Step) -> Acts:
    """What begins a fault, and what ends it."""
    of: tuple[Mapping[str, Acts], ...] = (
        _of_agents(world, step),
        _of_machines(world, step),
        _of_kernels(world, step),
        _of_services(world, step),
        _of_the_api(world, step),
    )
    return next(one[step.fault] for one in of if step.fault in one)


def _nothing() -> None:
    pass


def _of_agents(world: World, step: Step) -> dict[str, Acts]:
    name = step.node

    def replay() -> None:
        if world.nodes[name].agent is not None:
            world.replay(name)

    return {
        "kill": (lambda: world.kill_agent(name), lambda: world.start_agent(name)),
        "stop": (lambda: world.stop_agent(name), lambda: world.start_again(name)),
        "replace": (lambda: world.replace_agent(name), lambda: world.start_again(name)),
        "freeze": (lambda: world.freeze_agent(name, step.lasts), _nothing),
        "replay": (replay, replay),
    }


def _of_machines(world: World, step: Step) -> dict[str, Acts]:
    name, simulation, was_proxied = step.node, world.simulation, world.proxies[step.node]
    others = [other for other in world.nodes if other != name]

    def second(*, has_carrier: bool) -> None:
        for nic in world.nodes[name].kernel.nics[1:]:
            world.nodes[name].kernel.set_link(nic.index, has_carrier=has_carrier)

    def flap(cut: Act, mend: Act) -> Acts:
        def begin() -> None:
            for number in range(4):
                simulation.after(number * step.lasts / 4, cut if number % 2 == 0 else mend)

        return begin, mend

    return {
        "power": (lambda: world.cut_power(name), lambda: world.restore_power(name)),
        "unplug": (lambda: world.unplug(name), lambda: world.plug_in(name)),
        "flap": flap(lambda: world.unplug(name), lambda: world.plug_in(name)),
        "cut the second NIC": (lambda: second(has_carrier=False), lambda: second(has_carrier=True)),
        "flap the second NIC": flap(lambda: second(has_carrier=False), lambda: second(has_carrier=True)),
        "kube-proxy": (
            lambda: world.proxies.update({name: PROXIES[step.number % len(PROXIES)]}),
            lambda: world.proxies.update({name: was_proxied}),
        ),
        "part": (lambda: world.part([name], others), world.heal),
        "deaf": (lambda: world.hush(others, [name]), world.heal),
        "mute": (lambda: world.hush([name], others), world.heal),
        "no gossip": (lambda: world.hush(world.nodes, world.nodes), world.heal),
    }


def _of_kernels(world: World, step: Step) -> dict[str, Acts]:
    node, vip = world.nodes[step.node], _vip(world, step)
    operators = ip_interface(f"{node.kernel.nics[0].own[0].ip + 200}/16")

    def wipe() -> None:
        for key, there in list(node.kernel.addresses.items()):
            if there.is_ours and key in node.kernel.addresses:
                node.kernel.delete(key)

    def wipe_own() -> None:
        for one in node.kernel.nics[0].own:
            if (ETH0, one.ip, one.network.prefixlen) in node.kernel.addresses:
                node.kernel.delete((ETH0, one.ip, one.network.prefixlen))

    def renew_own() -> None:
        """As a DHCP client does; every second time a VIP becomes the first of its subnet by that, and stays so."""
        promotes = set(node.kernel.promotes)
        if step.number % 2:
            node.kernel.promotes.add(ETH0)
        wipe_own()
        node.kernel.give_own()
        node.kernel.promotes = promotes

    def set_up() -> None:
        node.kernel.set_link(ETH0, is_up=True)
        node.kernel.give_own()

    def refuse() -> None:
        node.kernel.refusals = 3
        if step.number % 2:
            wipe()

    def be_late(lateness: tuple[float, float]) -> None:
        node.seam.lateness = lateness

    def overrun() -> None:
        if node.agent is not None:
            node.agent.netlink.overrun()

    def look_alike() -> None:
        for one in node.kernel.nics[0].own:
            node.kernel.add_foreign(ip_interface(f"{one.ip + 201}/{one.network.prefixlen}"), ETH0, looks_ours=True)

    def delete_dummy() -> None:
        for index, link in list(node.kernel.links.items()):
            if link.kind == "dummy":
                node.kernel.delete_link(index)

    def strange() -> None:
        if segment_of(vip) is not None:
            world.wire.claim(vip, STRANGER)

    def flood() -> None:
        for number, mac in enumerate(10 * CLAIMANTS):
            world.simulation.after(step.lasts * number / (10 * len(CLAIMANTS)), partial(world.wire.say, vip, mac))

    return {
        "wipe VIPs": (wipe, wipe),
        "wipe the node's own": (wipe_own, node_own(world, step.node)),
        "renew the node's own": (renew_own, renew_own),
        "set down": (lambda: node.kernel.set_link(ETH0, is_up=False), set_up),
        "refuse": (refuse, _nothing),
        "notify late": (lambda: be_late(LATE), lambda: be_late(PROMPT)),
        "overrun": (overrun, overrun),
        "set promote_secondaries back": (lambda: node.kernel.promotes.clear(), lambda: node.kernel.promotes.clear()),
        "operator's address": (
            lambda: node.kernel.add_foreign(operators, ETH0),
            lambda: node.kernel.remove_foreign(operators, ETH0),
        ),
        "lookalike": (look_alike, _nothing),
        "delete the dummy": (delete_dummy, _nothing),
        "flood of claims": (flood, _nothing),
        "stranger": (strange, lambda: void(world.wire.strangers.pop(vip, None))),
    }


def node_own(world: World, name: str) -> Act:
    """The node's own addresses come back."""
    return lambda: world.nodes[name].kernel.give_own()


def _of_services(world: World, step: Step) -> dict[str, Acts]:
    api, vip, names_of = world.api, _vip(world, step), list(world.nodes)
    there = frozenset(name for place, name in enumerate(names_of) if (step.number >> place) & 1) or {step.node}
    elsewhere = frozenset(names_of) - there or there
    policies: tuple[tuple[str, dict[str, str]], ...] = (
        ("Local", {}),
        ("Cluster", {names.NODE_AFFINITY: "service-endpoints"}),
    )
    policy, annotations = policies[step.number % len(policies)]

    def behave() -> None:
        api.endpoints(vip, frozenset(there))
        api.want(vip, policy=policy, annotations=annotations)

    def plan(by: int) -> Act:
        order = [*names_of[by % len(names_of) :], *names_of[: by % len(names_of)]]
        return lambda: api.plan(vip, [order[0], "who has gone", *order[1:]][: 1 + by % 4])

    def heard_late(act: Act) -> Act:
        """By one node: until it has heard, agents read different plans."""

        def late() -> None:
            world.lateness[step.node] = min(step.lasts, 8.0)
            act()
            del world.lateness[step.node]

        return late

    first, second = plan(step.number), plan(step.number // 4)
    return {
        "plan": (first, second),
        "choose nodes": (lambda: api.choose(vip, frozenset(there)), lambda: api.choose(vip, None)),
        "plan, heard late": (heard_late(first), heard_late(second)),
        "delete a Service": (lambda: api.unwant(vip), lambda: api.want(vip)),
        "change the policy": (behave, lambda: api.want(vip)),
        "move endpoints": (
            lambda: api.endpoints(vip, frozenset(elsewhere)),
            lambda: api.endpoints(vip, frozenset(there)),
        ),
        "drain endpoints": (
            lambda: api.endpoints(vip, frozenset(), frozenset(there)),
            lambda: api.endpoints(vip, frozenset(elsewhere), frozenset(there)),
        ),
        "lose endpoints": (lambda: api.endpoints(vip, frozenset()), lambda: api.endpoints(vip, frozenset(names_of))),
    }


def _of_the_api(world: World, step: Step) -> dict[str, Acts]:
    api, name = world.api, step.node
    local = {"localInterface": "eth0|^lan" if world.topology.has_second_nics else "default"}
    other = {**local, **CONFIGURATIONS[step.number % len(CONFIGURATIONS)]}
    special = {**local, "dummyInterface": "kube-lb7"}

    def special_label(*, is_there: bool) -> None:
        api.configure("special", special, {"lb": "yes"})
        api.label(name, "lb", is_there=is_there)

    return {
        "exclude": (
            lambda: api.label(name, EXCLUDE_LABEL, is_there=True),
            lambda: api.label(name, EXCLUDE_LABEL, is_there=False),
        ),
        "not ready": (
            lambda: api.node(name, failure=Failure.NOT_READY),
            lambda: api.node(name, failure=None),
        ),
        "cordon": (lambda: api.node(name, is_cordoned=True), lambda: api.node(name, is_cordoned=False)),
        "silence the API": (api.go_away, api.come_back),
        "tell the past": (lambda: api.tell_the_past(1 + step.number % 4), api.catch_up),
        "restore a backup": (lambda: api.restore_backup(1 + step.number % 4), _nothing),
        "edit the group": (lambda: api.regroup("routed", "/32"), lambda: api.regroup("routed", "default")),
        "edit the configuration": (
            lambda: api.configure("default", other),
            lambda: api.configure("default", local),
        ),
        "announce nothing": (lambda: api.configure("default", None), lambda: api.configure("default", local)),
        "label the node": (lambda: special_label(is_there=True), lambda: special_label(is_there=False)),
    }


def _vip(world: World, step: Step) -> IPAddress:
    return world.topology.vips[step.number % len(world.topology.vips)]


def void(_: object) -> None:
    """A result that nobody needs."""
