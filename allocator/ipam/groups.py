"""Which ServiceGroups are served, which of them serves a Service, and which owns an address. Pure.

It knows the groups' rules (names, ranges, namespaces), not what is in use.
Source of the namespace rules: PureLB v0.17.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from typing import Final, Generic, NamedTuple, TypeVar

from allocator.ipam.requests import Claim, Reason, Refusal
from purelb import names
from purelb.addresses import AddressRange, IPAddress, excerpt
from purelb.names import DEFAULT_GROUP
from purelb.servicegroups import NetboxSource, PoolSource, ServiceGroup, default_of

Owner = TypeVar("Owner")

COMPARED: Final = 64
"""How many groups are compared with a name that is none: any tenant can ask, as often as it likes."""
NAMED: Final = 3
"""How many are suggested."""
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""What can be the name of an object (RFC 1123); anything else is a tenant's free text."""


class RangeIndex(Generic[Owner]):
    """Disjoint ranges, and who owns the one that holds an address: O(log n)."""

    def __init__(self) -> None:
        self._firsts: dict[type[IPAddress], list[int]] = {IPv4Address: [], IPv6Address: []}
        self._lasts: dict[type[IPAddress], list[int]] = {IPv4Address: [], IPv6Address: []}
        self._owners: dict[type[IPAddress], list[Owner]] = {IPv4Address: [], IPv6Address: []}

    def clash(self, addresses: AddressRange) -> Owner | None:
        """The owner of a range that has an address in common with these; None if they can be added."""
        kind, first, last = type(addresses.first), int(addresses.first), int(addresses.last)
        position = bisect_right(self._firsts[kind], last) - 1
        return self._owners[kind][position] if position >= 0 and self._lasts[kind][position] >= first else None

    def add(self, addresses: AddressRange, owner: Owner) -> None:
        """Add a range that clashes with none."""
        kind, first, last = type(addresses.first), int(addresses.first), int(addresses.last)
        position = bisect_right(self._firsts[kind], first)
        self._firsts[kind].insert(position, first)
        self._lasts[kind].insert(position, last)
        self._owners[kind].insert(position, owner)

    def find(self, address: IPAddress) -> Owner | None:
        """The owner of the range that holds ``address``."""
        kind, number = type(address), int(address)
        position = bisect_right(self._firsts[kind], number) - 1
        return self._owners[kind][position] if position >= 0 and number <= self._lasts[kind][position] else None


class Stray(NamedTuple):
    """An address that a Service has of a group which doesn't contain it any more."""

    address: IPAddress
    group: str
    owner: str | None
    """The group that contains it now."""


@dataclass(frozen=True, slots=True)
class Groups:
    """One configuration: the groups that are served and, by name, why others aren't."""

    served: Mapping[str, ServiceGroup] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    index: RangeIndex[str] = field(default_factory=RangeIndex)
    _listing: dict[str, list[ServiceGroup]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By namespace, the groups that list it."""
    _enforced: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    """The namespaces that some group that lists them closes."""

    def __post_init__(self) -> None:
        for group in self.served.values():
            for namespace in group.namespaces or ():
                self._listing.setdefault(namespace, []).append(group)
                if group.enforce_namespaces:
                    self._enforced.add(namespace)

    def owner(self, address: IPAddress) -> ServiceGroup | None:
        """The group whose pool holds ``address``."""
        name = self.index.find(address)
        return self.served[name] if name is not None else None

    def strays(self, claim: Claim) -> list[Stray]:
        """The addresses of a claim that the groups they came from have no more; those kept elsewhere are none of ours.

        A group that is broken or deleted has no address.
        """
        names = claim.groups * len(claim.addresses) if len(claim.groups) == 1 else claim.groups
        strays = []
        for name, address in zip(names, claim.addresses, strict=False):
            group = self.served.get(name)
            is_elsewhere = group is not None and not isinstance(group.source, PoolSource)
            owner = self.index.find(address)
            if not is_elsewhere and (group is None or owner != name):
                strays.append(Stray(address, name, owner))
        return strays

    def choose(self, named: str | None, namespace: str) -> tuple[ServiceGroup, str | None] | Refusal:
        """The group for a Service of ``namespace``: the one it names, else its namespace's, else ``default``.

        With it comes a warning where the choice was ambiguous.
        """
        warning = None
        name = named
        if name is None:
            listing = self._listing.get(namespace, [])
            own = default_of(listing)
            name = own.name if own is not None else DEFAULT_GROUP
            if listing and own is None:
                is_marked = any(group.namespace_default for group in listing)
                names = ", ".join(sorted(group.name for group in listing))
                ambiguity = (
                    f'ambiguous namespace default: groups {names} serve namespace "{namespace}" and '
                    f"{'several are' if is_marked else 'none is'} marked namespaceDefault"
                )
                if any(group.enforce_namespaces for group in listing):
                    return Refusal(Reason.AMBIGUOUS_DEFAULT, ambiguity)
                warning = f'{ambiguity}; allocated from "{DEFAULT_GROUP}" instead'
        group = self.served.get(name)
        if group is None:
            if name in self.broken:
                return Refusal(
                    Reason.NO_USABLE_POOL, f'no usable pool: ServiceGroup "{name}" {self.broken[name]}', name
                )
            return self._unknown(name, namespace)
        return self.deny(group, namespace) or (group, warning)

    def _unknown(self, name: str, namespace: str) -> Refusal:
        """No such group; those that the namespace may use are named."""
        from difflib import get_close_matches  # as in purelb/annotations.py

        usable = [group.name for group in islice(self.served.values(), COMPARED) if not self.deny(group, namespace)]
        near = get_close_matches(excerpt(name), usable, n=1)
        if near:
            advice = f'did you mean "{near[0]}"?'
        else:
            some = " or ".join(f'"{one}"' for one in sorted(usable)[:NAMED])
            choice = f"name {some} in the annotation {names.SERVICE_GROUP}, or " if some else ""
            advice = f'{choice}create a ServiceGroup "{excerpt(name)}"'
        label = name if NAME.fullmatch(name) else "<unknown>"
        return Refusal(Reason.UNKNOWN_POOL, f'unknown pool "{excerpt(name)}"', label, advice)

    def deny(self, group: ServiceGroup, namespace: str) -> Refusal | None:
        """Why ``group`` may not serve ``namespace``; None if it may.

        A namespace that a group enforces is closed both ways: the groups that list it serve only the namespaces they
        list, and its Services use only groups that list it.
        """
        listed = group.namespaces or ()
        if namespace in listed:
            return None
        if namespace in self._enforced:
            sentence = f'namespace "{namespace}" may use only ServiceGroups that list it, and "{group.name}" does not'
        elif self._enforced.intersection(listed):
            sentence = f'ServiceGroup "{group.name}" serves only the namespaces that it lists, not "{namespace}"'
        else:
            return None
        return Refusal(Reason.NAMESPACE_DENIED, f"namespace denied: {sentence}", group.name)


@dataclass(frozen=True, slots=True)
class Refused:
    """A ServiceGroup that can't be served beside those before it, and why; the text is PureLB's."""

    group: ServiceGroup
    sentence: str
    is_overlap: bool = False


def admit(
    groups: Sequence[ServiceGroup], broken: Mapping[str, str], *, has_netbox_token: bool = False
) -> tuple[Groups, list[Refused]]:
    """Build the configuration from well-formed groups, the senior first, and the names of those that aren't.

    Of two groups that clash the former is served. Names alone identify groups: a name that is served isn't broken.
    """
    served: dict[str, ServiceGroup] = {}
    refused: list[Refused] = []
    index: RangeIndex[str] = RangeIndex()
    for group in groups:
        clash = next((owner for pool in group.pools if (owner := index.clash(pool.range)) is not None), None)
        if group.name in served:
            refused.append(Refused(group, f"Duplicate definition of pool {group.name}"))
        elif isinstance(group.source, NetboxSource) and not has_netbox_token:
            refused.append(Refused(group, "Failed to parse: NETBOX_USER_TOKEN not set, can't connect to Netbox"))
        elif clash is not None:
            refused.append(
                Refused(
                    group,
                    f'Pool overlaps with already defined pool "{clash}"; leave each address to one of the two',
                    is_overlap=True,
                )
            )
        else:
            served[group.name] = group
            for pool in group.pools:
                index.add(pool.range, group.name)
    unusable = {name: f"failed to parse: {sentence}" for name, sentence in broken.items()}
    unusable |= {verdict.group.name: f"is not served: {verdict.sentence}" for verdict in refused}
    return Groups(served, {name: why for name, why in unusable.items() if name not in served}, index), refused
