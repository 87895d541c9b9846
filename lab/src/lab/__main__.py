"""The `purelb-lab` command: a cluster on one machine.

Owns the command line and what it prints. The lab itself is the supervisor's; each command but `up` asks it
over its control socket.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab.command import apifaults, control
from lab.command.kubectl import find_kubectl, kubectl_environment
from lab.command.lifecycle import ECMP_MANIFEST, MANIFEST, install, start_lab, stop_lab
from lab.command.logfiles import find_logs, log_names
from lab.command.statuspage import show_page
from lab.demo.play import run_demo
from lab.errors import LabError, NoLab, UnknownHost
from lab.machine import namespaces
from lab.settings import (
    ALL,
    API,
    API_FAULTS,
    CLUSTER,
    CLUSTER_FAULTS,
    CONTROL_PLANES,
    FAULTS,
    PROXY_MODES,
    WIRE,
    WIRE_FAULTS,
    Settings,
)
from lab.wire.router import run_folder, vtysh_command
from purelb.names import PAGE_PORT

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
_DEMO_GRACE = 4.0  # seconds that Kubernetes waits for a node that is gone; so long some requests meet its pods


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; exit code 1 and one sentence on stderr when it can't be done."""
    arguments = _parser().parse_args(argv)
    if arguments.run in (kubectl, vtysh, birdc) and arguments.arguments[:1] == ["--dir"]:
        arguments.dir, arguments.arguments = arguments.arguments[1], arguments.arguments[2:]
    folder = Path(arguments.dir or os.environ.get("PURELB_LAB_DIR") or ".lab").absolute()
    try:
        return int(arguments.run(folder, arguments) or 0)
    except LabError as failure:
        print(f"purelb-lab: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# --- up and down ---


def up(folder: Path, arguments: argparse.Namespace) -> None:
    """Start a lab and install PureLB in it."""
    if arguments.topology and arguments.ecmp:
        raise LabError("--ecmp is for the article's topology: its routing names the article's router")
    if arguments.topology and arguments.kubeadm:
        raise LabError("--kubeadm is for the article's topology: a file says it of each node (control-plane: kubeadm)")
    settings = Settings(
        str(folder),
        nodes=arguments.nodes,
        kubeadm=arguments.kubeadm,
        proxy_mode=arguments.proxy_mode,
        topology=str(arguments.topology.absolute()) if arguments.topology else None,
        control_plane=arguments.control_plane,
        node_grace=arguments.node_grace,
        images=_images(arguments),
        ecmp=arguments.ecmp,
        bfd_interval=arguments.bfd_interval,
    )
    began = time.monotonic()
    start_lab(folder, settings, say=print)
    try:
        for manifest in arguments.manifest or (
            [] if arguments.bare else [ECMP_MANIFEST if arguments.ecmp else MANIFEST]
        ):
            install(folder, manifest, say=print, placement=arguments.placement)
    except BaseException:
        stop_lab(folder)
        raise
    print(f"ready in {time.monotonic() - began:.1f} s; export KUBECONFIG={folder / 'kubeconfig'}")


def down(folder: Path, _: argparse.Namespace) -> None:
    """End the lab; one that does not answer is killed. No lab is fine."""
    try:
        stop_lab(folder)
    except NoLab as missing:
        print(missing)


# --- looking and doing ---


def status(folder: Path, arguments: argparse.Namespace) -> None:
    """Print hosts, faults and pods."""
    values = control.request(folder, "status").values
    if arguments.json:
        print(json.dumps(values, indent=2))
        return
    rows = [("HOST", "ROLE", "IPV4", "IPV6", "READY", "FAULTS")]
    for host in values["hosts"]:
        ready = {True: "yes", False: "no", None: "-"}[host["ready"]]
        rows.append((host["name"], host["role"], host["ipv4"], host["ipv6"], ready, ",".join(host["faults"]) or "-"))
    _print_table(rows)
    print()
    rows = [("NAMESPACE", "POD", "READY", "PHASE", "RESTARTS", "NODE")]
    for pod in values["pods"]:
        ready = "yes" if pod["ready"] else "no"
        rows.append((pod["namespace"], pod["name"], ready, pod["phase"], str(pod["restarts"]), pod["node"]))
    _print_table(rows)
    print()
    for target, found in values["faults"].items():
        if found:
            print(f"faults of the {target}: {', '.join(found)}")
    print(f"KUBECONFIG={folder / 'kubeconfig'}")


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def execute(folder: Path, arguments: argparse.Namespace) -> None:
    """Become a command inside a host's network."""
    enter_host(folder, arguments.host)
    environment = {**os.environ, "KUBECONFIG": str(folder / "wire.kubeconfig")}
    argv = [part for part in arguments.command if part != "--"] if arguments.command[0] == "--" else arguments.command
    if not argv:
        raise LabError("exec needs a command: purelb-lab exec HOST -- CMD")
    path = f"{Path(sys.executable).parent}:{environment.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        os.execvpe(argv[0], argv, {**environment, "PATH": path})
    except OSError as failure:
        raise LabError(f"{argv[0]}: {failure.strerror}") from failure


def enter_host(folder: Path, host: str) -> None:
    """Move this process into the network of that host. Raises NoLab, UnknownHost, NotAllowed."""
    fds = control.request(folder, "open", host=host).fds
    try:
        for fd in reversed(fds):  # the user namespace first: it gives the right to enter the other
            namespaces.setns(fd)
    except PermissionError as failure:
        raise LabError("only who started the lab, or root, may enter its namespaces: try sudo") from failure


def page(folder: Path, arguments: argparse.Namespace) -> None:
    """Have the allocator's status page at a port of this machine, until it is interrupted."""
    show_page(folder, arguments.port, partial(enter_host, folder))


def logs(folder: Path, arguments: argparse.Namespace) -> None:
    """Print or follow the logs of programs whose name contains the given text."""
    found = find_logs(folder, arguments.program)
    if not found:
        names = ", ".join(sorted(log_names(folder)))
        raise UnknownHost(f"no log of {arguments.program!r} in {folder}; there are: {names or 'none'}")
    if arguments.follow:
        os.execvp("tail", ["tail", "-n", "+1", "-F", *map(str, found)])
    for file in found:
        if len(found) > 1:
            print(f"==> {file.relative_to(folder)} <==")
        sys.stdout.flush()
        sys.stdout.buffer.write(file.read_bytes())
        sys.stdout.flush()


def fault(folder: Path, arguments: argparse.Namespace) -> None:
    if arguments.node == API:
        if arguments.subject is not None:
            raise LabError(f"faults of the API server befall nobody else: {arguments.subject} has no place there")
        print(apifaults.begin(folder, arguments.kind, arguments.verb))
        return
    if arguments.verb is not None:
        raise LabError(f"--verb is for faults of the API server: purelb-lab fault {API} KIND --verb VERB")
    wish = {"target": arguments.node, "kind": arguments.kind, "subject": arguments.subject}
    print(control.request(folder, "fault", 90, **wish).values["done"])


def heal(folder: Path, arguments: argparse.Namespace) -> None:
    if arguments.node == API:
        print(apifaults.end(folder))
        return
    wish = {"target": arguments.node, "kind": arguments.kind}
    print(control.request(folder, "heal", 90, **wish).values["done"])


def kubectl(folder: Path, arguments: argparse.Namespace) -> None:
    """Become kubectl, speaking to this lab."""
    control.connect(folder).close()
    program = find_kubectl()
    os.execve(program, [program, *arguments.arguments], kubectl_environment(folder))


def vtysh(folder: Path, arguments: argparse.Namespace) -> None:
    """Become vtysh, speaking to the router's FRR."""
    control.connect(folder).close()
    run = run_folder(folder)
    if not run.is_dir():
        raise LabError(f"the lab in {folder} has no FRR: start it with --ecmp")
    os.chdir(run)
    _become([*vtysh_command(), *arguments.arguments])


def birdc(folder: Path, arguments: argparse.Namespace) -> None:
    """Become birdc, speaking to a node's BIRD."""
    if not arguments.arguments:
        raise LabError("birdc needs a node: purelb-lab birdc NODE [show route]")
    node = control.request(folder, "name", host=arguments.arguments[0]).values["host"]
    run = folder / "nodes" / node / "run" / "purelb-bird"
    if not (run / "bird.ctl").exists():
        raise LabError(f"no BIRD runs on {node}")
    os.chdir(run)
    _become(["birdc", "-s", "bird.ctl", *arguments.arguments[1:]])


def _become(argv: list[str]) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        os.execvpe(argv[0], argv, {**os.environ, "PATH": path})
    except OSError as failure:
        raise LabError(f"{argv[0]}: {failure.strerror}") from failure


def demo(folder: Path, arguments: argparse.Namespace) -> int:
    """The walkthrough; the demo starts a lab of its own if none runs, and ends it again."""
    settings = Settings(
        str(folder),
        control_plane=arguments.control_plane,
        node_grace=_DEMO_GRACE,
        images=_images(arguments),
        ecmp=arguments.ecmp,
    )
    return run_demo(folder, arguments.families, settings, keep=arguments.keep, step=arguments.step)


def _images(arguments: argparse.Namespace) -> str | None:
    return str(arguments.images.absolute()) if arguments.images else None


# --- command line ---


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="purelb-lab", description="A Kubernetes cluster on one machine.")
    parser.add_argument("--dir", help="folder of the lab (default: $PURELB_LAB_DIR, else .lab)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        # Also after the command; SUPPRESS keeps an absent one from hiding what stood before it.
        command.add_argument("--dir", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.set_defaults(run=run)
        return command

    starting = add("up", up, "start a lab and install PureLB in it")
    size = starting.add_mutually_exclusive_group()
    size.add_argument("--nodes", type=int, default=3, metavar="N", help="number of nodes (default 3)")
    size.add_argument("--topology", type=Path, metavar="FILE", help="subnets, nodes and their NICs; see docs/lab.md")
    starting.add_argument(
        "--kubeadm", action="store_true", help="the master asks load balancers to leave it out, as kubeadm has it"
    )
    starting.add_argument("--proxy-mode", choices=PROXY_MODES, default="nftables", help="of kube-proxy")
    starting.add_argument("--ecmp", action="store_true", help="BIRD on the nodes, FRR on the router")
    starting.add_argument(
        "--placement", choices=("even", "hash"), default="hash", help="which node has a VIP (default hash, as PureLB)"
    )
    starting.add_argument(
        "--bfd-interval",
        type=int,
        default=100,
        metavar="MS",
        help="with --ecmp: the router misses a node after three times this (default 100)",
    )
    starting.add_argument(
        "--node-grace",
        type=float,
        default=40.0,
        metavar="SECONDS",
        help="without a heartbeat until a node is not ready (default 40)",
    )
    starting.add_argument("--bare", action="store_true", help="without PureLB")
    starting.add_argument(
        "--manifest", type=Path, action="append", help="apply this instead of the one shipped (repeatable)"
    )
    add("down", down, "end the lab")
    add("status", status, "show hosts, faults and pods").add_argument("--json", action="store_true")
    executing = add("exec", execute, "run a command on a host: exec HOST -- CMD")
    executing.add_argument("host", metavar="HOST")
    executing.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    looking = add("page", page, "have the allocator's status page at a port of this machine")
    looking.add_argument("--port", type=int, default=PAGE_PORT, help=f"(default {PAGE_PORT}; 0: a free one)")
    reading = add("logs", logs, "print the logs of a program")
    reading.add_argument("program", metavar="PROGRAM", help="part of a name: allocator, lbnodeagent, apiserver")
    reading.add_argument("-f", "--follow", action="store_true")
    failing = add("fault", fault, "break something; docs/lab.md has all faults in a table")
    failing.add_argument("node", metavar="NODE", help=f"or `{ALL}` nodes, `{WIRE}`, `{CLUSTER}`, or `{API}`")
    kinds = (
        f"of a node: {', '.join(FAULTS)}; of the wire: {', '.join(WIRE_FAULTS)}; "
        f"of the cluster: {', '.join(CLUSTER_FAULTS)}; "
        f"of the API server: a code (429), {', '.join(API_FAULTS)}"
    )
    failing.add_argument("kind", metavar="KIND", help=kinds)
    failing.add_argument(
        "subject", nargs="?", metavar="SUBJECT", help="what the kind is about: of `deaf`, the other node"
    )
    failing.add_argument("--verb", choices=VERBS, help="of the API server: for requests of this verb only")
    mending = add("heal", heal, "mend what a fault broke")
    mending.add_argument("node", metavar="NODE", help=f"or `{ALL}` nodes, `{WIRE}`, `{CLUSTER}`, or `{API}`")
    mending.add_argument("kind", nargs="?", metavar="KIND", help="this alone; by default everything")
    # All that follows is kubectl's own, options too: to this parser nothing begins with an option's sign.
    passing = commands.add_parser("kubectl", help="run kubectl against the lab", prefix_chars="\0", add_help=False)
    passing.add_argument("arguments", nargs=argparse.REMAINDER)
    passing.set_defaults(run=kubectl)
    for name, run, text in (
        ("vtysh", vtysh, "talk to the router's FRR: vtysh [-c 'show ip route']"),
        ("birdc", birdc, "talk to a node's BIRD: birdc NODE [show route]"),
    ):
        talking = commands.add_parser(name, help=text, prefix_chars="\0", add_help=False)
        talking.add_argument("arguments", nargs=argparse.REMAINDER)
        talking.set_defaults(run=run)
    showing = add("demo", demo, "the walkthrough: each step with its command, its output, a tick or a cross")
    for command in (starting, showing):
        command.add_argument("--control-plane", choices=CONTROL_PLANES, default="embedded")
        command.add_argument(
            "--images", type=Path, metavar="DIR", help="run programs from DIR/IMAGE/rootfs, confined as manifests say"
        )
    showing.add_argument("--families", choices=("ipv4", "ipv6", "dual"), default="ipv4")
    showing.add_argument("--ecmp", action="store_true", help="its second part: BIRD on the nodes, FRR on the router")
    showing.add_argument("--keep", action="store_true", help="leave the lab running")
    showing.add_argument("--step", action="store_true", help="wait for Enter before each step")
    return parser


if __name__ == "__main__":
    sys.exit(main())
