"""For which addresses this node's NICs answer ARP, beside their own (kernel, ip-sysctl: arp_ignore).

By default the kernel answers on any interface for what is on any other one. kube-proxy in mode ipvs has every VIP on an
interface of its own, on every node, so that all of them answer for it, unless it was told to be strict about that.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CONF: Final = Path("/proc/sys/net/ipv4/conf")


def answering_for_others(nics: Iterable[str], conf: Path = _CONF) -> tuple[str, ...]:
    """Those of these interfaces that answer for addresses of other ones; one that can't be read doesn't count."""
    everywhere = _arp_ignore(conf / "all")
    return tuple(nic for nic in nics if max(everywhere, _arp_ignore(conf / nic)) == 0)


def _arp_ignore(folder: Path) -> int:
    """The value; the kernel goes by the greater one of ``all`` and the interface's."""
    try:
        return int((folder / "arp_ignore").read_text())
    except (OSError, ValueError):
        return 1
