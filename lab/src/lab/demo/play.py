"""The demo as a whole: a lab of its own if none runs, a walkthrough in it, and what to try next.

Owns what is around the steps; must not know them.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from lab.command import control
from lab.command.hosts import Hosts
from lab.command.lifecycle import ECMP_MANIFEST, MANIFEST, install, start_lab, stop_lab
from lab.demo.ecmp import EcmpWalkthrough
from lab.demo.scenario import Families, scenario
from lab.demo.transcript import Transcript
from lab.demo.walkthrough import Walkthrough
from lab.errors import LabError, NoLab
from lab.settings import Settings
from lab.wire.topology import DOMAIN


def run_demo(folder: Path, families: str, settings: Settings, *, keep: bool, step: bool) -> int:
    """A walkthrough in the lab of that folder, or in one of its own with these settings; 0 if all is as it must be.

    The first part, or with `settings.ecmp` the second: BIRD on the nodes, FRR on the router. With `step` it waits
    before each heading for the user.
    """
    began = time.monotonic()
    show = Transcript(
        width=shutil.get_terminal_size().columns,
        domain=DOMAIN,
        may_colour=not os.environ.get("NO_COLOR"),
        pause=_wait_for_enter if step else None,
    )
    show.heading("A cluster on this machine: three nodes, a client, a router")
    show.say(f"(Nodes' names end in {DOMAIN}, which is left out below; … stands for columns that don't fit.)")
    try:
        control.connect(folder).close()
        is_own = False
        show.say("a lab runs already")
    except NoLab:
        is_own = True
        start_lab(folder, settings, say=show.say)
    try:
        if is_own:
            install(folder, ECMP_MANIFEST if settings.ecmp else MANIFEST, say=show.say)
        with Hosts(folder) as hosts:
            part = EcmpWalkthrough if settings.ecmp else Walkthrough
            part(hosts, scenario(Families(families)), show).run()
    except LabError as failure:
        show.expect(False, "the walkthrough comes to its end", str(failure))
    finally:
        if is_own and not keep:
            stop_lab(folder)
    seconds = time.monotonic() - began
    show.say("")
    show.say(f"{show.ticks} of {show.ticks + len(show.crosses)} as expected, in {seconds:.0f} s")
    for cross in show.crosses:
        show.say(f"  ✗ {cross}")
    for line in now_try(is_there=keep or not is_own, ecmp=settings.ecmp):
        show.say(line)
    return 1 if show.crosses else 0


def now_try(*, is_there: bool, ecmp: bool) -> list[str]:
    """What the user might do next; in a lab that is still there, or that has ended."""
    other = (
        "make demo               each address on one node" if ecmp else "make demo-ecmp          on all nodes, by BGP"
    )
    if not is_there:
        return [
            "",
            "Now try",
            "  make demo ARGS=--step   the same, a step at a time",
            f"  {other}",
            "  make demo ARGS=--keep   the cluster stays, for you to play with",
        ]
    return [
        "",
        "The cluster is still there. Now try",
        "  export PATH=$PWD/.venv/bin:$PATH KUBECONFIG=$PWD/.lab/kubeconfig",
        "  kubectl purelb services",
        "  purelb-lab fault worker-188-11 power",
        "  purelb-lab heal worker-188-11",
        "  purelb-lab down",
    ]


def _wait_for_enter() -> None:
    """Until the user wants to see more; at once where nobody can say so."""
    print("\n[Enter goes on] ", end="", flush=True)
    sys.stdin.readline()
