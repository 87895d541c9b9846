"""What is wrong with ServiceGroups: one by one, beside each other, and in the network that the nodes are on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from kubectl_purelb.validation.objects import CIDRS, GROUPS, NODES, SERVICES, SLICES, Flaw, Level, Objects, metadata_of
from purelb.addresses import AddressRange, IPAddress, IPNetwork, listed
from purelb.clusteraddresses import cluster_ips, ends_of_subnets, node_addresses, server_addresses, service_addresses
from purelb.errors import SpecError
from purelb.forbidden import Barred, Forbidden
from purelb.servicegroups import AddressPool, ServiceGroup, default_of, parse_service_group

NAMED = 3
"""Things that a sentence names."""
REPAIR = "correct it: docs/reference.md has each field"


@dataclass(frozen=True, slots=True)
class Read:
    """The groups that can be read, in the order in which they are served, and what is wrong with the others."""

    groups: tuple[ServiceGroup, ...]
    flaws: tuple[Flaw, ...]


def read_groups(objects: Objects) -> Read:
    """Parse them as the allocator does."""
    groups, flaws = [], []
    for body in objects[GROUPS]:
        name = metadata_of(body).get("name")
        about = f"ServiceGroup {name or '(without a name)'}"
        try:
            groups.append(parse_service_group({**body, "metadata": {"name": "", **metadata_of(body)}}))
        except SpecError as error:
            flaws.append(Flaw(Level.ERROR, about, str(error), REPAIR))
        except (TypeError, AttributeError, KeyError, ValueError) as error:  # what no CRD lets through
            flaws.append(Flaw(Level.ERROR, about, f"the spec is malformed ({error!r})", REPAIR))
        if not name:
            flaws.append(Flaw(Level.ERROR, about, "metadata.name is missing", "give it a name"))
    return Read(tuple(groups), tuple(flaws))


def flaws_of_groups(groups: tuple[ServiceGroup, ...], objects: Objects) -> Iterator[Flaw]:
    """All that is wrong with those that can be read."""
    yield from _beside_each_other(groups)
    yield from _of_namespaces(groups)
    barred = Barred(_forbidden(groups, objects))
    for group in groups:
        yield from _given_already(group, barred)
        yield from _announceable(group, objects)


def _about(group: ServiceGroup) -> str:
    return f"ServiceGroup {group.name}"


# --- beside each other -----------------------------------------------------------------------------------------------


def _beside_each_other(groups: tuple[ServiceGroup, ...]) -> Iterator[Flaw]:
    for first, second in combinations(groups, 2):
        if first.name == second.name:
            told = f"there is one in namespace {first.namespace} and one in {second.namespace}: its name alone counts"
            yield Flaw(Level.ERROR, _about(second), told, "delete or rename one of them")
            continue
        overlap = next(
            ((one, other) for one in first.pools for other in second.pools if one.range.overlaps(other.range)), None
        )
        if overlap is not None:
            told = f"its range {overlap[1].text} overlaps with {overlap[0].text} of ServiceGroup {first.name}"
            yield Flaw(Level.ERROR, _about(second), told, "leave each address to one of them: the second isn't served")


def _of_namespaces(groups: tuple[ServiceGroup, ...]) -> Iterator[Flaw]:
    for namespace in sorted({name for group in groups for name in group.namespaces or ()}):
        listing = [group for group in groups if namespace in (group.namespaces or ())]
        if default_of(listing) is None:
            which = listed([group.name for group in listing], NAMED)
            told = f"namespace {namespace} is listed by several groups ({which}): a Service there has to name one"
            yield Flaw(Level.WARNING, _about(listing[0]), told, "mark one of them namespaceDefault")


# --- what something else has -----------------------------------------------------------------------------------------


def _forbidden(groups: tuple[ServiceGroup, ...], objects: Objects) -> Iterator[Forbidden]:
    nodes = [one for body in objects[NODES] for one in _lenient(node_addresses(body))]
    yield from nodes
    for body in objects[CIDRS]:
        yield from _lenient(cluster_ips(body))
    for body in objects[SERVICES]:
        yield from _lenient(service_addresses(body))
    for body in objects[SLICES]:
        yield from _lenient(server_addresses(body))
    yield from ends_of_subnets(groups, nodes)


def _lenient(found: Iterator[Forbidden]) -> Iterable[Forbidden]:
    """Of an object that an API server wouldn't have taken, nothing."""
    try:
        return list(found)
    except (TypeError, AttributeError, KeyError, ValueError):
        return ()


def _given_already(group: ServiceGroup, barred: Barred) -> Iterator[Flaw]:
    for pool in group.pools:
        found = barred.within(pool.range)
        if not found:
            continue
        parts = [f"{_common(pool.range, one.addresses)}, which {one.reason}" for one in found]
        told = f"its range {pool.text} has {'; '.join(parts[:NAMED])}"
        told += f"; and {len(parts) - NAMED} more like that" if len(parts) > NAMED else ""
        if barred.count(pool.range) >= pool.range.size:
            yield Flaw(Level.ERROR, _about(group), f"{told}: nothing of it can be given", "choose another range")
        else:
            yield Flaw(Level.WARNING, _about(group), told, "leave these out: no Service is given them")


def _common(pool: AddressRange, other: AddressRange) -> str:
    first, last = max(int(pool.first), int(other.first)), min(int(pool.last), int(other.last))
    kind = type(pool.first)
    return f"{kind(first)}" if first == last else f"{kind(first)}-{kind(last)}"


# --- who can announce it ---------------------------------------------------------------------------------------------


def _announceable(group: ServiceGroup, objects: Objects) -> Iterator[Flaw]:
    labels = {str(metadata_of(body).get("name")): metadata_of(body).get("labels") or {} for body in objects[NODES]}
    chosen = {name for name, of in labels.items() if group.node_selector.matches(of)}
    if labels and group.node_selector.requirements and not chosen:
        told = f"its nodeSelector chooses none of the {len(labels)} nodes: nobody announces its addresses"
        yield Flaw(Level.ERROR, _about(group), told, "correct the selector, or label nodes")
        return
    if group.scope == "remote":
        return
    for pool in group.pools:
        near = _near(pool, objects)
        if near is None:
            return
        if not near:
            level = Level.ERROR if group.is_onlink_only else Level.WARNING
            then = "no node announces it" if group.is_onlink_only else "it is only routed, over kube-lb0"
            told = f"no node has a NIC in the subnet of its range {pool.text}: {then}"
            yield Flaw(level, _about(group), told, "give it addresses of the nodes' subnet, or make it a remote one")
        elif group.node_selector.requirements and labels and not near & chosen:
            told = f"its nodeSelector chooses none of the nodes on the subnet of its range {pool.text}"
            yield Flaw(Level.ERROR, _about(group), f"{told} ({listed(sorted(near), NAMED)})", "correct the selector")


def _near(pool: AddressPool, objects: Objects) -> set[str] | None:
    """The nodes with a NIC where a range is, as the agents say, or else by their addresses; None: nobody can tell."""
    if objects.subnets is not None:
        there = {name for subnet, who in objects.subnets.items() if _touches(subnet, pool) for name in who}
        return there if objects.subnets else None
    found: Mapping[str, set[IPAddress]] = {
        str(metadata_of(body).get("name")): {one.addresses.first for one in _own(body)} for body in objects[NODES]
    }
    if not any(found.values()):
        return None
    return {name for name, addresses in found.items() if any(address in pool.subnet for address in addresses)}


def _own(body: Mapping[str, Any]) -> Iterable[Forbidden]:
    return [one for one in _lenient(node_addresses(body)) if one.is_of_node]


def _touches(subnet: IPNetwork, pool: AddressPool) -> bool:
    return AddressRange(subnet.network_address, subnet.broadcast_address).overlaps(pool.range)
