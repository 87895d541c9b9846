"""The command line, as a value. kubectl gives what follows ``kubectl purelb`` to this program as it is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubectl_purelb.commands.services import ALL, Only
from kubectl_purelb.forecast import Event
from kubectl_purelb.printing import Format
from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError, SettingsError, SpecError
from purelb.nodeagents import parse_duration

COMMANDS = {
    "status": "one screen: healthy, or what isn't, and what to do about it",
    "pools": "the ServiceGroups, and how full they are",
    "services": "each address, with its pool, the node that announces it, and its state",
    "nodes": "who takes part, as the gossip sees them",
    "vip": "which Service has an address, which node announces it, and since when",
    "inspect": "one Service from its pool to the wire: each step, or why not, and what to do",
    "election": "who owns each address by the agents' rule, who is next, and what a death or a drain would move",
    "doctor": "what is wrong around PureLB, on the nodes and in the cluster, and the command that mends it",
    "move": "have a Service's addresses on a node, or anywhere again",
    "rebalance": "have addresses evened out now, or see how even they are",
    "top": "nodes, what isn't well and what happens, on a screen that renews itself",
    "events": "moves, conflicts and what else was told lately, in its order",
    "validate": "what is wrong with pools and agents' configuration, in the cluster or in files",
    "dashboard": "the allocator's status page, in a browser",
    "state": "what a program knows: tables, owners, timers, its last decisions with their reasons",
    "support-bundle": "what the report of a mistake needs, in one file, without secrets",
    "version": "of this command, the programs and the agents that run",
}
SUBJECTS = {
    "vip": ("ADDRESS", "such as 192.168.1.200"),
    "inspect": ("[NAMESPACE/]SERVICE", "without its namespace where its name is unambiguous"),
    "election": ("[NAMESPACE/]SERVICE", "of its addresses alone"),
    "events": ("[NAMESPACE/]SERVICE", "of that one alone"),
    "move": ("[NAMESPACE/]SERVICE", "whose addresses are to go"),
    "state": ("NODE", "whose agent is meant; or allocator, or the name of a pod"),
}
"""What a command is about."""
_OPTIONAL = {"election", "events"}
"""Those that can be about all."""
_EPILOG = """exit codes: 0 all is well, 1 something isn't, 2 the question could not be answered (a wrong command
line, no cluster, no right to read)"""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What is asked."""

    command: str
    subject: str = ""
    """What it is about: an address, or a Service; empty for the other commands."""
    node: str = ""
    """What would become of it? Or: where to? Empty: anywhere."""
    event: Event | None = None
    output: Format = "table"
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    """Of Services; None: all."""
    purelb_namespace: str | None = None
    files: tuple[str, ...] = ()
    """Manifests to be judged; ``-`` is standard input."""
    is_strict: bool = False
    with_cluster: bool = False
    """Whether the manifests are judged as if they were applied."""
    is_rehearsal: bool = False
    """Whether nothing is to be written."""
    timeout: float | None = None
    """Seconds to wait for what was asked for; None: as usual, 0: not at all."""
    interval: float = 2.0
    """Seconds between two looks."""
    is_once: bool = False
    port: int = 0
    """Of this machine, for the status page; 0: any that is free."""
    is_browserless: bool = False
    file: str = ""
    """Where a bundle is written to; empty: a new file here."""
    since: float | None = None
    """Seconds before now; None: as long as anything is known."""
    only: Only = ALL
    """Which addresses are shown of all Services'."""


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Ends the program with exit code 2 and a sentence for what can't be read. Raises SettingsError."""
    found = _parser().parse_args(argv)
    if found.all_namespaces and found.namespace is not None:
        raise SettingsError("-A and -n exclude each other")
    return Arguments(
        command=found.command,
        subject=found.subject,
        node=found.death or found.drain or found.to,
        event=Event.DEATH if found.death else Event.DRAIN if found.drain else None,
        output=found.output,
        kubeconfig=found.kubeconfig,
        context=found.context,
        namespace=found.namespace,
        purelb_namespace=found.purelb_namespace,
        files=tuple(found.files),
        is_strict=found.strict,
        with_cluster=found.with_cluster,
        is_rehearsal=found.dry_run,
        timeout=_seconds("--timeout", found.timeout),
        interval=_seconds("--interval", found.interval) or 2.0,
        is_once=found.once,
        port=found.port,
        is_browserless=found.no_browser,
        file=found.file,
        since=_seconds("--since", found.since),
        only=Only(found.pool, found.on_node, _address("--ip", found.ip), found.problems),
    )


def _seconds(flag: str, text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except SpecError as error:
        raise SettingsError(f"{flag}: {error}") from None


def _address(flag: str, text: str | None) -> IPAddress | None:
    try:
        return None if text is None else parse_address(text)
    except AddressError as error:
        raise SettingsError(f"{flag}: {error}") from None


def _common() -> argparse.ArgumentParser:
    """The options of all commands. Each may stand before the command or after it: one that isn't said sets nothing."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("-o", "--output", choices=("table", "json", "yaml"), help="for people, or for programs")
    common.add_argument("--kubeconfig", type=Path, metavar="FILE", help="instead of $KUBECONFIG or ~/.kube/config")
    common.add_argument("--context", metavar="NAME", help="of the kubeconfig, instead of its current one")
    common.add_argument("-n", "--namespace", metavar="NAME", help="only Services in this namespace (all, if not given)")
    common.add_argument("-A", "--all-namespaces", action="store_true", help="Services of all namespaces, as without -n")
    common.add_argument("--purelb-namespace", metavar="NAME", help="where PureLB is (it is found, if not given)")
    return common


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubectl purelb",
        description="Which node has a load balancer's address, and why it doesn't answer. Only move and rebalance ask "
        "for something; all else reads.",
        epilog=_EPILOG,
        parents=[_common()],
    )
    parser.set_defaults(
        subject="",
        death="",
        drain="",
        output="table",
        kubeconfig=None,
        context=None,
        namespace=None,
        all_namespaces=False,
        purelb_namespace=None,
        files=(),
        strict=False,
        with_cluster=False,
        to="",
        dry_run=False,
        timeout=None,
        interval="2s",
        once=False,
        port=0,
        no_browser=False,
        file="",
        since=None,
        pool="",
        on_node="",
        ip=None,
        problems=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, told in COMMANDS.items():
        # With options of its own: argparse would give parents' the defaults above, which would undo what was said.
        command = commands.add_parser(name, help=told, description=told, parents=[_common()])
        if name in SUBJECTS:
            metavar, explained = SUBJECTS[name]
            many = "?" if name in _OPTIONAL else None
            command.add_argument("subject", metavar=metavar, help=explained, nargs=many, default=argparse.SUPPRESS)
        _add_own(name, command)
    return parser


def _add_own(name: str, command: argparse.ArgumentParser) -> None:
    """The options of one command alone."""
    command.argument_default = argparse.SUPPRESS
    match name:
        case "election":
            becomes = command.add_mutually_exclusive_group()
            for flag, told_so in (("death", "if it died"), ("drain", "if it were drained")):
                becomes.add_argument(
                    f"--simulate-{flag}", dest=flag, metavar="NODE", default=argparse.SUPPRESS, help=told_so
                )
        case "move" | "rebalance":
            if name == "move":
                where = command.add_mutually_exclusive_group(required=True)
                where.add_argument("--to", metavar="NODE", default=argparse.SUPPRESS, help="the node")
                where.add_argument(
                    "--anywhere",
                    dest="to",
                    action="store_const",
                    const="",
                    default=argparse.SUPPRESS,
                    help="take the wish away again",
                )
            command.add_argument("--dry-run", action="store_true", help="say what would be, and write nothing")
            command.add_argument(
                "--timeout",
                metavar="DURATION",
                help="wait so long for it to happen; 0s: don't wait (1m, 2m to rebalance)",
            )
        case "top":
            command.add_argument("--interval", metavar="DURATION", help="between two looks, 2s if not given")
            command.add_argument("--once", action="store_true", help="look once, as without a terminal")
        case "dashboard":
            command.add_argument(
                "--port", type=int, metavar="PORT", help="of this machine; one that is free, if not given"
            )
            command.add_argument("--no-browser", action="store_true", help="say where it is, and open no browser")
        case "support-bundle":
            command.add_argument("--file", metavar="FILE", help="to write; purelb-support-TIME.tar.gz if not given")
        case "services":  # as PureLB v0.17's plugin names them
            command.add_argument("--pool", metavar="NAME", help="only addresses of this ServiceGroup")
            command.add_argument("--node", dest="on_node", metavar="NODE", help="only those that this node announces")
            command.add_argument("--ip", metavar="ADDRESS", help="only this one")
            command.add_argument("--problems", action="store_true", help="only those that aren't well")
        case "events":
            command.add_argument("--since", metavar="DURATION", help="not older than that, such as 10m or 1h30m")
        case "validate":
            command.add_argument(
                "-f",
                "--filename",
                dest="files",
                action="append",
                metavar="FILE",
                help="judge this file, or the files of this folder, and ask no cluster; - is standard input",
            )
            command.add_argument("--strict", action="store_true", help="warnings are errors")
            command.add_argument(
                "--with-cluster", action="store_true", help="judge the files as if they were applied to the cluster"
            )
