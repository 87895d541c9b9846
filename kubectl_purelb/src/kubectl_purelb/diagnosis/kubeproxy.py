"""What kube-proxy's ConfigMap says beside the agents' looks: of nodes without one, and how to mend it. Pure.

kube-proxy reads it when it starts: what a node shows is what it did then. In mode ipvs a node without an agent answers
for VIPs as one with an agent does, and nobody looks there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from kubectl_purelb.diagnosis.surroundings import ProxyConfig, Surroundings
from purelb.addresses import listed
from purelb.checks import Check, Finding

_NAMED: Final = 5
_BY_STRICT_ARP: Final = frozenset({Check.STRICT_ARP, Check.ARP_ANNOUNCE})
"""What kube-proxy's strictARP sets."""
_RESTART: Final = "kubectl rollout restart ds/kube-proxy -n kube-system"


def of_proxy(around: Surroundings) -> Iterable[Finding]:
    """Of nodes where no agent has looked."""
    proxy = around.proxy
    if proxy is None or not proxy.is_loose:
        return
    unseen = [node.name for node in around.nodes if _is_unseen(node.name, around)]
    if unseen:
        what = (
            f"kube-proxy is in mode ipvs without strictARP ({proxy.where}), and no agent has looked how the kernel of "
            f"{listed(unseen, _NAMED)} is set: it answers ARP for every VIP"
        )
        yield Finding(Check.STRICT_ARP, what, _remedy(proxy), "kube-proxy")


def _is_unseen(node: str, around: Surroundings) -> bool:
    word = around.words.get(node)
    return word is None or word.findings is None


def sharpened(found: Iterable[Finding], proxy: ProxyConfig | None) -> Iterable[Finding]:
    """What agents found, with the remedy that the ConfigMap shows to be the right one."""
    for one in found:
        if proxy is not None and one.check in _BY_STRICT_ARP:
            yield replace(one, remedy=_remedy(proxy))
        else:
            yield one


def _remedy(proxy: ProxyConfig) -> str:
    if proxy.is_loose:
        return f"kubectl edit {proxy.where}: ipvs.strictARP: true; then {_RESTART}"
    if proxy.is_ipvs:
        return f"{_RESTART}: {proxy.where} has strictARP: true, and it is read at the start"
    return (
        f"ip link delete kube-ipvs0 on the node: it was left when kube-proxy's mode was changed to {proxy.mode}, as "
        f"{proxy.where} says; or {_RESTART}, if that hasn't been done since"
    )
