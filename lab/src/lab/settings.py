"""What a lab is asked for, as values that the command and the supervisor both know. Pure, and quick to import."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

ALL = "all"
"""In the place of a node: every one."""
FAULTS = (
    "power",
    "flap",
    "port-dead",
    "partition",
    "deaf",
    "mute",
    "agent-kill",
    "agent-stop",
    "cordon",
    "drain",
    "proxy-late",
    "proxy-frozen",
    "proxy-dead",
)
"""Of a node."""
WIRE = "wire"
"""In the place of a node: strangers on the wire."""
WIRE_FAULTS = ("answer", "arp-flood", "gossip-flood", "record", "replay")
CLUSTER = "cluster"
"""In the place of a node: other controllers, and tenants."""
CLUSTER_FAULTS = ("servicelb", "operator", "tenant")
API = "api"
"""In the place of a node: the API server."""
API_FAULTS = (
    "read-only",
    "quota",
    "admission",
    "slow",
    "hang",
    "half-open",
    "down",
    "reset",
    "expire-watches",
    "html",
    "redirect",
    "broken-line",
    "cut-line",
    "drop-watches",
    "expire",
    "restart",
    "remember",
    "go-back",
    "rotate",
)
"""Of the embedded API server, beside a code that it answers with."""
REAL_API_FAULTS = (
    "quota",
    "admission",
    "restart",
    "remember",
    "go-back",
    "rotate",
    "slow",
    "half-open",
    "down",
    "reset",
    "html",
    "redirect",
    "broken-line",
    "cut-line",
    "expire-watches",
    "hang",
    "read-only",
)
"""Of a real API server, by really doing it, or by what is between it and the nodes."""
FAULTS_FILE = "api-faults.url"
"""In a lab's folder: where the embedded API server is told to fail."""
PROXY_MODES = ("nftables", "ipvs", "ipvs-strict-arp")
CONTROL_PLANES = ("embedded", "envtest")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `purelb-lab up` was asked for."""

    folder: str
    nodes: int = 3
    topology: str | None = None
    """A topology file (see `wire.topologyfile`), which says how many nodes there are; None: the article's hosts."""
    kubeadm: bool = False
    """Whether the article's master asks load balancers to leave it out, as kubeadm has it; files say it themselves."""
    control_plane: str = "embedded"
    node_grace: float = 40.0
    """Seconds without a heartbeat until a node is not ready (kube-controller-manager's default)."""
    proxy_mode: str = "nftables"
    """One of PROXY_MODES; see `kubeproxy.mode`."""
    images: str | None = None
    """A folder of images (see `images`) to run PureLB's programs from; None: those of the machine's file system."""
    ecmp: bool = False
    """Whether the router learns its routes by BGP, from FRR; else they are static."""
    bfd_interval: int = 100
    """Milliseconds between the router's BFD packets; three that are missing are a dead node."""


def command(settings: Settings, progress: int) -> list[str]:
    """The command line of a supervisor with these settings; `progress` is the descriptor it reports on."""
    return [sys.executable, "-m", "lab.command.supervisor", json.dumps(asdict(settings)), str(progress)]
