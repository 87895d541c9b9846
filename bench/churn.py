"""What the programs hold after an hour in which Services come and go all the time, and something breaks every 30 s.

A lab of three nodes with the programs as they are deployed. Each second a Service comes, and the oldest of 60 goes;
each 30 s an incident of those that leave the programs running, so that whatever one holds is held until the end. The
resident memory of every agent and allocator is read every 10 s (proc_pid_status(5)). What one holds is the least of
each five minutes: above that lies what waits to be collected, megabytes that come and go with the incidents. The
slope is that of least squares from ``SETTLED`` on; that of all readings is printed beside it. Prints JSON lines, a
row of all programs each five minutes. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from bench.cluster import POOL4, POOL_SIZE, Cluster, cluster, service
from bench.incidents import FREEZE, Incident, Kind
from bench.mischief import carry_out, why
from bench.report import event, figure
from lab.errors import LabError

BENCH: Final = "churn"
ALIVE: Final = 60
"""Services at a time; one more each second, and one less."""
EVERY: Final = 30.0
"""Seconds from one incident to the next."""
SAMPLE: Final = 10.0
"""Seconds from one look at the memory to the next."""
SETTLED: Final = 600.0
"""Seconds after which nothing may grow any more: caches and the allocator of memory have filled by then."""
ROW: Final = 300.0
"""Seconds from one printed row to the next."""
MOST: Final = 1.0
"""MiB per hour."""
KINDS: Final[tuple[Kind, ...]] = (
    "power",
    "flap",
    "freeze",
    "partition",
    "cordon",
    "api-refused",
    "api-silent",
    "api-restart",
    "foreign-status",
    "stripped",
    "replay",
)


def programs(lab: Cluster) -> dict[str, int]:
    """Pids of our programs in the lab, by node or pod."""
    agents = {f"agent of {node.split('.')[0]}": pid for node in lab.nodes if (pid := lab.agent(node)) is not None}
    return agents | lab.allocators()


def resident(pid: int) -> float:
    """MiB of memory of its own (RssAnon: what is of files comes and goes as the kernel likes)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """MiB per hour of samples (seconds, MiB), by least squares."""
    if len(samples) < 3:
        return 0.0
    at, sizes = zip(*samples, strict=True)
    return 3600 * statistics.linear_regression(at, sizes).slope


def least(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The smallest of each ``ROW`` of samples (seconds, MiB), in the order of time."""
    rows = groupby(samples, key=lambda sample: sample[0] // ROW)
    return [min(row, key=lambda sample: sample[1]) for _, row in rows]


def last(samples: Sequence[tuple[float, float]]) -> float | None:
    """The size that was read last, MiB; None where none was."""
    return round(samples[-1][1], 1) if samples else None


class Churn:
    """Services that come and go on a thread of their own, until the end."""

    def __init__(self, lab: Cluster) -> None:
        self._lab = lab
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.made = 0
        self.refused = 0
        """Commands that the API server, while away, didn't answer."""
        self.failed: list[str] = []
        """What else went wrong."""

    def __enter__(self) -> Churn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        alive: list[str] = []
        begin = time.monotonic()
        while not self._over.wait(max(0.0, begin + self.made - time.monotonic())):
            group = "routed" if self.made % 2 else "wire"
            name = f"churn-{self.made}"
            self.made += 1
            try:
                self._lab.apply([service(name, group=group)])
                alive.append(name)
                if len(alive) > ALIVE:
                    self._lab.kubectl("delete", "service", "-n", "default", "--wait=false", alive[0])
                    del alive[0]
            except LabError:
                self.refused += 1
            except Exception as error:  # whatever it is: a thread has nobody else to tell
                self.failed.append(f"{name}: {type(error).__name__}: {error}")


def incidents(lab: Cluster, seconds: float, chance: random.Random) -> Iterator[Incident]:
    """One each ``EVERY`` seconds, over before the next."""
    at = EVERY
    while at + EVERY <= seconds:
        kind = chance.choice(KINDS)
        lasting = FREEZE if kind == "freeze" else chance.uniform(1.0, EVERY / 3)
        yield Incident(kind, chance.choice(lab.nodes), at, at + lasting, chance.random())
        at += EVERY


def undergo(lab: Cluster, seconds: float, seed: int) -> bool:
    """Churn for that long on a lab at rest; whether all memory is flat."""
    pids = programs(lab)
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}
    fixed = {f"fixed-{number}": str(POOL4 + POOL_SIZE // 2 + number) for number in range(10)}
    lab.apply(service(name, vip) for name, vip in fixed.items())
    begin = time.monotonic()
    over, failed = threading.Event(), list[str]()

    def act() -> None:
        for incident in incidents(lab, seconds, random.Random(seed)):
            if over.wait(max(0.0, begin + incident.begin - time.monotonic())):
                return
            try:
                carry_out(lab, fixed, incident)
            except Exception as error:  # whatever it is: a thread has nobody else to tell
                failed.append(why(incident, error))

    breaking = threading.Thread(target=act)
    breaking.start()
    try:
        with Churn(lab) as churn:
            shown = 0.0
            while (now := time.monotonic() - begin) < seconds:
                for name, pid in pids.items():
                    with contextlib.suppress(OSError):
                        samples[name].append((now, resident(pid)))
                if now >= shown:
                    sizes = {name: last(series) for name, series in samples.items()}
                    event(BENCH, minutes=round(now / 60, 1), services=churn.made, mib=sizes)
                    shown += ROW
                time.sleep(SAMPLE)
    finally:
        over.set()
        breaking.join()
    failed += churn.failed
    exceptions = lab.exceptions()
    restarted = sorted(pids.items() - programs(lab).items())
    about = {"minutes": round(seconds / 60, 1), "services": churn.made, "refused": churn.refused, "seed": seed}
    holds = []
    for name, series in sorted(samples.items()):
        settled = [one for one in series if one[0] >= min(SETTLED, seconds / 3)]
        grows = slope(least(settled)) if series else None
        is_flat = grows is not None and grows < MOST
        what = f"growth of {name}'s memory"
        holds.append(
            figure(
                BENCH,
                what,
                grows,
                "MiB/h",
                f"< {MOST}",
                is_flat,
                mib_at_end=last(series),
                of_all=slope(settled),
                **about,
            )
        )
    holds.append(figure(BENCH, "incidents that failed", len(failed), "", "0", not failed, found=failed[:5]))
    holds.append(figure(BENCH, "programs that restarted", len(restarted), "", "0", not restarted, found=restarted))
    holds.append(figure(BENCH, "exceptions in logs", len(exceptions), "", "0", not exceptions, found=exceptions[:5]))
    return all(holds)


def main() -> int:
    """Exit code 1 when something grows, or isn't right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, help="default 60")
    parser.add_argument("--quick", action="store_true", help="three minutes")
    parser.add_argument("--seed", type=int, default=4)
    arguments = parser.parse_args()
    seconds = 60 * (arguments.minutes or (3.0 if arguments.quick else 60.0))
    with cluster(3) as lab:
        return 0 if undergo(lab, seconds, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
