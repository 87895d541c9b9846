"""The VIPs that are wanted, as the data plane was told, and those that an earlier run left and nobody spoke of yet.

Tells the election of each. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.tables import PresentAddress, WantedVip
from lbnodeagent.wire.dad import DuplicateDetection
from purelb.addresses import IPAddress


class WantedVips:
    """A mapping that changes by what is told."""

    def __init__(self, candidacy: Candidacy, detection: DuplicateDetection) -> None:
        self._candidacy = candidacy
        self._detection = detection
        self._table: dict[IPAddress, WantedVip] = {}
        self._provisional: set[IPAddress] = set()
        """Adopted VIPs that the control plane has said nothing of yet."""

    @property
    def table(self) -> Mapping[IPAddress, WantedVip]:
        return MappingProxyType(self._table)

    def __contains__(self, vip: object) -> bool:
        return vip in self._table

    def __iter__(self) -> Iterator[IPAddress]:
        return iter(self._table)

    def adopt(self, there: PresentAddress) -> None:
        """An earlier run placed it: as good as wanted until the control plane has read everything."""
        self._provisional.add(there.address)
        self._set(there.address, WantedVip(there.address, (), aggregation=there.prefix_length))

    def change(self, vip: IPAddress, wanted: WantedVip | None) -> bool:
        """``vip`` is wanted so, or no longer. Whether it is new."""
        is_new = wanted is not None and vip not in self._table
        self._provisional.discard(vip)
        # Of one that was wanted before this agent had read everything, somebody may have been the owner.
        asks = wanted is not None and (vip.version == 4 or not wanted.skips_dad)
        if self._candidacy.is_synced and is_new and asks:
            self._detection.expect(vip)
        self._set(vip, wanted)
        return is_new

    def begin_again(self) -> None:
        """All that is wanted will be told anew."""
        self._provisional |= self._table.keys()

    def synced(self) -> None:
        """All that is wanted was told: the rest is left over from Services that are gone."""
        for vip in self._provisional:
            self._set(vip, None)
        self._provisional.clear()

    def _set(self, vip: IPAddress, wanted: WantedVip | None) -> None:
        if wanted is None:
            self._table.pop(vip, None)
            self._detection.end(vip)
        else:
            self._table[vip] = wanted
        self._candidacy.want(vip, wanted)
