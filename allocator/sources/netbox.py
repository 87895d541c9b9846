"""A NetBox as a source: a tenant's reserved addresses are the pool, and an active one says whose it is.

The claim is the description: the Service's name and the cluster's identity, written together with the status. So a
claim whose answer was lost, or whose allocator was killed, is found again by it, and whoever reads NetBox sees who has
an address. Two who want the same address are told apart by a conditional write (NetBox 4.6 and later), and by reading
the claim again before it counts: see ``_claim``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from allocator.sources.netboxclient import Change, Entry, EntryRefusedError, NetboxClient
from allocator.sources.source import Ask, Capacity, SourceError, Survey
from purelb.addresses import Family, IPAddress, family_of
from purelb.services import ServiceKey

log = logging.getLogger(__name__)

SETTLE: Final = 1.0
"""Seconds after which a claim is read again where NetBox takes every write."""
SETTLE_CONDITIONAL: Final = 0.25
"""Part of that where it refuses a write that another forestalled; two that arrive together may both pass."""
LATE: Final = 45.0
"""Seconds that a claim waits which took longer than SETTLE to write. Longer than the pause between two surveys, in
which whoever stands on the address by then puts its own name back."""
TRIES: Final = 5
"""Addresses of which NetBox may refuse a change, one after another, before a Service is told."""
REFUSED: Final = 600.0
"""Seconds for which such an address isn't tried again."""
_MARKER: Final = re.compile(r"([a-z0-9][-a-z0-9]{0,62})/([a-z][-a-z0-9]{0,62}) \(PureLB (\S+)\)")


def marker_of(service: ServiceKey, cluster: str) -> str:
    """The description of an address that a Service has: at most 173 characters, of NetBox's 200."""
    return f"{service} (PureLB {cluster})"


def read_marker(description: str) -> tuple[ServiceKey, str] | None:
    """The Service and the cluster that a description names; None if it is none of PureLB's."""
    found = _MARKER.fullmatch(description)
    return (ServiceKey(found[1], found[2]), found[3]) if found else None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A change of a reserved address that NetBox refused."""

    family: Family
    sentence: str
    until: float


class NetboxSource:
    """One ServiceGroup's NetBox. Times are in seconds."""

    counts_services = False

    def __init__(
        self,
        url: str,
        token: str,
        tenant: str,
        cluster: str,
        clock: Callable[[], float],
        settle: float = SETTLE,
        late: float = LATE,
    ) -> None:
        """``clock``: monotonic."""
        self._client = NetboxClient(url, token, tenant)
        self._clock = clock
        self._tenant = tenant
        self._cluster = cluster
        self._settle = settle
        self._late = late
        self._picked: set[int] = set()
        """Entries that we are about to claim."""
        self._sure: set[IPAddress] = set()
        """Addresses whose claim has been proved."""
        self._claimed: dict[IPAddress, float] = {}
        """When we wrote our latest claims."""
        self._refusals: dict[int, _Refusal] = {}
        """By the entry's id."""

    async def close(self) -> None:
        self._client.close()

    # --- allocating --------------------------------------------------------------------------------------------------

    async def allocate(self, ask: Ask) -> tuple[IPAddress, ...]:
        marker = marker_of(ask.service, self._cluster)
        held = [
            entry.address
            for entry in await self._client.described(marker)
            if entry.address not in ask.lost and await self._is_proved(entry)
        ]
        if not ask.pinned:
            # Two allocators, one of them deposed, may have claimed one each; the survey gives back what is too much.
            best_first = sorted(held, key=lambda address: (address not in ask.held, int(address)))
            held = list({family_of(address): address for address in reversed(best_first)}.values())
        fresh: list[IPAddress] = []
        try:
            if ask.pinned:
                for address in set(ask.pinned).difference(held):
                    taken = await self._claim_pinned(address, marker)
                    fresh.append(taken)
            else:
                await self._claim_missing(ask, held, fresh, marker)
        except SourceError as error:
            if fresh and error.kind != "outage":
                await self.release(ask.service, frozenset(fresh))  # all or none
            raise
        order = list(ask.families)
        return tuple(sorted([*held, *fresh], key=lambda address: _position(family_of(address), order)))

    async def _claim_missing(self, ask: Ask, held: list[IPAddress], fresh: list[IPAddress], marker: str) -> None:
        """One address of each family that isn't held. They go to ``fresh`` as they come, for whoever must undo it."""
        has = {family_of(address) for address in held}
        wanted = ask.families or ((Family.IPV6, Family.IPV4) if not has else ())
        takes_one = ask.takes_one_family or not ask.families
        empty: list[Family] = []
        for family in wanted:
            if family in has or (not ask.families and fresh):
                continue
            address = await self._claim_first(family, marker)
            if address is not None:
                fresh.append(address)
            else:
                empty.append(family)
        if empty and not (takes_one and (held or fresh)):
            raise SourceError(self._why_none(empty), kind="exhausted")

    def _why_none(self, families: list[Family]) -> str:
        sentence = f'NetBox has no reserved {" and ".join(map(str, families))} address for tenant "{self._tenant}"'
        refusal = next((refusal for refusal in self._refusals.values() if refusal.family in families), None)
        return sentence if refusal is None else f"{sentence} that it lets us change: {refusal.sentence}"

    async def _claim_first(self, family: Family, marker: str) -> IPAddress | None:
        """The first reserved address that we get; None if there is none."""
        now = self._clock()
        self._refusals = {number: refusal for number, refusal in self._refusals.items() if now < refusal.until}
        lost: set[int] = set()
        tries = TRIES
        while tries and (candidates := await self._client.reserved(family, lost | self._picked | set(self._refusals))):
            entry = next((one for one in candidates if one.id not in self._picked), None)
            if entry is None:
                continue  # others of ours were quicker
            try:
                if await self._claim(entry, marker):
                    return entry.address
            except EntryRefusedError as error:
                self._refusals[entry.id] = _Refusal(family, str(error), now + REFUSED)
                tries -= 1
            lost.add(entry.id)
        return None

    async def _claim_pinned(self, address: IPAddress, marker: str) -> IPAddress:
        sentence = f'NetBox does not have "{address}" as reserved for tenant "{self._tenant}"'
        for entry in await self._client.at(address):
            try:
                if entry.status == "reserved" and entry.id not in self._picked and await self._claim(entry, marker):
                    return address
            except EntryRefusedError as error:
                sentence = str(error)
        raise SourceError(sentence, kind="refused")

    async def _claim(self, entry: Entry, marker: str) -> bool:
        """Write our name to a reserved address; whether it is ours then.

        Whoever read it as reserved before we wrote may write after us. If that one was quick, at most SETTLE passes
        from its reading to its writing: reading again after SETTLE we see its name, and give way. If it was slow, it
        knows, and waits for LATE: meanwhile our survey puts our name back.
        """
        self._picked.add(entry.id)
        try:
            change = await self._client.change(entry.id, lambda now: now.status == "reserved", "active", marker)
            if change is None:
                return False
            self._claimed[entry.address] = self._clock()
            await asyncio.sleep(self._pause(change))
            return await self._reads_as(entry, marker)
        finally:
            self._picked.discard(entry.id)

    def _pause(self, change: Change) -> float:
        if change.is_conditional:
            return self._settle * SETTLE_CONDITIONAL
        return self._settle if change.seconds <= self._settle else self._late

    async def _is_proved(self, entry: Entry) -> bool:
        """Whether a claim that was found by its name counts: it may have been written late over somebody else's."""
        if entry.address in self._sure:
            return True
        found = await self._client.read(entry.id)
        if found is None or found[0] != entry:
            return False
        if not found[1]:
            await asyncio.sleep(self._late)
        return await self._reads_as(entry, entry.description)

    async def _reads_as(self, entry: Entry, marker: str) -> bool:
        found = await self._client.read(entry.id)
        if found is None or (found[0].status, found[0].description) != ("active", marker):
            return False
        self._sure.add(entry.address)
        return True

    # --- giving back -------------------------------------------------------------------------------------------------

    async def release(self, service: ServiceKey, addresses: frozenset[IPAddress] | None) -> None:
        marker = marker_of(service, self._cluster)
        if addresses is None:
            entries = await self._client.described(marker)
        else:
            entries = [entry for address in addresses for entry in await self._client.at(address)]

        def is_its(entry: Entry) -> bool:
            return (entry.status, entry.description) == ("active", marker)

        refusal: EntryRefusedError | None = None
        for entry in filter(is_its, entries):
            self._sure.discard(entry.address)
            self._claimed.pop(entry.address, None)
            try:
                await self._client.change(entry.id, is_its, "reserved", "")
            except EntryRefusedError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    # --- looking around ----------------------------------------------------------------------------------------------

    async def survey(self, shown: Mapping[ServiceKey, frozenset[IPAddress]]) -> Survey:
        entries = await self._client.all()
        holdings: dict[ServiceKey, set[IPAddress]] = {}
        known: dict[IPAddress, Entry] = {}
        for entry in entries:
            owner = self._owner(entry)
            if owner is not None and owner[1] == self._cluster:
                holdings.setdefault(owner[0], set()).add(entry.address)
                known[entry.address] = entry
            else:
                known.setdefault(entry.address, entry)
        disputes: dict[ServiceKey, str] = {}
        for service, addresses in shown.items():
            for address in addresses:
                trouble = await self._reconcile(service, address, known.get(address), shown)
                if trouble is None:
                    holdings.setdefault(service, set()).add(address)
                else:
                    disputes[service] = trouble
        in_use = {address for addresses in holdings.values() for address in addresses}
        free = [entry.address for entry in entries if entry.status == "reserved" and entry.address not in in_use]
        return Survey(
            Capacity(_count(in_use), _count([*in_use, *free]), (f"tenant {self._tenant}",)),
            {service: frozenset(addresses) for service, addresses in holdings.items()},
            disputes,
        )

    async def _reconcile(
        self,
        service: ServiceKey,
        address: IPAddress,
        entry: Entry | None,
        shown: Mapping[ServiceKey, frozenset[IPAddress]],
    ) -> str | None:
        """See to it that NetBox names who has an address; the sentence to say where it isn't ours to name."""
        if entry is None:
            found = await self._client.at(address)
            if not found:
                return f'NetBox does not know "{address}" of tenant "{self._tenant}" any more'
            entry = found[0]
            if entry.status not in ("active", "reserved"):
                return f'NetBox shows "{address}" as {entry.status}'
        owner = self._owner(entry)
        if owner is not None and owner[1] == self._cluster:
            if owner[0] == service:
                self._sure.add(address)
            if owner[0] == service or address in shown.get(owner[0], ()):
                return None  # its own, or shared
        elif owner is not None and not self._is_recent(address):
            return f'NetBox shows "{address}" as the address of {owner[0]} in another cluster ({owner[1]})'
        # Nobody's by name: an older PureLB's, a sharer's whose first holder left, or under a claim that came late.
        try:
            await self._client.change(entry.id, lambda now: now == entry, "active", marker_of(service, self._cluster))
        except EntryRefusedError as error:
            return str(error)
        return None

    def _is_recent(self, address: IPAddress) -> bool:
        claimed = self._claimed.get(address)
        return claimed is not None and self._clock() - claimed < self._late

    @staticmethod
    def _owner(entry: Entry) -> tuple[ServiceKey, str] | None:
        return read_marker(entry.description) if entry.status == "active" else None


def _position(family: Family, order: list[Family]) -> int:
    return order.index(family) if family in order else len(order)


def _count(addresses: set[IPAddress] | list[IPAddress]) -> dict[Family, int]:
    count: dict[Family, int] = {}
    for address in addresses:
        count[family_of(address)] = count.get(family_of(address), 0) + 1
    return count
