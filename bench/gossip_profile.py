"""What Config.fast() was chosen by: detection, tolerance of stalls and traffic, over probe intervals and suspicions.

Simulated (virtual time, real cores), so anybody gets the same numbers.  Prints JSON lines; with --plots DIR also draws
them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import statistics
from collections.abc import Iterator
from pathlib import Path

from memberlist.config import Config
from memberlist.events import MemberFailed
from memberlist.messages import State
from memberlist.simulation import Link, Simulation

INTERVALS = (0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2)
MULTIPLIERS = (2, 3, 4)
STALLS = tuple(step / 100 for step in range(5, 80, 5))
NODES = 5
HEADERS = 28
"""Bytes of IPv4 and UDP headers per packet."""
DOTS_PER_INCH = 220
"""Of the plots: twice what a screen has as a rule, so that they are sharp on one with small dots."""


def candidate(interval: float, multiplier: int) -> Config:
    """The fast profile with another pace; everything shorter than the interval keeps its share of it."""
    return dataclasses.replace(
        Config.fast(),
        probe_interval=interval,
        probe_timeout=interval * 0.225,
        probe_length=interval * 0.6,
        suspicion_interval=interval * 0.375,
        late_after=interval * 0.225,
        suspicion_mult=multiplier,
    )


def detection(config: Config, seeds: int, loss: float) -> list[float]:
    """Seconds from a crash until all others know of it, one per seed."""
    return [one_detection(config, seed, loss) for seed in range(seeds)]


def one_detection(config: Config, seed: int, loss: float) -> float:
    simulation = Simulation(seed, config=config, link=Link(loss=loss))
    simulation.populate(NODES)
    simulation.run(1 + seed * 0.0137)  # the crash falls on no particular moment of the interval
    simulation.crash("n1")
    noticed = simulation.run_until(lambda: simulation.all_see("n1", State.DEAD), within=60, step=0.005)
    assert noticed is not None
    return noticed


def stall_survival(config: Config, stall: float, seeds: int) -> float:
    """The share of live nodes that are declared dead although they were only stopped for `stall` seconds."""
    died = 0
    for seed in range(seeds):
        simulation = Simulation(seed, config=config)
        simulation.populate(NODES)
        simulation.run(1 + seed * 0.0137)
        simulation.stall("n1", stall)
        simulation.run(stall + 1)
        events = [seen.event for seen in simulation.seen(MemberFailed)]
        died += any(isinstance(event, MemberFailed) and event.member.name == "n1" for event in events)
    return died / seeds


def traffic(config: Config, nodes: int = NODES) -> tuple[float, float]:
    """Packets, and bytes with headers, that each node sends per second when nothing happens."""
    simulation = Simulation(1, config=config)
    simulation.populate(nodes)
    simulation.run(12)
    before = [(node.packets_sent, node.bytes_sent) for node in simulation.nodes.values()]
    simulation.run(60)
    after = [(node.packets_sent, node.bytes_sent) for node in simulation.nodes.values()]
    packets = sum(now[0] - then[0] for then, now in zip(before, after, strict=True)) / (60 * nodes)
    size = sum(now[1] - then[1] for then, now in zip(before, after, strict=True)) / (60 * nodes)
    return packets, size + packets * HEADERS


def measure(seeds: int) -> Iterator[dict[str, float]]:
    for multiplier in MULTIPLIERS:
        for interval in INTERVALS:
            config = candidate(interval, multiplier)
            times = detection(config, seeds, loss=0.0)
            lossy = detection(config, seeds, loss=0.02)
            packets, size = traffic(config)
            yield {
                "probe_interval": interval,
                "suspicion_mult": multiplier,
                "median_s": round(statistics.median(times), 3),
                "worst_s": round(max(times), 3),
                "worst_with_2_percent_loss_s": round(max(lossy), 3),
                "packets_per_s": round(packets, 1),
                "bytes_per_s": round(size),
            }


def survivals(seeds: int) -> Iterator[dict[str, float]]:
    for interval, multiplier in ((0.05, 2), (0.08, 2), (0.1, 2), (0.08, 4)):
        for stall in STALLS:
            share = stall_survival(candidate(interval, multiplier), stall, seeds)
            yield {
                "probe_interval": interval,
                "suspicion_mult": multiplier,
                "stall_s": stall,
                "declared_dead": round(share, 3),
            }


def draw(folder: Path, measured: list[dict[str, float]], survived: list[dict[str, float]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for multiplier in MULTIPLIERS:
        rows = [row for row in measured if row["suspicion_mult"] == multiplier]
        pace = [row["probe_interval"] * 1000 for row in rows]
        (line,) = left.plot(
            pace, [row["median_s"] * 1000 for row in rows], "o-", label=f"median, multiplier {multiplier}"
        )
        left.plot(pace, [row["worst_s"] * 1000 for row in rows], ":", color=line.get_color(), label="worst")
    left.set(xlabel="probe interval [ms]", ylabel="crash until all others know [ms]", title="5 nodes, detection")
    left.set(xlim=(0, None), ylim=(0, None))
    left.legend(fontsize=8, loc="upper left")
    rows = [row for row in measured if row["suspicion_mult"] == MULTIPLIERS[0]]
    right.plot([row["probe_interval"] * 1000 for row in rows], [row["bytes_per_s"] / 1000 for row in rows], "o-")
    right.set(xlabel="probe interval [ms]", ylabel="kB/s sent by each node", title="what it costs when idle")
    right.set(xlim=(0, None), ylim=(0, None))
    chosen = Config.fast().probe_interval * 1000
    for axes in (left, right):
        axes.axvline(chosen, color="grey", linewidth=0.8)
        axes.annotate(f"fast(): {chosen:.0f} ms", (chosen, 0), (4, 6), textcoords="offset points", fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "gossip-detection.png", dpi=DOTS_PER_INCH)
    pyplot.close(figure)

    figure, axes = pyplot.subplots(figsize=(6.5, 4.2))
    for pace_s, patience in dict.fromkeys((row["probe_interval"], row["suspicion_mult"]) for row in survived):
        rows = [row for row in survived if (row["probe_interval"], row["suspicion_mult"]) == (pace_s, patience)]
        label = f"interval {pace_s * 1000:.0f} ms, multiplier {patience:.0f}"
        axes.plot(
            [row["stall_s"] * 1000 for row in rows], [row["declared_dead"] * 100 for row in rows], "o-", label=label
        )
    axes.set(
        xlabel="a live process is stopped for [ms]", ylabel="declared dead [%]", title="5 nodes, false alarms by stalls"
    )
    axes.set(xlim=(0, None), ylim=(0, 101))
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "gossip-stalls.png", dpi=DOTS_PER_INCH)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw PNGs there (needs matplotlib)")
    options = parser.parse_args()
    logging.disable()
    measured, survived = [], []
    for row in measure(options.seeds):
        print(json.dumps({"bench": "gossip_profile", **row}), flush=True)
        measured.append(row)
    for row in survivals(options.seeds):
        print(json.dumps({"bench": "gossip_profile", **row}), flush=True)
        survived.append(row)
    if options.plots is not None:
        draw(options.plots, measured, survived)


if __name__ == "__main__":
    main()
