"""The Membership object as the agents' spokesman writes it, for tests without agents."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from purelb import names
from purelb.addresses import parse_network
from purelb.errors import ConflictError
from purelb.kube import core_path, custom_path
from purelb.membership import NAME, MemberNode, Standing, membership_status
from tests.allocator.stage import Stage

LAN = frozenset({parse_network("10.1.0.0/24")})


async def publish(stage: Stage, serving: Iterable[str], *, others: Iterable[str] = ()) -> None:
    """What the spokesman of the agents writes; each node is one of the cluster."""
    nodes = {name: MemberNode(name, Standing.SERVING, "", LAN) for name in serving}
    nodes |= {name: MemberNode(name, Standing.SERVING, "", LAN, speaks=False) for name in others}
    for name in nodes:
        with suppress(ConflictError):
            await stage.kube.create(core_path("nodes"), {"kind": "Node", "metadata": {"name": name}})
    body = {"apiVersion": "purelb.io/v1", "kind": "Membership", "metadata": {"name": NAME, "namespace": "purelb"}}
    with suppress(ConflictError):
        await stage.kube.create(custom_path(names.MEMBERSHIPS, "purelb"), body)
    status = {"status": membership_status(nodes, vips=0)}
    await stage.kube.patch(custom_path(names.MEMBERSHIPS, "purelb", NAME, "status"), status)
