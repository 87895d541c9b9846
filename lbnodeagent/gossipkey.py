"""Where the gossip's key comes from: ML_GROUP, as PureLB v0.6 to v0.13 has it, else the Secret of the allocator."""

from __future__ import annotations

from purelb import names
from purelb.errors import NotFoundError
from purelb.kube import Kube, core_path, decode_secret
from purelb.persistence import Backoff, persist
from purelb.settings import AgentSettings


async def gossip_key(kube: Kube, settings: AgentSettings) -> bytes:
    """The key, 16, 24 or 32 bytes; waits until the Secret is there, as agents may start before the allocator.

    An agent without a key could not talk to those that have one, and would announce what they announce.
    """
    if settings.gossip_key is not None:
        return settings.gossip_key
    path = core_path("secrets", settings.common.namespace, names.GOSSIP_SECRET)

    async def read() -> bytes:
        key = decode_secret(await kube.get(path), names.GOSSIP_SECRET_KEY)
        if not key:
            raise NotFoundError(f"the Secret {names.GOSSIP_SECRET} has no entry {names.GOSSIP_SECRET_KEY}")
        return key

    return await persist("the gossip key", read, Backoff(first=0.1, most=1.0))
