"""The LBNodeAgent that the allocator makes at the first start, so that one ``kubectl apply`` installs all.

A custom resource in the same file as its CRD fails at the first apply. It is made only where there is none at all; what
a user made or changed stays. (The other thing that is made is gossipkey.py's.)
"""

from __future__ import annotations

import logging
from typing import Final

from purelb import names
from purelb.backoff import Backoff
from purelb.errors import ConflictError
from purelb.kube import Kube, custom_path
from purelb.preferences import Placement
from purelb.retry import persist

log = logging.getLogger(__name__)

PATIENCE: Final = Backoff(first=0.2, most=2.0)


async def ensure_node_agent(kube: Kube, namespace: str, placement: Placement) -> None:
    """Create the default LBNodeAgent if there is none at all. Raises KubeError.

    It says ``placement`` if that isn't the hash rule, which is what one without a word of it means: so an upgrade moves
    nothing, and a new installation is even.
    """
    if (await kube.list(custom_path(names.LB_NODE_AGENTS))).items:
        return
    local = {"localint": names.DEFAULT_INTERFACE, "extlbint": names.DUMMY_INTERFACE}
    if placement != "hash":
        local["placement"] = placement
    node_agent = {
        "apiVersion": f"{names.GROUP}/{names.READ_VERSION}",
        "kind": "LBNodeAgent",
        "metadata": {
            "name": names.DEFAULT_NODE_AGENT,
            "namespace": namespace,
            "labels": names.labels_of_made(names.ALLOCATOR_COMPONENT),
        },
        "spec": {"local": local},
    }
    try:
        await kube.create(custom_path(names.LB_NODE_AGENTS, namespace), node_agent)
    except ConflictError as error:
        if error.is_there:
            return
        raise
    log.info("LBNodeAgent made", extra={"object": f"{namespace}/{names.DEFAULT_NODE_AGENT}"})


async def install(kube: Kube, namespace: str, placement: Placement) -> None:
    """Tries until it has worked, because the CRDs may be established after we start."""
    await persist("the default LBNodeAgent", lambda: ensure_node_agent(kube, namespace, placement), PATIENCE)
