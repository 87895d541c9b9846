"""Live nodes that are declared dead: there should be none.

Simulated: so many hours of a cluster that loses packets.  Real: so many minutes of processes on a machine whose cores
all work at something else.  Prints JSON lines.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from memberlist.config import Config
from memberlist.events import MemberFailed, MemberSuspected
from memberlist.simulation import Link, Simulation

ROOT = Path(__file__).resolve().parent.parent
PORT = 7934
REPORT_EVERY = 360.0
"""Simulated seconds between two lines of progress."""


def show(**fields: object) -> None:
    print(json.dumps({"bench": "false_alarms", **fields}), flush=True)


def simulated(hours: float, nodes: int, loss: float, seed: int) -> int:
    """False alarms in so many simulated hours."""
    simulation = Simulation(seed, config=Config.fast(), link=Link(delay=(0.0002, 0.002), loss=loss))
    simulation.populate(nodes)
    suspected = failed = 0
    while simulation.now < hours * 3600:
        simulation.run(min(REPORT_EVERY, hours * 3600 - simulation.now))
        suspected += len(simulation.seen(MemberSuspected))
        failed += len(simulation.seen(MemberFailed))
        simulation.observations.clear()
        show(
            what="simulated", nodes=nodes, loss=loss, seed=seed, hours=round(simulation.now / 3600, 2),
            suspicions_seen=suspected, false_alarms=failed,
        )  # fmt: skip
    return failed


def real(minutes: float, nodes: int, workers: int) -> int:
    """False alarms in so many minutes beside `workers` processes that never rest."""
    net = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}"
    counts: Counter[str] = Counter()

    def read(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        counts.update(json.loads(line)["event"] for line in process.stdout)

    with ExitStack() as stack:

        def start(command: list[str]) -> subprocess.Popen[str]:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        for node in range(1, nodes + 1):
            command = [sys.executable, "-m", "memberlist", "--profile", "fast", "--name", f"n{node}"]
            command += ["--bind", f"{net}.{node}:{PORT}", *(["--join", f"{net}.1:{PORT}"] if node > 1 else [])]
            threading.Thread(target=read, args=(start(command),), daemon=True).start()
        time.sleep(3)
        for _ in range(workers):
            start([sys.executable, "-c", "while True: sum(range(100_000))"])
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            time.sleep(min(60.0, max(0.0, end - time.monotonic())))
            show(
                what="real", nodes=nodes, workers=workers, cores=os.cpu_count(), load=round(os.getloadavg()[0], 1),
                joins=counts["join"], suspicions_seen=counts["suspect"], false_alarms=counts["failed"],
            )  # fmt: skip
    return counts["failed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--hours", type=float, default=10.0, help="simulated; 0: don't simulate")
    parser.add_argument("--nodes", type=int, default=100, help="simulated")
    parser.add_argument("--loss", type=float, default=0.02, help="simulated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0, help="real; 0: none")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="busy processes beside the real ones")
    options = parser.parse_args()
    logging.disable()
    failed = 0
    if options.hours:
        failed += simulated(options.hours, options.nodes, options.loss, options.seed)
    if options.minutes:
        failed += real(options.minutes, nodes=5, workers=options.workers)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
