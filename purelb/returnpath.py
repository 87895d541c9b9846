"""What an LBNodeAgent says of the way by which answers leave (``local.returnPath``), or why that is refused.

No I/O. The bits of a packet's mark that others use are in docs/layer2.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from purelb.addresses import IPAddress
from purelb.errors import SpecError

Json: TypeAlias = Mapping[str, Any]

MARK_BITS: Final = (12,)
"""0x1000: of all it is used least. 14 and 15 are kube-proxy's, 13 the portmap plugin's, 16 to 31 Calico's, 0 to 11 and
16 to 31 Cilium's, which has 12 to 15 for IPsec and in a cluster mesh. Source: https://github.com/fwmark/registry.
"""
KUBE_PROXYS: Final = frozenset({14, 15})
"""--iptables-masquerade-bit, and the one that drops (kubernetes/pkg/proxy/iptables)."""
BITS_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """Answers to what came in for a VIP leave by the NIC that it came in by."""

    gateways: tuple[IPAddress, ...] = ()
    """Routers, each on a subnet of VIPs; of those that none is named for, the NIC's own default route says it."""
    mark_bits: tuple[int, ...] = MARK_BITS
    """By which the kernel knows them: n of them tell 2 to the n, less one, subnets of a family apart."""

    @property
    def marks(self) -> tuple[int, ...]:
        """All that these bits can say but nothing; the last one has all of them."""
        marks = [0]
        for bit in self.mark_bits:
            marks += [mark | 1 << bit for mark in marks]
        return tuple(marks[1:])


@dataclass(frozen=True, slots=True)
class ReturnPathTrouble:
    """Why answers of some VIPs leave by another NIC than they should, a clause for each; none: they don't."""

    reasons: tuple[str, ...]


def parse_return_path(block: Json | None) -> ReturnPath | None:
    """None: answers leave as the node's routes say. Raises SpecError with one sentence."""
    if block is None or not block.get("enabled", False):
        return None
    bits = block.get("markBits")
    return ReturnPath(
        gateways=tuple(_parse_gateway(text) for text in block.get("gateways") or ()),
        mark_bits=MARK_BITS if bits is None else _parse_bits(bits),
    )


def _parse_gateway(text: str) -> IPAddress:
    try:
        gateway = ip_address(text)
    except ValueError:
        raise SpecError(f'returnPath.gateways: "{text}" is no address') from None
    if gateway.is_multicast or gateway.is_loopback or gateway.is_unspecified or gateway.is_link_local:
        raise SpecError(f'returnPath.gateways: "{text}" is no router\'s address on a subnet')
    return gateway


def _parse_bits(bits: list[int]) -> tuple[int, ...]:
    chosen = tuple(sorted(set(bits)))
    if not 1 <= len(chosen) <= BITS_MOST or not all(0 <= bit <= 31 for bit in chosen):
        raise SpecError(f"returnPath.markBits: one to {BITS_MOST} bits, each from 0 to 31")
    if KUBE_PROXYS & set(chosen):
        raise SpecError("returnPath.markBits: bits 14 and 15 are kube-proxy's")
    return chosen
