"""What the looks at the node are to go by, and where what they find is told: on the Node, in the metrics, in its Lease.

What is looked at and what is wrong is checkup's; used from the control plane's loop only.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random
from typing import Final

from lbnodeagent.checkup.facts import Expected
from lbnodeagent.checkup.findings import CHECKS
from lbnodeagent.checkup.watch import Looked
from lbnodeagent.gossip.keyrotation import fingerprint
from lbnodeagent.kernel.holdings import keeps_marks
from lbnodeagent.kubernetes.nodelease import NodeLease
from lbnodeagent.kubernetes.nodewarnings import NodeWarnings
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.messages import Configured, KeysKnown, Peer, PeersKnown, Told
from lbnodeagent.tables import Members
from lbnodeagent.wire.frames import format_mac
from purelb import checks, names, nodefacts
from purelb.addresses import IPAddress
from purelb.announcing import parse
from purelb.nodefacts import NodeFacts
from purelb.settings import AgentSettings

SOME: Final = 16
"""VIPs of which it is looked who announces them: there may be ten thousand."""
ANNOUNCING: Final = {4: names.ANNOUNCING_IPV4, 6: names.ANNOUNCING_IPV6}
"""By the version of IP, where a Service says who announces it."""
NOBODY: Final = Members(frozenset())


class Checkups:
    """Knows what was told last of all that a look goes by."""

    def __init__(
        self,
        settings: AgentSettings,
        wanted: WantedTable,
        warnings: NodeWarnings,
        lease: NodeLease | None,
        chance: Random,
    ) -> None:
        self._chance = chance
        self._settings = settings
        self._wanted = wanted
        self._warnings = warnings
        self._lease = lease
        self._members = NOBODY
        self._pods: frozenset[Peer] = frozenset()
        self._keys: tuple[bytes, ...] = ()
        self._dummy = ""
        self._marks: tuple[int, ...] = ()
        self._facts = NodeFacts()

    def told(self, told: Iterable[Told | None]) -> None:
        """What the data plane is told."""
        for one in told:
            match one:
                case KeysKnown(keys):
                    self._keys = keys
                case PeersKnown(peers):
                    self._pods = peers
                case Configured(config):
                    self._dummy = config.dummy_interface
                    self._marks = config.return_path.marks if config.return_path is not None else ()
                case _:
                    continue

    def members_are(self, members: Members) -> None:
        """Who is heard, and where this node announces."""
        self._members = members

    def expected(self) -> Expected:
        """What is meant to be now."""
        groups = self._wanted.groups
        pools = tuple((group.name, pool.range) for group in groups for pool in group.pools)
        remote = [pool.range for group in groups if group.scope == "remote" for pool in group.pools]
        is_routed = any(vip in addresses for vip in self._wanted.table for addresses in remote)
        return Expected(
            subnets=self._members.subnets,
            pools=pools,
            vips=frozenset(self._wanted.table),
            must_mark=self._settings.ownership == "mark",
            ledger=None if keeps_marks(os.uname().release) else self._settings.ledger,
            gossip_port=self._settings.gossip_port,
            metrics_port=self._settings.common.port,
            dummy=self._dummy if is_routed else "",
            marks=self._marks,
        )

    def heard_peers(self) -> Sequence[Peer]:
        """The agents that are heard, with their addresses."""
        return sorted(peer for peer in self._pods if peer.node in self._members.nodes)

    def announced(self, those: Collection[IPAddress]) -> Mapping[IPAddress, str]:
        """Some VIPs, those named among them, that other nodes announce which are heard; by the Services' words."""
        table = self._wanted.table
        chosen = [vip for vip in those if vip in table]
        chosen += self._chance.sample(list(table), min(SOME, len(table)))
        found = {}
        for vip in chosen:
            for service in self._wanted.users(vip)[:1]:
                vips = [address for address in service.ingress if address.version == vip.version]
                entries = parse(service.annotations.get(ANNOUNCING[vip.version]), vips)
                nodes = [one.node for one in entries if one.ip == vip and one.node != self._settings.node_name]
                if len(nodes) == 1 and nodes[0] in self._members.nodes:
                    found[vip] = nodes[0]
        return found

    def looked(self, looked: Looked, now: float) -> None:
        """What a look found."""
        self._warnings.looked(CHECKS, looked.findings, now)
        self._facts = NodeFacts(
            mtus={subnet: nic.mtu for nic in looked.facts.nics for subnet in nic.subnets if nic.mtu is not None},
            gateways=looked.facts.gateways,
            keys=tuple(map(fingerprint, self._keys)),
            macs={
                subnet: format_mac(nic.mac)
                for nic in looked.facts.nics
                for subnet in (*nic.subnets, *nic.subnets6)
                if nic.mac is not None
            },
        )
        self.publish(now)

    def publish(self, now: float) -> None:
        """Have the Lease say what is so now, as far as the node was looked at."""
        if self._lease is not None and self._facts.keys:
            self._lease.says(names.LEASE_FINDINGS, checks.told(self._warnings.found(now)))
            self._lease.says(names.LEASE_FACTS, nodefacts.told(self._facts))
