"""What the allocator makes at the first start, so that one ``kubectl apply`` installs all: gossip key and LBNodeAgent.

A custom resource in the same file as its CRD fails at the first apply, and a key in a manifest is everybody's key. Both
are made only where there is none; what a user made or changed stays.
"""

from __future__ import annotations

import base64
import logging
import secrets
from typing import Final

from purelb import names
from purelb.errors import ConflictError
from purelb.kube import Kube, core_path, custom_path
from purelb.retry import Backoff, persist

log = logging.getLogger(__name__)

KEY_BYTES: Final = 32
"""AES-256."""
PATIENCE: Final = Backoff(first=0.2, most=2.0)


async def ensure_gossip_key(kube: Kube, namespace: str) -> None:
    """Create the Secret with the gossip's key if it isn't there. Raises KubeError."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": names.GOSSIP_SECRET, "namespace": namespace},
        "type": "Opaque",
        "data": {names.GOSSIP_SECRET_KEY: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()},
    }
    try:
        await kube.create(core_path("secrets", namespace), secret)
    except ConflictError:
        return
    log.info("gossip key made", extra={"secret": f"{namespace}/{names.GOSSIP_SECRET}"})


async def ensure_node_agent(kube: Kube, namespace: str) -> None:
    """Create the default LBNodeAgent if there is none at all. Raises KubeError."""
    if (await kube.list(custom_path(names.LB_NODE_AGENTS))).items:
        return
    node_agent = {
        "apiVersion": f"{names.GROUP}/{names.READ_VERSION}",
        "kind": "LBNodeAgent",
        "metadata": {"name": names.DEFAULT_NODE_AGENT, "namespace": namespace},
        "spec": {"local": {"localint": names.DEFAULT_INTERFACE, "extlbint": names.DUMMY_INTERFACE}},
    }
    try:
        await kube.create(custom_path(names.LB_NODE_AGENTS, namespace), node_agent)
    except ConflictError:
        return
    log.info("LBNodeAgent made", extra={"object": f"{namespace}/{names.DEFAULT_NODE_AGENT}"})


async def install(kube: Kube, namespace: str) -> None:
    """Make both; tries until it has worked, because the CRDs may be established after we start."""
    await persist("the gossip key", lambda: ensure_gossip_key(kube, namespace), PATIENCE)
    await persist("the default LBNodeAgent", lambda: ensure_node_agent(kube, namespace), PATIENCE)
