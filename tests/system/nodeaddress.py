"""Which address of a node other programs take for the node's own, by their rules, read from the node's kernel.

In our own words, from Flannel's and Calico's documentation and behaviour:

- Flannel takes the interface of the default route, and there of the addresses that are not deprecated the first one, in
  the kernel's order, a global one before a link-local one, a permanent one before one that has a lifetime, one that is
  not temporary before one that is.
- Calico's ``first-found`` looks at the interfaces from the newest to the oldest, but for those whose names it knows as
  not the node's, and takes the first global address in the kernel's order; ``skip-interface`` leaves out more names,
  ``kubernetes-internal-ip`` doesn't look at interfaces at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

from tests.system.agentlab import AgentLab

CALICO_KNOWS: Final = re.compile(
    r"^(docker|cbr|dummy|virbr|lxcbr|veth|lo|cali|tunl|flannel|kube-ipvs|cni|vxlan\.calico|nodelocaldns)"
)


def flannel(agents: AgentLab, node: str, version: int) -> str | None:
    """The address that Flannel would tell the other nodes."""
    routes = json.loads(agents.ip(node, "-json", f"-{version}", "route", "show", "default"))
    if not routes:
        return None
    usable = [info for info in infos(agents, node, version, routes[0]["dev"]) if not info.get("deprecated")]
    usable.sort(
        key=lambda info: (
            ip_address(info["local"]).is_link_local,
            bool(info.get("dynamic")),  # iproute2's word for not permanent
            bool(info.get("temporary")),
        )
    )
    return usable[0]["local"] if usable else None


def calico(agents: AgentLab, node: str, version: int, skip: str = "") -> str | None:
    """The address that Calico would write into its Node object; ``skip``: names that its user leaves out."""
    links = json.loads(agents.ip(node, "-json", "link", "show"))
    for link in sorted(links, key=lambda link: -link["ifindex"]):
        name = link["ifname"]
        if CALICO_KNOWS.search(name) or (skip and re.search(skip, name)):
            continue
        for info in infos(agents, node, version, name):
            if not ip_address(info["local"]).is_link_local:
                found: str = info["local"]
                return found
    return None


def infos(agents: AgentLab, node: str, version: int, link: str) -> Iterator[dict[str, Any]]:
    """The addresses of a link in the kernel's order."""
    shown = json.loads(agents.ip(node, "-json", f"-{version}", "addr", "show", "dev", link))
    return (info for one in shown if one for info in one.get("addr_info", ()) if info)
