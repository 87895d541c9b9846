"""What `kubectl purelb` shows in a terminal, drawn from its own answers about a cluster of three nodes."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from rich.console import Console

from kubectl_purelb.answers import Answer
from kubectl_purelb.cluster import Cluster, Program, view_config, view_gathering, view_group
from kubectl_purelb.commands.inspect import inspect
from kubectl_purelb.commands.status import status
from kubectl_purelb.commands.top import top
from kubectl_purelb.happenings import view_backends, view_events
from kubectl_purelb.inspection.case import Case
from kubectl_purelb.printing import rendered
from purelb.services import view_service

Json: TypeAlias = dict[str, Any]

NOW: Final = datetime.datetime(2026, 11, 29, 12, 0, tzinfo=datetime.UTC)
SUBNET: Final = "192.168.1.0/24"
PAGE: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 16px; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""As rich has it, without fonts from elsewhere."""


def service(name: str, address: str = "", node: str = "", **annotations: str) -> Json:
    said = {f"purelb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    if address:
        said |= {"purelb.io/allocated-by": "PureLB", "purelb.io/allocated-from": "default"}
    if node:
        said["purelb.io/announcing-IPv4"] = f"{node},eth0"
    return {
        "metadata": {"name": name, "namespace": "shop", "annotations": said},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9", "selector": {"app": name}, "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": address}] if address else []}},
    }


def event(reason: str, message: str, seconds: float, about: str, *, warns: bool = False) -> Json:
    at = (NOW - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"creationTimestamp": at},
        "source": {"component": "purelb-lbnodeagent"},
        "involvedObject": {"kind": "Service", "namespace": "shop", "name": about},
        "reason": reason,
        "message": message,
        "type": "Warning" if warns else "Normal",
        "lastTimestamp": at,
    }


SERVICES: Final = (
    service("web", "192.168.1.200", "w13"),
    service("api", "192.168.1.201", "w12"),
    service("mail", "192.168.1.202", "w12"),
    service("db", "192.168.1.203", "w13"),
    service("search", service_group="edge"),
)
EVENTS: Final = view_events(
    [
        event("AnnouncingLocal", "Node w11 announcing 192.168.1.200 on interface eth0", 2400, "web"),
        event("AnnouncingLocal", "Node w13 announcing 192.168.1.200 on interface eth0", 41, "web"),
        event("AnnouncingLocal", "Node w11 announcing 192.168.1.202 on interface eth0", 2399, "mail"),
        event("AnnouncingLocal", "Node w12 announcing 192.168.1.202 on interface eth0", 41, "mail"),
        event("AddressConflict", "Another host, 52:54:00:12:34:56, answers for 192.168.1.203", 900, "db", warns=True),
    ]
)


def cluster() -> Cluster:
    """w11 fails, so that its addresses are on the others; one Service names a group that isn't there."""
    entry: Json = {"subnets": [SUBNET], "agent": "PureLB", "version": "0.1.0"}
    nodes = [
        {**entry, "name": "w11", "standing": "Failing", "reason": "its kube-proxy doesn't answer", "vips": 0},
        {**entry, "name": "w12", "standing": "Serving", "vips": 2},
        {**entry, "name": "w13", "standing": "Serving", "vips": 2},
    ]
    observed = (NOW - datetime.timedelta(seconds=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    members = {
        "metadata": {"name": "purelb", "namespace": "purelb"},
        "status": {"nodes": nodes, "spokesman": "w12", "observed": observed},
    }
    group = {
        "metadata": {"name": "default", "namespace": "purelb"},
        "spec": {"local": {"v4pool": {"subnet": SUBNET, "pool": "192.168.1.200-192.168.1.220"}}},
        "status": {
            "announce": "Local",
            "allocatedIPv4": 4,
            "availableIPv4": 17,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    config = {"metadata": {"name": "default", "namespace": "purelb"}, "spec": {"local": {"placement": "even"}}}
    return Cluster(
        namespace="purelb",
        services=tuple(map(view_service, SERVICES)),
        groups=(view_group(group),),
        configs=(view_config(config),),
        gathering=view_gathering(members),
        programs={"allocator": Program("allocator", 2, 2, ""), "lbnodeagent": Program("lbnodeagent", 3, 3, "")},
    )


def draw_status() -> str:
    """The screen that an operator sees first, and where it leads."""
    seen = cluster()
    case = Case(seen.find("shop/search", None), seen, (), view_backends([]), NOW)
    shown = [("kubectl purelb status", status(seen, NOW)), ("kubectl purelb inspect shop/search", inspect(case))]
    return _drawn("kubectl purelb status and inspect: what isn't well, why, and what to do", shown)


def draw_top() -> str:
    """The screen that renews itself."""
    shown = [("kubectl purelb top", top(cluster(), EVENTS, NOW))]
    return _drawn("kubectl purelb top: what is well, what each node has, what happened last", shown)


def _drawn(title: str, shown: Sequence[tuple[str, Answer]]) -> str:
    console = Console(
        record=True, file=io.StringIO(), width=120, force_terminal=True, color_system="truecolor", legacy_windows=False
    )
    for command, answer in shown:
        console.print(f"$ {command}", highlight=False, style="bold")
        console.print(rendered(answer, ""))
    text = console.export_svg(title="", code_format=PAGE.replace("TITLE", title), unique_id="t")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
