"""All that is wrong, once each: the same of many nodes is one finding, and a cause stands for what follows. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from kubectl_purelb.cluster import Cluster
from kubectl_purelb.diagnosis.installation import of_installation
from kubectl_purelb.diagnosis.kubeproxy import of_proxy, sharpened
from kubectl_purelb.diagnosis.nodes import of_nodes
from kubectl_purelb.diagnosis.others import of_others
from kubectl_purelb.diagnosis.pools import of_pools
from kubectl_purelb.diagnosis.surroundings import Surroundings
from purelb.addresses import listed
from purelb.checks import Check, Finding

_FOLLOWS: Final = {
    Check.GOSSIP_KEY_DIFFERS: {Check.AGENTS_UNHEARD, Check.GOSSIP_KEY_INVALID},
    Check.NOT_INSTALLED: {Check.AGENT_SILENT},
    Check.MEMBERSHIP_STALE: {Check.AGENT_SILENT},
    Check.PROGRAM_NOT_READY: {Check.AGENT_SILENT, Check.MEMBERSHIP_STALE},
    Check.STRICT_ARP: {Check.STRANGER_ANSWERS, Check.TWO_ANSWERS, Check.ARP_ANNOUNCE},
    Check.ARP_MUTE: {Check.NO_ANSWER},
    Check.ARP_FLUX: {Check.TWO_ANSWERS},
    Check.PROXY_ARP: {Check.TWO_ANSWERS},
    Check.STRANGER_ANSWERS: {Check.TWO_ANSWERS},
    Check.AGENTS_UNHEARD: {Check.TWO_ANSWERS},
    Check.OTHER_CONTROLLER: {Check.STRANGER_ANSWERS, Check.TWO_ANSWERS},
    Check.PORT_TAKEN: {Check.PROGRAM_NOT_READY, Check.AGENTS_UNHEARD},
    Check.POOL_NEIGHBOUR: {Check.STRANGER_ANSWERS},
}
"""What isn't told beside its cause."""
_NAMED: Final = 5
_ORDER: Final = {check: number for number, check in enumerate(Check)}


def diagnose(cluster: Cluster, around: Surroundings, now: datetime.datetime) -> tuple[Finding, ...]:
    """``now`` is the time of day."""
    found = [
        *of_installation(cluster, around, now),
        *of_others(cluster, around),
        *of_pools(cluster, around),
        *of_proxy(around),
        *sharpened(of_nodes(cluster, around, now), around.proxy),
    ]
    checks = {one.check for one in found}
    follows = {check for cause in checks for check in _FOLLOWS.get(cause, ())}
    return tuple(_merged(one for one in found if one.check not in follows))


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """The same of several nodes as one."""
    groups: dict[tuple[Check, str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one.check, one.what, one.remedy), []).append(one.about)
    merged = []
    for (check, what, remedy), about in groups.items():
        merged.append(replace(Finding(check, what, remedy), about=_together(about)))
    return sorted(merged, key=lambda one: (_ORDER[one.check], one.about, one.what))


def _together(about: list[str]) -> str:
    names = [one.removeprefix("node ") for one in dict.fromkeys(about)]
    if len(names) == 1:
        return about[0]
    return f"nodes {listed(sorted(names), _NAMED)}"
