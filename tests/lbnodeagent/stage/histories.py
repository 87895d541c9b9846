"""Random histories of a cluster, each made by its seed, played, and on failure made as short as it still fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final, Literal, TypeAlias, get_args

from lbnodeagent.tables import Mac
from tests.lbnodeagent.stage.kernel import NIC
from tests.lbnodeagent.stage.world import REST, World, vips

Fault: TypeAlias = Literal[
    "kill",
    "stop",
    "freeze",
    "power",
    "unplug",
    "part",
    "exclude",
    "wipe a VIP",
    "wipe the node's own",
    "refuse",
    "silence the API",
    "delete a Service",
    "stranger",
    "set down",
    "operator's address",
    "replay",
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
PLANNED: Final[tuple[Fault, ...]] = ("stop", "exclude")
STRANGER: Final = Mac(bytes.fromhex("02deadbeef01"))


@dataclass(frozen=True, slots=True)
class Step:
    """A fault of a node, which begins and (unless ``stays``) ends."""

    at: float
    """Seconds from the begin of the history."""
    lasts: float
    fault: Fault
    node: str
    stays: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What happens to a cluster."""

    seed: int
    size: int
    loss: float
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        steps = "".join(
            f"\n  {step.at:6.2f} s: {step.fault}, {step.node}, {'for good' if step.stays else f'{step.lasts:.2f} s'}"
            for step in sorted(self.steps, key=lambda step: step.at)
        )
        return f"SEED={self.seed}: {self.size} nodes, {self.loss:.0%} of packets lost{steps}"


def history(seed: int) -> History:
    """The history of a seed: a few faults of any kind, at moments that overlap."""
    chance = random.Random(seed)
    size = chance.choice((2, 3, 3, 4))
    steps = tuple(
        Step(
            at=chance.uniform(0.0, 8.0),
            lasts=chance.choice((0.05, 0.5, 2.0, 5.0, 25.0)) * chance.uniform(0.5, 1.5),
            fault=chance.choice(FAULTS),
            node=f"n{chance.randint(1, size)}",
            stays=chance.random() < 0.1,
        )
        for _ in range(chance.randint(1, 5))
    )
    return History(seed, size, chance.choice((0.0, 0.0, 0.02, 0.1)), steps)


def planned_history(seed: int) -> History:
    """One of planned moves only, one after the other, so that there is always somebody to move to."""
    chance = random.Random(seed)
    size = chance.choice((2, 3, 4))
    steps, at = [], 0.0
    for _ in range(chance.randint(1, 3)):
        lasts = chance.uniform(0.3, 12.0)
        steps.append(Step(at, lasts, chance.choice(PLANNED), f"n{chance.randint(1, size)}"))
        at += lasts + chance.uniform(8.0, 12.0)
    return History(seed, size, 0.0, tuple(steps))


def play(told: History, *, is_planned: bool = False) -> list[str]:
    """The laws that it breaks."""
    world = World(told.seed, told.size, told.loss)
    world.want(*vips(4))
    world.begin()
    world.run(8.0)
    if is_planned:
        world.guarded = {vip for vip in world.wanted if world.holders(vip)}
    start = world.now
    end = start
    for step in told.steps:
        begin, undo = _acts(world, step)
        world.simulation.after(start + step.at - world.now, begin)
        end = max(end, start + step.at)
        if not step.stays:
            world.simulation.after(start + step.at + step.lasts - world.now, undo)
            end = max(end, start + step.at + step.lasts)
    world.run(end - start)
    world.run(REST)
    return world.laws_at_rest()


def shortened(told: History, *, is_planned: bool = False) -> History:
    """With as few faults as still break a law."""
    for step in told.steps:
        fewer = History(told.seed, told.size, told.loss, tuple(other for other in told.steps if other is not step))
        if fails(fewer, is_planned=is_planned):
            return shortened(fewer, is_planned=is_planned)
    return told


def fails(told: History, *, is_planned: bool = False) -> list[str]:
    """Why a history isn't as it must be; an exception is a reason too."""
    try:
        return play(told, is_planned=is_planned)
    except Exception as error:  # a history may end in any way; each is to be told with its seed
        return [f"{type(error).__name__}: {error}"]


Act: TypeAlias = Callable[[], None]


def _acts(world: World, step: Step) -> tuple[Act, Act]:
    """What begins a fault, and what ends it."""
    name, node, vip = step.node, world.nodes[step.node], vips(1)[0]

    def nothing() -> None:
        pass

    def wipe() -> None:
        for key, there in list(node.kernel.addresses.items()):
            if there.is_ours and key in node.kernel.addresses:
                node.kernel.delete(key)

    def wipe_own() -> None:
        key = (NIC, node.kernel.own[0].ip, node.kernel.own[0].network.prefixlen)
        if key in node.kernel.addresses:
            node.kernel.delete(key)

    def give_own_back() -> None:
        for own in node.kernel.own:
            node.kernel.add_foreign(own)

    def refuse() -> None:
        node.kernel.refusals = 3

    def strange() -> None:
        world.claim(vip, STRANGER)

    def set_up() -> None:
        node.kernel.set_link(NIC, is_up=True)
        give_own_back()

    def replay() -> None:
        if node.agent is not None:
            world.replay(name)

    acts: dict[Fault, tuple[Act, Act]] = {
        "kill": (lambda: world.kill_agent(name), lambda: world.start_agent(name)),
        "stop": (lambda: world.stop_agent(name), lambda: world.start_again(name)),
        "freeze": (lambda: world.freeze_agent(name, step.lasts), nothing),
        "power": (lambda: world.cut_power(name), lambda: world.restore_power(name)),
        "unplug": (lambda: world.unplug(name), lambda: world.plug_in(name)),
        "part": (
            lambda: world.simulation.part([name], [other for other in world.nodes if other != name]),
            lambda: world.simulation.heal(),
        ),
        "exclude": (
            lambda: world.exclude(name, is_excluded=True),
            lambda: world.exclude(name, is_excluded=False),
        ),
        "wipe a VIP": (wipe, wipe),
        "wipe the node's own": (wipe_own, give_own_back),
        "refuse": (refuse, nothing),
        "silence the API": (world.silence_api, world.restore_api),
        "delete a Service": (lambda: world.unwant(vip), lambda: world.want(vip)),
        "stranger": (strange, lambda: void(world.strangers.pop(vip, None))),
        "set down": (lambda: node.kernel.set_link(NIC, is_up=False), set_up),
        "operator's address": (
            lambda: node.kernel.add_foreign(ip_interface("10.31.188.200/16")),
            nothing,
        ),
        "replay": (replay, replay),
    }
    return acts[step.fault]


def void(_: object) -> None:
    """A result that nobody needs."""
