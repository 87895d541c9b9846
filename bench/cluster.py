"""A lab with PureLB in it, as measurements need it: Services at chosen nodes, faults, outages, a look at everything.

Owns how the lab is driven. What is measured, and what it should be, is each measurement's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final

from bench.wire import Namespaces
from lab.command import control
from lab.command.kubectl import run_kubectl
from lab.command.lifecycle import install, start_lab, stop_lab
from lab.errors import LabError
from lab.machine.processes import REPOSITORY
from lab.settings import Settings
from lab.wire.topology import topology
from purelb.election import owner, ranking

MANIFEST: Final = REPOSITORY / "manifests" / "purelb-complete.yaml"
POOL4: Final = IPv4Address("10.31.64.0")
POOL6: Final = IPv6Address("fd00:10:31::1:0")
POOL_SIZE: Final = 16_384
LINK: Final = "eth0"
_GROUPS: Final = [
    {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {"name": "wire", "namespace": "purelb"},
        "spec": {
            "local": {
                "v4pool": {
                    "subnet": "10.31.0.0/16",
                    "pool": f"{POOL4}-{POOL4 + POOL_SIZE - 1}",
                    "aggregation": "default",
                },
                "v6pool": {
                    "subnet": "fd00:10:31::/64",
                    "pool": f"{POOL6}-{POOL6 + POOL_SIZE - 1}",
                    "aggregation": "default",
                },
            }
        },
    },
    {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {"name": "routed", "namespace": "purelb"},
        "spec": {
            "local": {
                "v4pool": {"subnet": "10.189.0.0/16", "pool": "10.189.0.0-10.189.255.254", "aggregation": "/32"},
            }
        },
    },
]
_REFUSE: Final = "tcp dport 6443 reject with tcp reset"
_SWALLOW: Final = "tcp dport 6443 drop"


class NotSettled(LabError):
    """The lab didn't come to rest in time."""


def service(name: str, ip: str | None = None, group: str = "wire") -> dict[str, Any]:
    """A LoadBalancer Service; of IPv6 when its address is."""
    family = "IPv6" if ip is not None and ip_address(ip).version == 6 else "IPv4"
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "allocateLoadBalancerNodePorts": False,
        "ipFamilies": [family],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80}],
    }
    if ip is not None:
        spec["loadBalancerIP"] = ip
    metadata = {"name": name, "namespace": "default", "annotations": {"purelb.io/service-group": group}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


class Cluster:
    """PureLB on some nodes. Looks at kernels and API objects only."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder = folder
        self.nodes = tuple(node.name for node in topology(nodes).nodes)
        self.spaces = Namespaces(folder)
        self.scratch = folder / "bench"
        self.scratch.mkdir(exist_ok=True)

    # --- the API -----------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Raises LabError when kubectl fails."""
        done = run_kubectl(self.folder, arguments, stdin)
        if done.returncode != 0:
            raise LabError(f"kubectl {' '.join(arguments[:4])}: {done.stderr.strip()[:500]}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, objects: Iterable[dict[str, Any]]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(items))

    def delete_services(self) -> None:
        """Delete every LoadBalancer Service, and wait until no kernel has an address of theirs."""
        self.kubectl("delete", "services", "-n", "default", "--all", "--wait=false")
        eventually("an address of a deleted Service is still there", lambda: not self.vips_placed(), 60)

    def vips_placed(self) -> list[str]:
        """The addresses of our pools that some kernel has."""
        return [ip for node in self.nodes for ip in self.addresses(node) if is_pooled(ip)]

    @contextlib.contextmanager
    def api_away(self, *, swallow: bool = False) -> Iterator[None]:
        """No node reaches the API server: connections are reset and refused, or with ``swallow`` met with silence."""
        self.take_api_away(swallow=swallow)
        try:
            yield
        finally:
            self.give_api_back()

    def take_api_away(self, *, swallow: bool = False) -> None:
        rule = _SWALLOW if swallow else _REFUSE
        table = f"table inet outage {{\nchain input {{\ntype filter hook input priority 0;\n{rule}\n}}\n}}\n"
        self.spaces.run("api", "nft", "-f", "-", stdin=table)
        if not swallow:
            self.reset_api_connections()

    def give_api_back(self) -> None:
        self.spaces.run("api", "nft", "delete", "table", "inet", "outage")

    def reset_api_connections(self) -> None:
        """What a restarting API server does to its clients: all watches end, and begin anew."""
        self.spaces.run("api", "ss", "-K", "state", "established", "sport", "=", ":6443")

    # --- the kernels -------------------------------------------------------------------------------------------------

    def address_infos(self, node: str, link: str = LINK) -> list[dict[str, Any]]:
        """What ``ip -json addr`` says of a link."""
        try:
            links = json.loads(self.spaces.run(node, "ip", "-json", "addr", "show", "dev", link) or "[]")
        except subprocess.CalledProcessError:  # no such link
            return []
        return [info for one in links if one for info in one["addr_info"] if info]

    def addresses(self, node: str, link: str = LINK) -> set[str]:
        return {info["local"] for info in self.address_infos(node, link)}

    def holders(self, vips: Iterable[str]) -> dict[str, list[str]]:
        """The nodes that have each of these addresses."""
        there = {node: self.addresses(node) for node in self.nodes}
        return {vip: [node for node in self.nodes if vip in there[node]] for vip in vips}

    # --- agents ------------------------------------------------------------------------------------------------------

    def agent(self, node: str) -> int | None:
        """Pid of the agent that runs on a node; None while none does."""
        wanted = os.fstat(self.spaces.fd(node)).st_ino
        for folder in _processes("purelb-lbnodeagent"):
            with contextlib.suppress(OSError):
                if (folder / "ns" / "net").stat().st_ino == wanted:
                    return int(folder.name)
        return None

    def allocators(self) -> dict[str, int]:
        """Pids of the allocators that run, by pod."""
        pods = {pod["name"] for pod in self.status()["pods"] if pod["namespace"] == "purelb"}
        found = {}
        for folder in _processes("purelb-allocator"):
            with contextlib.suppress(OSError):
                pairs = (line.partition("=") for line in (folder / "environ").read_text().split("\0"))
                name = {key: value for key, _, value in pairs}.get("PURELB_POD_NAME", "")
                if name in pods:
                    found[name] = int(folder.name)
        return found

    def freeze(self, node: str, seconds: float) -> None:
        """SIGSTOP the agent for that long. No agent: nothing happens."""
        pid = self.agent(node)
        if pid is None:
            return
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def fault(self, target: str, kind: str, subject: str | None = None) -> float:
        """Break a node, or something else that the lab has faults of; returns when, monotonic seconds."""
        at = time.monotonic()
        control.request(self.folder, "fault", 90, target=target, kind=kind, subject=subject)
        return at

    def heal(self, target: str, kind: str | None = None) -> None:
        control.request(self.folder, "heal", 90, target=target, kind=kind)

    def restart_all(self) -> None:
        """``kubectl rollout restart`` of the agents, until the last one is ready."""
        self.kubectl("rollout", "restart", "daemonset/lbnodeagent", "-n", "purelb")
        self.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=180s")

    def status(self) -> Any:
        return control.request(self.folder, "status").values

    def agents_ready(self) -> bool:
        pods = [pod for pod in self.status()["pods"] if pod["name"].startswith("lbnodeagent")]
        return len(pods) == len(self.nodes) and all(pod["ready"] for pod in pods)

    # --- rest --------------------------------------------------------------------------------------------------------

    def place(self, names: Sequence[str], vips: Sequence[str]) -> None:
        """Create Services with these addresses and wait until each is on its owner."""
        self.apply(service(name, vip) for name, vip in zip(names, vips, strict=True))
        self.settle(vips)

    def is_settled(self, vips: Iterable[str]) -> bool:
        """Whether every agent is ready and every VIP on its owner by the election's rule, alone."""
        return self.misplaced(vips) == {} and self.agents_ready()

    def misplaced(self, vips: Iterable[str]) -> dict[str, list[str]]:
        """The VIPs that aren't on their owner alone, with where they are."""
        return {vip: nodes for vip, nodes in self.holders(vips).items() if nodes != [owner(self.nodes, vip)]}

    def settle(self, vips: Sequence[str], seconds: float = 45.0) -> None:
        """Heal everything and wait for rest. Raises NotSettled."""
        for host in self.status()["hosts"]:
            if host["faults"]:
                self.heal(host["name"])
        eventually(lambda: f"no rest: {self.misplaced(vips)}", lambda: self.is_settled(vips), seconds)

    def exceptions(self) -> list[str]:
        """Exceptions in the logs of all programs, and errors in those of ours, one line each."""
        found = []
        for file in sorted([*self.folder.glob("*.log"), *self.folder.glob("logs/**/*.log")]):
            lines = file.read_text(errors="replace").splitlines()
            for number, line in enumerate(lines):
                if is_exception(line):
                    text = line if line.startswith("{") else " | ".join(_traceback(lines[number:]))
                    found.append(f"{file.relative_to(self.folder)}: {text[:2000]}")
        return found


def _processes(program: str) -> Iterator[Path]:
    """The folders in /proc of the processes of a program, whosever they are."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(program.encode()) for word in words[:3]):
            yield folder


def _traceback(lines: Sequence[str]) -> list[str]:
    """A traceback's last lines, from a text that begins with its first one."""
    end = next((number for number, line in enumerate(lines[1:], 1) if not line.startswith(" ")), len(lines) - 1)
    return [line.strip() for line in lines[max(0, end - 4) : end + 1]]


def is_exception(line: str) -> bool:
    """Whether a log line tells of an exception, or of an error in a program of ours.

    kopf calls it an error that a watch can't be opened while the API server is away, and tries again: that is no
    exception, but what an outage looks like.
    """
    if "Traceback (most recent call last)" in line:
        return True
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    if not isinstance(fields, dict) or str(fields.get("logger", "")).startswith("kopf"):
        return False
    return "exception" in fields or fields.get("level") in ("error", "critical")


def is_pooled(ip: str) -> bool:
    """Whether an address is one of our pools'."""
    address = ip_address(ip)
    first = POOL4 if address.version == 4 else POOL6
    return int(first) <= int(address) < int(first) + POOL_SIZE


def vips_of(node: str, nodes: Sequence[str], count: int, *, ipv6: bool = False, second: str | None = None) -> list[str]:
    """The first addresses of the pool that the election gives to ``node``; with ``second``, that has them next."""
    first: IPv4Address | IPv6Address = POOL6 if ipv6 else POOL4
    found: list[str] = []
    for step in range(POOL_SIZE):
        vip = first + step
        order = ranking(nodes, vip)
        if order[0] == node and second in (None, order[1]):
            found.append(str(vip))
            if len(found) == count:
                return found
    raise LabError(f"the pool has no {count} addresses for {node}")


def eventually(complaint: str | Callable[[], str], look: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait until ``look`` is true; returns how long it took. Raises NotSettled."""
    begin = time.monotonic()
    while not look():
        if time.monotonic() - begin > seconds:
            raise NotSettled(complaint if isinstance(complaint, str) else complaint())
        time.sleep(0.1)
    return time.monotonic() - begin


@contextlib.contextmanager
def cluster(nodes: int = 5, control_plane: str = "embedded") -> Iterator[Cluster]:
    """A lab of its own with PureLB, ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="purelb-bench-") as name:
        folder = Path(name)

        def say(text: str) -> None:
            print(text, file=sys.stderr)

        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # so that the lab ends with us
        start_lab(folder, Settings(name, nodes, control_plane=control_plane), say=lambda _: None)
        try:
            install(folder, MANIFEST, say=lambda _: None)
            say(f"a lab of {nodes} nodes runs in {name}")
            made = Cluster(folder, nodes)
            made.apply(_GROUPS)
            yield made
        finally:
            stop_lab(folder)
