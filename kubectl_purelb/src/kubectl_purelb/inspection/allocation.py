"""Whether a Service is PureLB's, has a pool to take from, and an address of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_purelb.cluster import ALLOCATOR, Group
from kubectl_purelb.happenings import latest
from kubectl_purelb.inspection.case import NAMED, Case, Mark, Step, edit
from purelb import names
from purelb.addresses import Family, IPAddress, listed, parse_pins
from purelb.errors import AddressError
from purelb.services import named_group


def kind(case: Case) -> Iterator[Step]:
    """Whether PureLB answers it at all."""
    service, name = case.service, "Service"
    another = service.load_balancer_class
    if not service.is_load_balancer:
        told, remedy = f"its type is {service.type}", case.command("patch", """-p '{"spec":{"type":"LoadBalancer"}}'""")
    elif another is not None and another not in names.CLASSES:
        told = f"its loadBalancerClass is {another}, another controller's"
        remedy = "make it anew without loadBalancerClass, or with purelb.io/purelb (the field can't be changed)"
    elif not case.cluster.is_ours(service):
        told = "it has no loadBalancerClass, and the allocator serves only Services with PureLB's"
        remedy = "make it anew with loadBalancerClass: purelb.io/purelb, or set DEFAULT_ANNOUNCER=PureLB there"
    elif service.cluster_ip == "None":
        told, remedy = "it is headless (clusterIP: None), and gets no address", "make it anew without clusterIP: None"
    elif service.deleting:
        yield Step(name, Mark.DOUBTFUL, "it is being deleted, and keeps its addresses to the end")
        return
    else:
        yield Step(name, Mark.DONE, "of type LoadBalancer, and PureLB's to serve")
        return
    yield Step(name, Mark.FAILED, told, remedy)


def pool(case: Case) -> Iterator[Step]:
    """Whether there is a pool that it may take from, or takes from."""
    service = case.service
    if service.ingress:
        for name in dict.fromkeys(service.allocated_from):
            yield _pool_in_use(case, name)
        return
    allocator = case.cluster.programs.get(ALLOCATOR)
    if allocator is None or allocator.ready == 0:
        remedy = f"kubectl describe pods -n {case.cluster.namespace} -l component={ALLOCATOR}"
        yield Step("Pool", Mark.FAILED, "no allocator is ready, so nobody gives it an address", remedy)
        return
    try:
        asked = service.annotations.get(names.ADDRESSES) or service.load_balancer_ip
        pins = parse_pins(asked) if asked else ()
    except AddressError as error:
        yield Step("Pool", Mark.FAILED, str(error), f"mend the annotation {names.ADDRESSES}")
        return
    if pins:
        yield from (_pinned(case, pin) for pin in pins)
    else:
        yield _pool_to_take_from(case)


def _pool_in_use(case: Case, name: str) -> Step:
    group = case.cluster.group(name)
    if group is None:
        told = f"ServiceGroup {name}, which its address is of, is gone; the Service keeps the address"
        return Step("Pool", Mark.DOUBTFUL, told, f"put ServiceGroup {name} back, or move the Service: {case.anew()}")
    if group.trouble:
        return Step("Pool", Mark.DOUBTFUL, f"ServiceGroup {name} isn't served: {group.trouble}", edit(group))
    return Step("Pool", Mark.DONE, f"ServiceGroup {name}")


def _pool_to_take_from(case: Case) -> Step:
    service, cluster = case.service, case.cluster
    name = cluster.group_to_take_from(service)
    group = cluster.group(name)
    if group is None:
        others = listed([other.name for other in cluster.groups if other.is_served], NAMED)
        told = f"there is no ServiceGroup {name}"
        told += "" if named_group(service) else ", which serves a Service that names none"
        remedy = f"name one of those that there are ({others})" if others else "make one"
        return Step("Pool", Mark.FAILED, told, f"{remedy}: {case.annotate(f'{names.SERVICE_GROUP}=NAME')}")
    return _usable(case, group)


def _pinned(case: Case, pin: IPAddress) -> Step:
    for group in case.cluster.groups:
        if group.spec is not None and group.spec.pool_of(pin) is not None:
            return _usable(case, group, is_pinned=True)
    if any(group.spec is not None and not group.spec.pools for group in case.cluster.groups):
        return Step("Pool", Mark.DONE, f"{pin} is asked for, of an IPAM outside of the cluster")
    told = f"{pin} is asked for, and is in no ServiceGroup's pool"
    return Step("Pool", Mark.FAILED, told, "add it to a pool, or ask for another address (or for none)")


def _usable(case: Case, group: Group, *, is_pinned: bool = False) -> Step:
    namespace, spec = case.service.key.namespace, group.spec
    if group.trouble:
        return Step("Pool", Mark.FAILED, f"ServiceGroup {group.name} isn't served: {group.trouble}", edit(group))
    if group.is_served is None:
        remedy = f"kubectl logs -n {case.cluster.namespace} -l component={ALLOCATOR}"
        return Step("Pool", Mark.FAILED, f"no allocator has looked at ServiceGroup {group.name} yet", remedy)
    if spec is not None and spec.enforce_namespaces and namespace not in (spec.namespaces or ()):
        told = f"ServiceGroup {group.name} doesn't serve namespace {namespace}"
        return Step("Pool", Mark.FAILED, told, f"{edit(group)} (spec.namespaces), or name another ServiceGroup")
    if not is_pinned and _is_full(case, group):
        told = f"ServiceGroup {group.name} is full: {group.full or 'it has no free address'}"
        return Step("Pool", Mark.FAILED, told, f"{edit(group)}: add a range, or delete Services that nobody needs")
    return Step("Pool", Mark.DONE, f"ServiceGroup {group.name}")


def _is_full(case: Case, group: Group) -> bool:
    """Whether nothing is left of a family that the Service wants; one that shares needs no address of its own."""
    families = case.service.ip_families or tuple(Family)
    is_shared = names.ALLOW_SHARED_IP in case.service.annotations
    return not is_shared and any(fill.free == 0 and fill.family in families for fill in group.fill)


def address(case: Case) -> Iterator[Step]:
    """Whether it has one of ours."""
    service, name = case.service, "Address"
    if not service.ingress:
        said = latest(case.events, names.REASON_ALLOCATION_FAILED)
        if said is not None:
            yield Step(name, Mark.FAILED, said.message, "do as the sentence says; the allocator tries again by itself")
        else:
            remedy = f"kubectl logs -n {case.cluster.namespace} -l component={ALLOCATOR}"
            yield Step(name, Mark.FAILED, "it has none, and the allocator hasn't said why", remedy)
    elif not service.is_branded:
        by = service.ingress_writer or "another program"
        told = f"{_some(service.ingress)} isn't PureLB's: {by} wrote it, and PureLB leaves it alone"
        yield Step(name, Mark.FAILED, told, f"for one of PureLB's instead: {case.anew()}")
    else:
        yield Step(name, Mark.DONE, _some(service.ingress))


def _some(addresses: Sequence[IPAddress]) -> str:
    return listed([str(address) for address in addresses], NAMED)
