"""What can stand next on the command line, as Cobra's programs tell a shell. Pure.

kubectl, from 1.26 on, asks a program ``kubectl_complete-purelb`` on the PATH, and gives it the words so far, the last
of which is the one that is being written (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kubectl_purelb.arguments import COMMANDS, SUBJECTS
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.printing import printable

FILES: Final = ":0"
"""The shell's own answer: files."""
NOTHING_ELSE: Final = ":4"
COMMON: Final = ("--output", "--kubeconfig", "--context", "--namespace", "--all-namespaces", "--purelb-namespace")
OWN: Final = {
    "election": ("--simulate-death", "--simulate-drain"),
    "validate": ("--filename", "--strict", "--with-cluster"),
    "events": ("--since",),
    "services": ("--pool", "--node", "--ip", "--problems"),
    "move": ("--to", "--anywhere", "--dry-run", "--timeout"),
    "rebalance": ("--dry-run", "--timeout"),
    "top": ("--interval", "--once"),
    "dashboard": ("--port", "--no-browser"),
    "support-bundle": ("--file",),
}
"""The options of one command alone."""
_FORMATS: Final = ("table", "json", "yaml")
_OF_FILES: Final = frozenset({"-f", "--filename", "--file", "--kubeconfig"})
_OF_NODES: Final = frozenset({"--to", "--node", "--simulate-death", "--simulate-drain"})
_OF_NAMESPACES: Final = frozenset({"-n", "--namespace"})
_FREE: Final = frozenset(
    {"--context", "--purelb-namespace", "--since", "--timeout", "--interval", "--port", "--pool", "--ip"}
)
_TAKE_ONE: Final = _OF_FILES | _OF_NODES | _OF_NAMESPACES | _FREE | {"-o", "--output"}
_PLACES: Final = "[NAMESPACE/]SERVICE"
_ALLOCATOR: Final = "allocator"


@dataclass(frozen=True, slots=True)
class Line:
    """What is written so far."""

    command: str
    """Empty: none yet."""
    has_subject: bool
    option: str
    """Whose value comes next; empty: none's."""
    namespace: str | None
    begun: str
    """The word that is being written."""
    kubeconfig: str | None = None
    context: str | None = None


def parsed(words: Sequence[str]) -> Line:
    """``words``: at least the one that is being written, which may be empty."""
    *before, begun = words or [""]
    command, subjects, option, said = "", 0, "", dict[str, str]()
    for word in before:
        if option:
            said[option], option = word, ""
        elif word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
            said[name] = value
        elif word.startswith("-"):
            option = word if word in _TAKE_ONE else ""
        elif not command:
            command = word
        else:
            subjects += 1
    namespace = next((said[one] for one in sorted(_OF_NAMESPACES) if one in said), None)
    return Line(command, subjects > 0, option, namespace, begun, said.get("--kubeconfig"), said.get("--context"))


def needs_cluster(line: Line) -> bool:
    """Whether the answer depends on what there is."""
    if line.option:
        return line.option in _OF_NODES | _OF_NAMESPACES
    return bool(line.command) and line.command in SUBJECTS and not line.has_subject and not line.begun.startswith("-")


def completions(line: Line, cluster: Cluster | None) -> list[str]:
    """A line for each choice, and the directive. ``cluster``: what there is, where that is needed and could be had."""
    if line.option in _OF_FILES:
        return [FILES]
    found = [one for one in _choices(line, cluster) if one.partition("\t")[0].startswith(line.begun)]
    return [*found, NOTHING_ELSE]


def _choices(line: Line, cluster: Cluster | None) -> Iterable[str]:
    if line.option in ("-o", "--output"):
        return _FORMATS
    if line.option in _OF_NODES:
        return _nodes(cluster)
    if line.option in _OF_NAMESPACES:
        return sorted({service.key.namespace for service in cluster.ours}) if cluster is not None else ()
    if line.option:
        return ()
    if line.begun.startswith("-"):
        return (*OWN.get(line.command, ()), *COMMON)
    if not line.command:
        return (f"{name}\t{told}" for name, told in COMMANDS.items())
    return () if line.has_subject or cluster is None else _subjects(line, cluster)


def _subjects(line: Line, cluster: Cluster) -> Iterable[str]:
    metavar = SUBJECTS.get(line.command, ("", ""))[0]
    ours = [one for one in cluster.ours if line.namespace in (None, one.key.namespace)]
    if metavar == _PLACES:
        return (one.key.name if line.namespace is not None else str(one.key) for one in ours)
    if metavar == "ADDRESS":
        return (f"{address}\t{one.key}" for one in ours for address in one.ingress)
    return (*_nodes(cluster), _ALLOCATOR) if metavar == "NODE" else ()


def _nodes(cluster: Cluster | None) -> Iterable[str]:
    gathering = cluster.gathering if cluster is not None else None
    return sorted(map(printable, gathering.nodes)) if gathering is not None else ()
