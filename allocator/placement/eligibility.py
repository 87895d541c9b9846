"""Which nodes can have which VIPs. Exclusion is a rank and never a filter that leaves nobody. Pure.

VIPs with the same subnets, selector and endpoints share a ``Reach``, and those of one reach with the same preference a
``Domain``: what a change of the nodes costs is for each of them once, and not for each VIP. Endpoints are almost every
Service's own, so what reaches cost that differ in endpoints alone is by these, and not by all nodes: a ``Ground``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Final, NamedTuple

from allocator.placement.values import Node, Vip
from purelb.addresses import IPAddress, IPNetwork
from purelb.membership import Standing
from purelb.preferences import Preference
from purelb.selectors import Selector

RANKS: Final = {standing: rank for rank, standing in enumerate(Standing)}
"""The best first, as the agents rank them."""

MOST_SELECTORS: Final = 256
"""Label selectors by which VIPs prefer nodes that are followed at once: any tenant can think of more."""


class ReachKey(NamedTuple):
    """On which networks, with which labels, by which names."""

    networks: frozenset[IPNetwork]
    selector: Selector
    only: frozenset[str] | None
    rather: frozenset[str] | None


class Ground:
    """The nodes on some networks with some labels, as the nodes are now: what reaches by names have in common."""

    def __init__(self, networks: frozenset[IPNetwork], selector: Selector) -> None:
        self._networks = networks
        self._selector = selector
        self.reaches = 0
        """That stand on it."""
        self.ranks: dict[str, int] = {}
        """By name."""
        self.by_rank: list[tuple[int, frozenset[str]]] = []
        """The best first."""
        self.is_mixed = False
        """Whether one of the members on these networks knows the hash rule alone."""

    def update(self, nodes: Mapping[str, Node], on: Mapping[IPNetwork, frozenset[str]]) -> None:
        """Bring it up to date."""
        here = frozenset[str]().union(*(on.get(network, frozenset()) for network in self._networks))
        self.is_mixed = any(not nodes[name].speaks for name in here)
        chosen = [nodes[name] for name in here if self._selector.matches(nodes[name].labels)]
        self.ranks = {node.name: RANKS[node.standing] for node in chosen}
        ranked: defaultdict[int, list[str]] = defaultdict(list)
        for name, rank in self.ranks.items():
            ranked[rank].append(name)
        self.by_rank = [(rank, frozenset(ranked[rank])) for rank in sorted(ranked)]


class Reach:
    """The nodes that can have some VIPs, as the nodes are now."""

    def __init__(self, key: ReachKey, ground: Ground) -> None:
        self.key = key
        self.ground = ground
        self.domains: dict[Preference | None, Domain] = {}
        """Those that have VIPs."""
        self.plain = Domain(self, None)
        """That of VIPs without a preference, whether there are any or not."""
        self.able: frozenset[str] = frozenset()
        """Of the best standing that there is: the agents elect among these."""
        self.spare: frozenset[str] = frozenset()
        """The next best, where there is but one of the best."""
        self.is_mixed = False
        self.rank: tuple[int, bool] | None = None
        """That of those; the agents rank nodes likewise."""

    def update(self) -> bool:
        """Bring it up to date. Whether all of its VIPs are to be looked at, not only those of nodes that changed."""
        before, able, spare = (self.rank, self.is_mixed, len(self.able) > 1), self.able, self.spare
        self.is_mixed = self.ground.is_mixed
        choices = self._choices()
        self.rank, self.able = next(choices, (None, frozenset()))
        self.spare = next(choices, (None, frozenset[str]()))[1] if len(self.able) == 1 else frozenset()
        if before != (self.rank, self.is_mixed, len(self.able) > 1):
            return True
        return not before[2] and (able, spare) != (self.able, self.spare)

    def _choices(self) -> Iterator[tuple[tuple[int, bool], frozenset[str]]]:
        """The nodes that can have them by how well they do, the best first. Those with endpoints are few."""
        for rank, names in self._by_rank():
            first = names if self.key.rather is None else names & self.key.rather
            if first:
                yield (rank, False), first
            if len(first) < len(names):
                yield (rank, True), names - first

    def _by_rank(self) -> list[tuple[int, frozenset[str]]]:
        if self.key.only is None:
            return self.ground.by_rank
        ranked: defaultdict[int, list[str]] = defaultdict(list)
        for name in self.key.only & self.ground.ranks.keys():
            ranked[self.ground.ranks[name]].append(name)
        return [(rank, frozenset(ranked[rank])) for rank in sorted(ranked)]


class Domain:
    """The VIPs of a reach with one preference, and the nodes that they should be on."""

    def __init__(self, reach: Reach, preference: Preference | None) -> None:
        self.reach = reach
        self.preference = preference
        self.vips: set[IPAddress] = set()
        self.targets: tuple[str, ...] = ()
        """Where its VIPs should be, in their order, as of the last ``update``."""
        self._weighty: frozenset[str] = frozenset()
        self._is_met = False
        self._epoch = -1

    def update(self, nodes: Mapping[str, Node], is_held: Callable[[str], bool], epoch: int) -> Domain:
        """See who is to have its VIPs: preferred nodes, else others; never nobody while anybody is able.

        A node that hasn't served for long, or is behind (``is_held``), and one of weight 0, are the last choices.
        ``epoch`` is another one whenever the answer may differ. Returns the domain whose targets these are: where none
        of the preferred nodes can have it, the reach's plain one, so that wishes for what isn't there cost next to
        nothing.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            if self.preference is None:
                self._see_all(nodes, is_held)
            else:
                plain = self.reach.plain.update(nodes, is_held, epoch)
                preferred = sorted(self._preferred(nodes, plain._weighty))
                self._is_met = bool(preferred)
                self.targets = tuple(preferred) or plain.targets
        return self if self._is_met or self.preference is None else self.reach.plain

    def prefers(self, node: Node) -> bool:
        """Whether it is one of the preferred."""
        return self.preference is None or self.preference.includes(node.name, node.labels)

    def _see_all(self, nodes: Mapping[str, Node], is_held: Callable[[str], bool]) -> None:
        able = sorted(self.reach.able)
        steady = [name for name in able if not is_held(name)]
        weighty = [name for name in steady if nodes[name].weight > 0]
        self._weighty = frozenset(weighty)
        self.targets = tuple(weighty or steady or able)

    def _preferred(self, nodes: Mapping[str, Node], among: frozenset[str]) -> Iterable[str]:
        assert self.preference is not None
        if self.preference.selector is None:
            return self.preference.nodes & among
        return [name for name in among if self.prefers(nodes[name])]


class Eligibility:
    """The reaches and domains of all VIPs."""

    def __init__(self) -> None:
        self.nodes: Mapping[str, Node] = {}
        self._on: dict[IPNetwork, frozenset[str]] = {}
        self._lengths: tuple[tuple[int, int], ...] = ()
        """IP version and prefix length of the nodes' subnets."""
        self._grounds: dict[tuple[frozenset[IPNetwork], Selector], Ground] = {}
        self._reaches: dict[ReachKey, Reach] = {}
        self._selectors: Counter[Selector] = Counter()
        """Of the preferences of domains."""

    def update(self, nodes: Mapping[str, Node]) -> tuple[bool, set[IPAddress]]:
        """Other nodes, or other things about them.

        Whether the domains of all VIPs are to be asked for again, and else the VIPs to look at beside those that the
        changed nodes have.
        """
        on: defaultdict[IPNetwork, set[str]] = defaultdict(set)
        for node in nodes.values():
            for network in node.subnets:
                on[network].add(node.name)
        are_others = on.keys() != self._on.keys()
        self.nodes = dict(nodes)
        self._on = {network: frozenset(names) for network, names in on.items()}
        self._lengths = tuple(sorted({(network.version, network.prefixlen) for network in on}))
        affected: set[IPAddress] = set()
        for ground in self._grounds.values():
            ground.update(self.nodes, self._on)
        for reach in self._reaches.values():
            if reach.update():
                affected.update(*(domain.vips for domain in reach.domains.values()))
        return are_others, affected

    def domain(self, vip: Vip) -> Domain:
        """That of a VIP, which counts as one of it until ``leave``."""
        networks = frozenset(self._networks(vip.address))
        key = ReachKey(networks, vip.selector, vip.only, vip.rather)
        reach = self._reaches.get(key)
        if reach is None:
            reach = self._reaches[key] = Reach(key, self._ground(networks, vip.selector))
            reach.update()
        preference = self._honoured(vip.preference)
        domain = reach.domains.get(preference)
        if domain is None:
            domain = reach.domains[preference] = reach.plain if preference is None else Domain(reach, preference)
            self._count(preference, 1)
        domain.vips.add(vip.address)
        return domain

    def leave(self, domain: Domain, address: IPAddress) -> None:
        """A VIP isn't of that domain any more; one without any is forgotten, and so is a reach."""
        reach = domain.reach
        domain.vips.discard(address)
        if not domain.vips and reach.domains.get(domain.preference) is domain:
            del reach.domains[domain.preference]
            self._count(domain.preference, -1)
        if not reach.domains and self._reaches.get(reach.key) is reach:
            del self._reaches[reach.key]
            self._abandon(reach)

    def _ground(self, networks: frozenset[IPNetwork], selector: Selector) -> Ground:
        """That of a new reach."""
        ground = self._grounds.get((networks, selector))
        if ground is None:
            ground = self._grounds[networks, selector] = Ground(networks, selector)
            ground.update(self.nodes, self._on)
        ground.reaches += 1
        return ground

    def _abandon(self, reach: Reach) -> None:
        reach.ground.reaches -= 1
        if not reach.ground.reaches:
            del self._grounds[reach.key.networks, reach.key.selector]

    def _honoured(self, preference: Preference | None) -> Preference | None:
        """A preference; none where it is one label selector too many, as each is matched with all nodes."""
        if preference is None or preference.selector is None or preference.selector in self._selectors:
            return preference
        return preference if len(self._selectors) < MOST_SELECTORS else None

    def _count(self, preference: Preference | None, more: int) -> None:
        if preference is None or preference.selector is None:
            return
        self._selectors[preference.selector] += more
        if not self._selectors[preference.selector]:
            del self._selectors[preference.selector]

    def _networks(self, address: IPAddress) -> Iterable[IPNetwork]:
        for version, length in self._lengths:
            if version == address.version and (network := _network(address, length)) in self._on:
                yield network


def _network(address: IPAddress, length: int) -> IPNetwork:
    """The network of so many bits that an address is in."""
    if isinstance(address, IPv4Address):
        return IPv4Network((int(address), length), strict=False)
    return IPv6Network((int(address), length), strict=False)
