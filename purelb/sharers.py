"""On which nodes an address may be, and had better be, for the endpoints of all Services that have it. No I/O.

Who shares an address gets it on the nodes that all of them need, if there are such. But nobody's policy, which may be
changed after it began to share, nor its lack of endpoints, takes the address from another: policy Cluster asks for no
node in particular, and of several with policy Local the oldest that has an endpoint decides.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

from purelb.endpoints import has_affinity
from purelb.services import ServiceKey, ServiceView


class Sharer(NamedTuple):
    """A Service whose endpoints matter to where its addresses are; they sort by who has an address before whom."""

    created: datetime.datetime
    key: ServiceKey
    is_local: bool
    """Only nodes with an endpoint serve it (policy Local); else such nodes should rather have it (node-affinity)."""


def sharer(service: ServiceView) -> Sharer | None:
    """What a Service asks for by its endpoints; None: nothing."""
    is_local = service.external_traffic_policy == "Local"
    return Sharer(service.created, service.key, is_local) if is_local or has_affinity([service]) else None


def nodes_for(
    sharers: Iterable[Sharer | None], endpoints_of: Callable[[ServiceKey], frozenset[str]]
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The nodes that alone may have an address, and those that are to have it rather; None: any.

    ``sharers``: of each Service that has it. ``endpoints_of``: the nodes with endpoints of a Service.
    """
    users = list(sharers)
    local = sorted(one for one in users if one is not None and one.is_local)
    if not local:
        alone = users[0] if len(users) == 1 else None  # affinity doesn't count for a shared address (PureLB v0.17)
        return None, endpoints_of(alone.key) if alone is not None else None
    nodes = [endpoints_of(one.key) for one in local]
    needed = next(filter(None, nodes), frozenset[str]()) if len(local) == len(users) else None
    together = reduce(frozenset.intersection, nodes)
    return needed, together if together and together != needed else None
