"""Annotations that mean nothing to PureLB though their author meant something: misspelt, or another project's. Pure.

It reads keys only. Any tenant writes annotations, so what is looked at and quoted is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from purelb import names

MOST: Final = 5
"""Keys that are told of at once."""
LOOKED_AT: Final = 100
"""Keys of other domains cost next to nothing; each one of ours that is unknown is compared with all."""
WIDEST: Final = 64
"""Characters of a key's name (Kubernetes has no more after the slash)."""

USERS: Final = (
    names.SERVICE_GROUP,
    names.ADDRESSES,
    names.ALLOW_SHARED_IP,
    names.ALLOW_LOCAL,
    names.MULTI_POOL,
    names.NODE_AFFINITY,
    names.PREFERRED_NODES,
    names.RE_EVALUATE,
    names.SPREAD_GROUP,
)
"""What users write."""
OURS: Final = frozenset(
    {
        *USERS,
        names.ALLOCATED_BY,
        names.ALLOCATED_FROM,
        names.ALLOCATED_ADDRESSES,
        names.POOL_TYPE,
        names.SKIP_IPV6_DAD,
        names.PLACEMENT,
        *names.ANNOUNCING_KEYS,
        "purelb.io/announcing",
        "purelb.io/announcing-unknown",
    }
)
"""What we write or wrote, too (the last two: PureLB, only ever deleted)."""
PREFIX: Final = f"{names.GROUP}/"

METALLB: Final = {
    "address-pool": names.SERVICE_GROUP,
    "ip-allocated-from-pool": "",
    "loadBalancerIPs": names.ADDRESSES,
    "allow-shared-ip": names.ALLOW_SHARED_IP,
}
OTHERS: Final = {
    **{f"{domain}/{key}": meant for domain in ("metallb.universe.tf", "metallb.io") for key, meant in METALLB.items()},
    "kube-vip.io/loadbalancerIPs": names.ADDRESSES,
    "lbipam.cilium.io/ips": names.ADDRESSES,
    "io.cilium/lb-ipam-ips": names.ADDRESSES,
    "lbipam.cilium.io/sharing-key": names.ALLOW_SHARED_IP,
    "io.cilium/lb-ipam-sharing-key": names.ALLOW_SHARED_IP,
    "eip.openelb.kubesphere.io/v1alpha2": names.SERVICE_GROUP,
}
"""Keys of MetalLB, kube-vip, Cilium and OpenELB that ask for something, and ours that asks for the same; empty for what
those programs write themselves."""


def is_of_interest(key: str) -> bool:
    """Whether any program of ours reads this annotation, or tells its author that it means nothing."""
    return key.startswith(PREFIX) or key in OTHERS


def meaningless(annotations: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each key that means nothing here, the first ``MOST`` in the order of their names."""
    found = []
    for key in sorted(islice((key for key in annotations if _is_odd(key)), LOOKED_AT))[:MOST]:
        if (meant := OTHERS.get(key)) is not None:
            found.append(f"the annotation {key} means nothing to PureLB; the same is asked for by {meant}")
        else:
            near = _nearest(key)
            hint = f"did you mean {near}?" if near else f"it knows {', '.join(USERS)}"
            found.append(f"the annotation {key} means nothing to PureLB; {hint}")
    return tuple(found)


def _is_odd(key: str) -> bool:
    """Whether its author asks for something in a key that is unknown."""
    if key.startswith(PREFIX):
        return key not in OURS
    return bool(OTHERS.get(key))


def _nearest(key: str) -> str | None:
    """The key of ours that was meant, whatever the case and the words' joints."""
    from difflib import get_close_matches  # most programs never meet a key that means nothing; 0.25 MB of memory

    plain = {_plain(known): known for known in USERS}
    near = get_close_matches(_plain(key)[:WIDEST], plain, n=1, cutoff=0.7)
    return plain[near[0]] if near else None


def _plain(key: str) -> str:
    return key.removeprefix(PREFIX).lower().replace("-", "").replace("_", "").replace(".", "")
