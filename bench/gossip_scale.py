"""A thousand simulated members: how soon a crash is known, what it costs, and how soon a healed partition is forgotten.

Prints JSON lines.  About five minutes and 1 GB for 1,000 nodes; the time that passes in the simulation is what counts.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable

from memberlist.config import Config
from memberlist.messages import State
from memberlist.simulation import Link, Simulation

HEADERS = 28
"""Bytes of IPv4 and UDP headers per packet."""
LINK = Link(delay=(0.0002, 0.002))


class Scale:
    """One large cluster, and what its nodes believe."""

    def __init__(self, nodes: int, seed: int) -> None:
        self.simulation = Simulation(seed, config=Config.fast(), link=LINK)
        self.simulation.keeps_observations = False
        self.names = self.simulation.populate(nodes)

    def traffic(self, action: Callable[[], float | None]) -> tuple[float | None, float, float]:
        """What `action` gives, and messages and bytes sent meanwhile per node and second."""
        began = self.simulation.now
        packets, size = self._sent()
        result = action()
        seconds = self.simulation.now - began
        packets, size = self._sent()[0] - packets, self._sent()[1] - size
        per_node = seconds * len(self.names)
        return result, packets / per_node, (size + HEADERS * packets) / per_node

    def share_knowing(self, name: str) -> float:
        """How many of the living believe `name` to be gone."""
        living = self.simulation.living()
        return sum(record is None or record.is_gone for record in (n.core.table.get(name) for n in living)) / len(
            living
        )

    def alive_counts(self) -> list[int]:
        """How many members each living node believes to be alive."""
        return [sum(record.state is State.ALIVE for record in node.core.table) for node in self.simulation.living()]

    def _sent(self) -> tuple[int, int]:
        nodes = self.simulation.nodes.values()
        return sum(node.packets_sent for node in nodes), sum(node.bytes_sent for node in nodes)


def show(**fields: object) -> None:
    print(json.dumps({"bench": "gossip_scale", **fields}), flush=True)


def rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", type=float, default=5.0, help="simulated seconds without any event")
    parser.add_argument("--without-partition", action="store_true")
    options = parser.parse_args()
    logging.disable()
    scale = Scale(options.nodes, options.seed)
    simulation = scale.simulation
    simulation.run(Config.fast().push_pull_interval)  # the first exchanges aren't yet spread over the scaled interval

    def idle() -> None:
        simulation.run(options.idle)

    _, messages, size = scale.traffic(idle)
    show(nodes=options.nodes, what="idle", messages_per_node_s=round(messages, 1), bytes_per_node_s=round(size))

    victim = scale.names[7]
    simulation.crash(victim)
    began = simulation.now
    taken, messages, size = scale.traffic(
        lambda: simulation.run_until(lambda: scale.share_knowing(victim) >= 0.99, within=10, step=0.02)
    )
    all_after = simulation.run_until(lambda: scale.share_knowing(victim) == 1, within=10, step=0.02)
    show(
        nodes=options.nodes,
        what="crash known to 99%",
        seconds=rounded(taken),
        to_all_seconds=None if all_after is None else rounded(simulation.now - began),
        messages_per_node_s=round(messages, 1),
        bytes_per_node_s=round(size),
    )
    if options.without_partition:
        return

    half = options.nodes // 2
    simulation.part(scale.names[:half], scale.names[half:])
    parted = simulation.run_until(lambda: max(scale.alive_counts()) <= half, within=60, step=0.25)
    show(nodes=options.nodes, what="partition noticed by all", seconds=rounded(parted))
    simulation.run(5)
    simulation.heal()
    everybody = options.nodes - 1
    healed, messages, size = scale.traffic(
        lambda: simulation.run_until(lambda: min(scale.alive_counts()) == everybody, within=30, step=0.1)
    )
    show(
        nodes=options.nodes,
        what="one view after healing",
        seconds=rounded(healed),
        messages_per_node_s=round(messages, 1),
        bytes_per_node_s=round(size),
    )


if __name__ == "__main__":
    main()
