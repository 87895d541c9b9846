"""The house: what lies beside the packages of a program, what each says of itself, and who may read a clock."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = {
    "allocator": {"bootstrap", "conditions", "gossipkey", "leadership", "notice", "wording"},
    "lbnodeagent": {"errors", "mailbox", "messages", "tables", "ticking"},
}
"""What more than one package of a program needs, or its main program alone."""

DRIVERS = {
    "allocator/__main__.py": "hands the loop's clock down",
    "allocator/leadership.py": "the Lease's timestamps",
    "allocator/page/streams.py": "how long a view takes to make, and so how long the next one waits",
    "allocator/reconcile/agentstatus.py": "a condition's timestamp",
    "allocator/reconcile/publisher.py": "a condition's timestamp",
    "kubectl_purelb/src/kubectl_purelb/__main__.py": "the time of day at which it was asked",
    "kubectl_purelb/src/kubectl_purelb/collecting.py": "how long it waits for a program's state",
    "kubectl_purelb/src/kubectl_purelb/live.py": "the time of day of each look",
    "kubectl_purelb/src/kubectl_purelb/errands.py": "how long it waits for what was asked for",
    "allocator/sources/netboxclient.py": "deadlines and durations of requests",
    "allocator/sources/sidecar.py": "durations of calls",
    "lbnodeagent/dataplane/driver.py": "the data plane's",
    "lbnodeagent/dataplane/looplag.py": "measures the loop",
    "lbnodeagent/flows/teller.py": "when flows were told of",
    "lbnodeagent/flows/straywatch.py": "how long a look took",
    "lbnodeagent/gossip/peers.py": "the gossip's",
    "lbnodeagent/kernel/netlink.py": "when the kernel said something",
    "lbnodeagent/kubernetes/annotator.py": "its loop's timers",
    "lbnodeagent/kubernetes/controlplane.py": "the control plane's",
    "lbnodeagent/kubernetes/following.py": "hands the clock down",
    "lbnodeagent/kubernetes/nodelease.py": "the Lease's timestamps",
    "lbnodeagent/kubernetes/publisher.py": "the Membership's, and its timestamps",
    "lbnodeagent/kubernetes/reporter.py": "its loop's timers",
    "lbnodeagent/kubernetes/thread.py": "how long the control plane lived",
    "lbnodeagent/ticking.py": "the loop's",
    "lbnodeagent/wire/rawsocket.py": "for how long the name of an interface is believed",
    "memberlist/src/memberlist/__main__.py": "prints when something happened",
    "memberlist/src/memberlist/driver.py": "the library's",
    "memberlist/src/memberlist/exchanges.py": "the library's, for streams",
    "purelb/credentials.py": "a token's age",
    "purelb/events.py": "events' timestamps, and how often one is written",
    "purelb/kube.py": "deadlines of requests",
    "purelb/page.py": "a connection's age",
    "purelb/pulse.py": "measures the loop",
    "purelb/reviews.py": "how old an answer is",
    "purelb/statesignal.py": "when the state was asked for",
}
"""All files that read a clock, and what for. To all else time is an argument."""
PURE_BUT_FOR = {
    "allocator.reconcile.fleet": "what it reads is a value of clusterobjects.py, which follows objects",
    "allocator.reconcile.placing": "fleet.py's",
    "lbnodeagent.kernel.placing": "requests.py's",
    "lbnodeagent.kernel.requests": "the socket module's numbers of address families",
}
"""Modules that say they are pure, and import what could do I/O."""
CLOCKS = {"monotonic", "monotonic_ns", "time", "time_ns", "perf_counter", "process_time", "now", "utcnow", "today"}
OF = {"time", "loop", "_loop", "datetime", "date", "get_running_loop", "get_event_loop"}
"""Modules, classes and loops that have one of these."""


def sources() -> Iterator[Path]:
    for root in ("allocator", "kubectl_purelb/src", "lbnodeagent", "purelb", "memberlist/src"):
        yield from (ROOT / root).rglob("*.py")


def name_of(node: ast.expr) -> str:
    """The last name of an expression: what it is called, or what is."""
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func):
            return name_of(func)
    return ""


def reads_a_clock(path: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in CLOCKS and name_of(node.value) in OF
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_time_is_an_argument_everywhere_but_in_drivers() -> None:
    assert {str(path.relative_to(ROOT)) for path in sources() if reads_a_clock(path)} == set(DRIVERS)


@pytest.mark.parametrize("program", SHARED)
def test_beside_a_programs_packages_lies_only_what_they_share(program: str) -> None:
    files = {path.stem for path in (ROOT / program).glob("*.py")}
    assert files == {"__init__", "__main__", *SHARED[program]}


@pytest.mark.parametrize("program", SHARED)
def test_each_package_says_what_it_must_not_know(program: str) -> None:
    for package in (ROOT / program).rglob("__init__.py"):
        told = ast.get_docstring(ast.parse(package.read_text())) or ""
        assert "not know" in told or "nothing of" in told or "must not" in told, package


def test_every_module_says_what_it_is_for() -> None:
    assert [path for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_who_says_to_be_pure_is_held_to_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = [one for one in contracts if one["name"].startswith("Pure logic")]
    says = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        .removeprefix("memberlist.src.")
        .removeprefix("kubectl_purelb.src.")
        for path in sources()
        if re.search(r"\bPure\b", ast.get_docstring(ast.parse(path.read_text())) or "") and path.stem != "__init__"
    }
    assert says - set(pure["source_modules"]) == set(PURE_BUT_FOR)
