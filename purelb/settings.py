"""Environment and flags, read once at start into frozen settings. Names are PureLB's, v0.6.1 to v0.17.

A flag wins over its environment variable. Raises SettingsError with one sentence.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from purelb.addresses import parse_address, parse_range
from purelb.credentials import own_namespace
from purelb.errors import AddressError, SettingsError, SpecError
from purelb.flags import Flags
from purelb.gossipkeys import KEY_SIZES
from purelb.names import DEFAULT_ANNOUNCER, GOSSIP_PORT, METRICS_TLS_PORT
from purelb.preferences import Placement, parse_rule
from purelb.tempo import Tempo, tempo_from

KUBE_PROXY_PORT: Final = 10256
RETURN_MOST: Final = 255
"""Seconds: agents tell each other in a byte."""
"""Of kube-proxy's healthz (kube-proxy --healthz-bind-address)."""
_SWITCHES: Final = ("true", "false")


class HostPort(NamedTuple):
    """Where something listens."""

    host: str
    port: int


class PageSettings(NamedTuple):
    """Where the allocator's status page is."""

    port: int
    host: str = "127.0.0.1"
    """Empty: every address."""
    names: frozenset[str] = frozenset()
    """Under which it may be asked for, beside addresses and localhost."""


@dataclass(frozen=True, slots=True)
class CommonSettings:
    """What both programs have."""

    namespace: str
    kubeconfig: Path | None
    host: str
    port: int
    log_level: str
    log_format: Literal["json", "text"] = "json"
    pod: tuple[str, str] | None = None
    """Name and uid of our own pod; None: we run in none, or weren't told."""
    metrics_tls: Path | None = None
    """Folder of the certificate (tls.crt, tls.key) by which the metrics are shown; None: they are shown without TLS."""
    metrics_tls_port: int = METRICS_TLS_PORT


@dataclass(frozen=True, slots=True)
class AllocatorSettings:
    """The allocator's settings."""

    common: CommonSettings
    default_announcer: bool
    """Whether Services without a loadBalancerClass are ours."""
    netbox_token: str | None
    identity: str
    """Who we are in the leader election: the pod's name."""
    forbidden: tuple[str, ...] = ()
    """Addresses, ranges and CIDRs that no Service may be given: gateways, resolvers, hosts outside the cluster."""
    placement: Placement = "even"
    """What the LBNodeAgent says that the allocator makes where there is none."""
    tempo: Tempo = field(default_factory=Tempo)
    """How fast VIPs move that are well where they are."""
    page: PageSettings | None = None
    """None: there is no status page."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], argv: Sequence[str]) -> AllocatorSettings:
        """Raises SettingsError; prints help and exits for ``--help``."""
        arguments = Flags("purelb-allocator", "Give every LoadBalancer Service an address.", environ).read(argv)
        return cls(
            common=_common(arguments, environ),
            default_announcer=environ.get("DEFAULT_ANNOUNCER") == DEFAULT_ANNOUNCER,
            netbox_token=environ.get("NETBOX_USER_TOKEN") or None,
            identity=environ.get("PURELB_POD_NAME") or environ.get("HOSTNAME") or "allocator",
            forbidden=_forbidden(environ.get("PURELB_FORBIDDEN_ADDRESSES", "")),
            placement=_placement(environ.get("PURELB_PLACEMENT") or "even"),
            tempo=tempo_from(environ),
            page=_page(environ),
        )


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The node agent's settings."""

    common: CommonSettings
    node_name: str
    gossip_port: int
    gossip_namespace: str
    """Where the agents' pods are."""
    gossip_labels: str
    """Label selector of the agents' pods; empty: every pod of the namespace that has a node."""
    gossip_key: bytes | None
    """16, 24 or 32 bytes; None: the gossip is not encrypted."""
    gossip_profile: str
    """``fast`` (one data centre) or ``lan`` (memberlist's defaults)."""
    announcing_format: Literal["v1", "v2"] = "v1"
    """The form of the announcing annotations: ``node,interface``, or PureLB v0.17's ``node,interface,ip``."""
    api_host: str = ""
    """Where the cluster says that its API server is (KUBERNETES_SERVICE_HOST), beside a kubeconfig."""
    local_policy: Literal["keep", "reset"] = "keep"
    """What becomes of externalTrafficPolicy Local of an address on a NIC: it holds, or is set to Cluster (PureLB)."""
    bird_socket: Path | None = None
    """BIRD's control socket: addresses of the dummy interface wait for it to have a session. None: they don't."""

    metrics_host: str | None = None
    """Where the metrics are read, and nowhere else; None: where the probes are."""

    asks_first: bool = True
    """Whether the wire is asked for the IPv4 address of a new Service."""

    returns_within: int = 20
    """Seconds for which the addresses of an agent that is replaced stay, until the next one is there; 0: they move."""

    keeps_flows: bool = False
    """Whether connections outlive planned moves of addresses."""

    requires_peers: bool = False
    """Whether an agent that doesn't hear others that run is not ready."""

    kube_proxy: HostPort | None = None
    """Where kube-proxy's health is asked for, on the node's own addresses if no host is given; None: it isn't."""
    gate_probe: HostPort | None = None
    """A Service address that must answer from a node that serves."""
    publishes_lease: bool = True
    """Whether there is a Lease for each node, as PureLB v0.17's readers want it."""

    ownership: Literal["auto", "mark", "ledger"] = "auto"
    """How the agent knows its addresses again: by a mark on them, or by a ledger where the kernel keeps no marks."""
    ledger: Path = Path("/run/purelb")
    """The folder of that ledger; it must outlive the pod."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], argv: Sequence[str]) -> AgentSettings:
        """Raises SettingsError; prints help and exits for ``--help``."""
        parser = Flags("purelb-lbnodeagent", "Announce LoadBalancer addresses on this node.", environ)
        parser.add_argument(
            "--node-name",
            default=environ.get("PURELB_NODE_NAME", ""),
            help="this node's name in Kubernetes (PURELB_NODE_NAME)",
        )
        parser.add_argument(
            "--gossip-port",
            type=int,
            default=environ.get("PURELB_GOSSIP_PORT", str(GOSSIP_PORT)),
            help="UDP and TCP port of the gossip (PURELB_GOSSIP_PORT)",
        )
        parser.choice(
            "--gossip-profile", "PURELB_GOSSIP_PROFILE", ("steady", "fast", "lan"), "how soon a silent node is given up"
        )
        parser.add_argument(
            "--memberlist-ns",
            default=environ.get("PURELB_ML_NAMESPACE", ""),
            help="namespace of the agents' pods (PURELB_ML_NAMESPACE)",
        )
        parser.add_argument(
            "--memberlist-labels",
            default=environ.get("PURELB_ML_LABELS", ""),
            help="label selector of the agents' pods (PURELB_ML_LABELS)",
        )
        parser.choice(
            "--announcing-format",
            "PURELB_ANNOUNCING_FORMAT",
            ("v1", "v2"),
            "form of the announcing annotations: v1 is node,interface, v2 is node,interface,ip",
        )
        parser.choice(
            "--local-policy",
            "PURELB_LOCAL_POLICY",
            ("keep", "reset"),
            "policy Local of an address on a NIC: keep it, or reset it to Cluster",
        )
        parser.add_argument(
            "--bird-socket",
            default=environ.get("PURELB_BIRD_SOCKET", ""),
            help="BIRD's control socket; addresses of kube-lb0 wait until BIRD has a session (PURELB_BIRD_SOCKET)",
        )
        parser.add_argument(
            "--metrics-host",
            default=environ.get("PURELB_METRICS_HOST", ""),
            help="address on which alone /metrics is served, such as 127.0.0.1; empty: as the probes "
            "(PURELB_METRICS_HOST)",
        )
        parser.choice(
            "--require-peers",
            "PURELB_REQUIRE_PEERS",
            _SWITCHES,
            "true: not ready while agents that run aren't heard in the gossip",
            default="false",
        )
        parser.add_argument(
            "--kube-proxy-health",
            default=environ.get("PURELB_KUBE_PROXY_HEALTH") or str(KUBE_PROXY_PORT),
            help="port or host:port where kube-proxy tells its health; off: it isn't asked (PURELB_KUBE_PROXY_HEALTH)",
        )
        parser.add_argument(
            "--gate-probe",
            default=environ.get("PURELB_GATE_PROBE", ""),
            help="ip:port of a Service that must answer from a node before it gets VIPs (PURELB_GATE_PROBE)",
        )
        parser.choice(
            "--ask-first", "PURELB_ASK_FIRST", _SWITCHES, "true: a new IPv4 address that another host has is left to it"
        )
        parser.choice(
            "--keep-flows",
            "PURELB_KEEP_FLOWS",
            _SWITCHES,
            "true: connections outlive planned moves of addresses, and routers that hash anew",
            default="false",
        )
        parser.add_argument(
            "--return-within",
            default=environ.get("PURELB_RETURN_WITHIN") or "20",
            help="seconds for which addresses stay while an agent is replaced by the next one; 0: they move at once "
            "(PURELB_RETURN_WITHIN)",
        )
        parser.choice(
            "--node-lease",
            "PURELB_NODE_LEASE",
            _SWITCHES,
            "true: a Lease purelb-node-NODE tells where this node announces",
        )
        parser.choice(
            "--ownership",
            "PURELB_OWNERSHIP",
            ("auto", "mark", "ledger"),
            "how the agent knows its addresses again: mark (Linux 5.18 on), ledger, or auto",
        )
        parser.add_argument(
            "--ledger",
            default=environ.get("PURELB_LEDGER") or "/run/purelb",
            help="folder of that ledger (PURELB_LEDGER)",
        )
        arguments = parser.read(argv)
        if not arguments.node_name:
            raise SettingsError("the node's name is missing: set PURELB_NODE_NAME or --node-name")
        common = _common(arguments, environ)
        if arguments.metrics_host and not common.host:
            raise SettingsError("PURELB_METRICS_HOST needs PURELB_HOST: on every address there are the metrics too")
        return cls(
            common=common,
            node_name=arguments.node_name,
            gossip_port=arguments.gossip_port,
            gossip_namespace=arguments.memberlist_ns or common.namespace,
            gossip_labels=arguments.memberlist_labels,
            gossip_key=_key(environ.get("ML_GROUP", "")),
            gossip_profile=arguments.gossip_profile,
            announcing_format=arguments.announcing_format,
            api_host=environ.get("KUBERNETES_SERVICE_HOST", ""),
            local_policy=arguments.local_policy,
            bird_socket=Path(arguments.bird_socket) if arguments.bird_socket else None,
            metrics_host=arguments.metrics_host or None,
            requires_peers=arguments.require_peers == "true",
            kube_proxy=_kube_proxy(arguments.kube_proxy_health),
            gate_probe=_gate_probe(arguments.gate_probe),
            asks_first=arguments.ask_first == "true",
            returns_within=_seconds(arguments.return_within),
            keeps_flows=arguments.keep_flows == "true",
            publishes_lease=arguments.node_lease == "true",
            ownership=arguments.ownership,
            ledger=Path(arguments.ledger),
        )


def _common(arguments: argparse.Namespace, environ: Mapping[str, str]) -> CommonSettings:
    name, uid = environ.get("PURELB_POD_NAME", ""), environ.get("PURELB_POD_UID", "")
    return CommonSettings(
        namespace=arguments.namespace or own_namespace(environ),
        kubeconfig=arguments.kubeconfig,
        host=arguments.host,
        port=arguments.port,
        log_level=arguments.log_level,
        log_format=arguments.log_format,
        pod=(name, uid) if name and uid else None,
        metrics_tls=Path(arguments.metrics_tls) if arguments.metrics_tls else None,
        metrics_tls_port=arguments.metrics_tls_port,
    )


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) > RETURN_MOST:
        raise SettingsError(f'PURELB_RETURN_WITHIN "{text}" is no number of seconds from 0 to {RETURN_MOST}')
    return int(text)


def _page(environ: Mapping[str, str]) -> PageSettings | None:
    text = environ.get("PURELB_PAGE_PORT", "")
    if text in ("", "off"):
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SettingsError(f'PURELB_PAGE_PORT "{text}" is neither a port nor off')
    names = environ.get("PURELB_PAGE_NAMES", "").replace(",", " ").lower().split()
    return PageSettings(int(text), environ.get("PURELB_PAGE_HOST", "127.0.0.1"), frozenset(names))


def _forbidden(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.replace(",", " ").split())
    try:
        for part in parts:
            parse_range(part)
    except AddressError as error:
        raise SettingsError(f"PURELB_FORBIDDEN_ADDRESSES: {error}") from None
    return parts


def _kube_proxy(text: str) -> HostPort | None:
    if text == "off":
        return None
    try:
        return _host_port(text if ":" in text else f":{text}")
    except ValueError:
        raise SettingsError(f'PURELB_KUBE_PROXY_HEALTH "{text}" is neither a port, nor host:port, nor off') from None


def _gate_probe(text: str) -> HostPort | None:
    if not text:
        return None
    try:
        place = _host_port(text)
    except ValueError:
        place = HostPort("", 0)
    if not place.host:
        raise SettingsError(f'PURELB_GATE_PROBE "{text}" is not of the form ip:port')
    return place


def _host_port(text: str) -> HostPort:
    """Raises ValueError."""
    host, _, number = text.rpartition(":")
    port = int(number)
    if not 0 < port < 65536:
        raise ValueError(f"port {port}")
    return HostPort(str(parse_address(host.removeprefix("[").removesuffix("]"))) if host else "", port)


def _placement(text: str) -> Placement:
    try:
        return parse_rule(text, "PURELB_PLACEMENT") or "even"
    except SpecError as error:
        raise SettingsError(str(error)) from None


def _key(text: str) -> bytes | None:
    """The gossip key as PureLB reads it: the bytes of the text itself."""
    key = text.encode()
    if not key:
        return None
    if len(key) not in KEY_SIZES:
        raise SettingsError(f"ML_GROUP has {len(key)} bytes, but a gossip key has 16, 24 or 32")
    return key
