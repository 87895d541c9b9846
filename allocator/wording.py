"""What users read in the events on their Services and ServiceGroups: every sentence of ours, in one place. Pure.

Where PureLB has a sentence, it is PureLB's (v0.6.1 to v0.17). Why a request was refused is said by who refused it (the
engine, a source, the API server) and stands in these sentences as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from allocator.ipam.groups import Stray
from allocator.ipam.requests import Claim, Decision, Reason, Refusal
from allocator.ipam.sharing import tell
from allocator.notice import Notice
from purelb import names
from purelb.addresses import AddressRange, IPAddress, excerpt, listed
from purelb.forbidden import Forbidden
from purelb.services import ServiceView, describe_ingress

NAMED: Final = 3
"""How many of a kind a sentence names."""

# --- on a Service: done ----------------------------------------------------------------------------------------------


def assigned(decision: Decision) -> Notice:
    """The addresses were written."""
    if decision.is_multi_pool:
        text = f"Multi-pool: assigned {len(decision.addresses)} IPs from pool {decision.groups[0]}"
    else:
        pools = ", ".join(dict.fromkeys(decision.groups))
        text = f"Assigned {describe_ingress(decision.addresses)} from pool {pools}"
    return Notice("Normal", names.REASON_ASSIGNED, text)


def added(decision: Decision, count: int) -> Notice:
    """A Service with multi-pool addresses got ``count`` more."""
    text = f"Incremental multi-pool: added {count} IPs (total {len(decision.addresses)}) from pool {decision.groups[0]}"
    return Notice("Normal", names.REASON_ASSIGNED, text)


def annotations_lost() -> Notice:
    """Our annotations were gone, and are back."""
    text = (
        "PureLB's annotations were gone from this Service and are put back; whoever updates it should keep annotations "
        "that it doesn't know, or use server-side apply"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def released_by_type(service: ServiceView) -> Notice:
    """A Service is of type LoadBalancer no more."""
    return Notice("Normal", names.REASON_RELEASED, f"Service is Type {service.type}, not LoadBalancer")


def released_by_family(addresses: Iterable[IPAddress]) -> Notice:
    """Addresses were given up because their family left ipFamilies."""
    text = " ".join(map(str, addresses))
    return Notice(
        "Normal",
        names.REASON_RELEASED,
        f"Released addresses no longer needed after IP family transition: [{text}]",
    )


def displaced(service: ServiceView, senior: Claim, *, waits: bool = False) -> Notice:
    """Two Services showed one address, and this one gives way."""
    shared = ", ".join(str(address) for address in service.ingress if address in senior.addresses)
    verb = "waits for" if waits else "gets"
    whom = tell([senior.service], service.key.namespace)
    text = f"{shared} is also held by {whom}, which is older and keeps it; this Service {verb} another address"
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def group_ignored() -> Notice:
    """Pinned addresses and a group: the addresses win."""
    text = (
        "Both the addresses annotation and the service-group annotation were provided. service-group will be ignored."
    )
    return Notice("Normal", names.REASON_CONFIGURATION_WARNING, text)


# --- on a Service: as long as it is so -------------------------------------------------------------------------------


def failed(service: ServiceView, refusal: Refusal) -> Notice:
    """No address, and why."""
    sentence = f"{refusal.message}; {refusal.advice}" if refusal.advice else refusal.message
    text = f'Failed to allocate IP for "{service.key}": {sentence}'
    return Notice("Warning", names.REASON_ALLOCATION_FAILED, text)


def unwritable(service: ServiceView, sentence: str) -> Notice:
    """The API server refuses the addresses."""
    return failed(service, Refusal(Reason.OTHER, f"the API server refuses it: {sentence}"))


def unserved(service: ServiceView, reason: str) -> Notice:
    """No allocator gives addresses at all."""
    return failed(service, Refusal(Reason.OTHER, f"no allocator gives addresses now: {reason}"))


def warned(sentence: str) -> Notice:
    """An allocation worked, but hardly as its owner meant it."""
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, sentence)


def anothers(service: ServiceView, *, is_asked: bool) -> Notice:
    """A Service that we would serve has addresses of another controller; ``is_asked``: it asks for PureLB's."""
    by = f', "{excerpt(service.ingress_writer)}" wrote it' if service.ingress_writer else ""
    text = (
        f"{_some(service.ingress)} in the status of this Service is not from PureLB{by}; PureLB leaves it alone. Set "
        f'the annotation {names.RE_EVALUATE} to "true" to have one of PureLB instead'
    )
    return Notice("Warning" if is_asked else "Normal", names.REASON_CONFIGURATION_WARNING, text)


def overwritten(service: ServiceView, writer: str, ours: Sequence[IPAddress]) -> Notice:
    """Another controller wrote the addresses of a Service of ours; ``ours`` are put back."""
    what = f"PureLB puts {_some(ours)} back, and more seldom each time" if ours else "PureLB has none to put back"
    text = (
        f'"{excerpt(writer)}" wrote {_some(service.ingress)} to the status of this Service, which are no addresses of '
        f"PureLB's; {what}. Switch that program off for this Service, or make the Service anew with a "
        "spec.loadBalancerClass that says whose it is"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def _some(addresses: Sequence[IPAddress]) -> str:
    return listed([str(address) for address in addresses], NAMED)


def unmoved_by_addresses(service: ServiceView, pinned: Iterable[IPAddress]) -> Notice:
    """Addresses that are asked for after others were given."""
    return _unmoved(service, "asking for " + ", ".join(map(str, pinned)))


def unmoved_by_group(service: ServiceView, group: str) -> Notice:
    """A group that is named after addresses of another were given."""
    return _unmoved(service, f'service-group "{group}"')


def _unmoved(service: ServiceView, wish: str) -> Notice:
    held = ", ".join(map(str, service.ingress))
    text = (
        f'{wish} has no effect while the Service has {held}; set the annotation {names.RE_EVALUATE} to "true" '
        "to apply it"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def stray(stray: Stray) -> Notice:
    """A Service keeps an address that its group has no more."""
    where = (
        f'is in no pool of ServiceGroup "{stray.group}" any more'
        if stray.owner is None
        else f'belongs to ServiceGroup "{stray.owner}" now, not to "{stray.group}"'
    )
    text = f"{stray.address} {where}; the Service keeps it until it is deleted or re-evaluated"
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def barred(address: IPAddress, reason: str) -> Notice:
    """A Service keeps an address that something else on the network has."""
    text = (
        f'{address} {reason}, so no Service should have it; set the annotation {names.RE_EVALUATE} to "true" for '
        "another"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


# --- on a ServiceGroup -----------------------------------------------------------------------------------------------


def parsed() -> Notice:
    """The group is served."""
    return Notice("Normal", names.REASON_PARSED, "ServiceGroup parsed successfully")


def not_served(trouble: str) -> Notice:
    """The group is not served."""
    return Notice("Warning", names.REASON_PARSE_FAILED, trouble)


def unparsable(sentence: str) -> str:
    """Why a group is not served: its spec is wrong."""
    return f"Failed to parse: {sentence}"


def pool_contains(pools: Sequence[tuple[AddressRange, Sequence[Forbidden]]]) -> Notice:
    """Pools contain what something else on the network has: here the range of each, and what forbids some of it."""
    found = [(pool, entry) for pool, entries in pools for entry in entries]
    told = [
        f"pool {pool} contains {_first_common(pool, entry.addresses)}, which {entry.reason}"
        for pool, entry in found[:NAMED]
    ]
    more = f"; and {len(found) - NAMED} more like that" if len(found) > NAMED else ""
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, f"{'; '.join(told)}{more}: never given to a Service")


def _first_common(pool: AddressRange, other: AddressRange) -> str:
    first, last = max(int(pool.first), int(other.first)), min(int(pool.last), int(other.last))
    more = last - first
    return f"{type(pool.first)(first)}" + (f" and {more} more" if more else "")


def stranded(count: int) -> Notice:
    """Services hold addresses that their group has no more."""
    whose = "1 Service keeps an address" if count == 1 else f"{count} Services keep addresses"
    text = f"{whose} of this ServiceGroup that it does not contain any more; nobody else gets them"
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)
