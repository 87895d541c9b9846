"""`kubectl purelb inspect`: for each way to fail, the reason and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from clusters import NOW, WELL, Json, cluster, condition, endpoint_slice, event, group, member, membership, service
from kubectl_purelb.answers import Answer, Text
from kubectl_purelb.cluster import Program
from kubectl_purelb.commands.inspect import inspect
from kubectl_purelb.happenings import view_backends, view_events
from kubectl_purelb.inspection.case import Case
from purelb.errors import SettingsError
from purelb.services import view_service

ADDRESS = "10.31.188.64"
SERVED = service("web", ADDRESS)
READY = (endpoint_slice("w11"),)
ELSEWHERE = membership(member("w11", "10.7.0.0/16"))
CHOOSY = group(nodes=["w99"])
CHOOSY["spec"]["nodeSelector"] = {"matchLabels": {"rack": "a"}}
CLOSED = group()
CLOSED["spec"] |= {"namespaces": ["other"], "enforceNamespaces": True}
ANOTHER = service("web", "10.5.5.5", branded=False)


def inspected(seen: Json, *, events: Iterable[Json] = (), slices: Iterable[Json] = READY, **more: Any) -> Answer:
    """What is answered about a Service."""
    known = cluster(seen, **more)
    return inspect(Case(view_service(seen), known, view_events(events), view_backends(slices), NOW))


def lines(answer: Answer) -> list[str]:
    return [part.text for part in answer.parts if isinstance(part, Text)]


def test_of_a_service_that_is_well_each_step_is_ticked() -> None:
    answer = inspected(SERVED)

    assert answer.is_well
    assert lines(answer)[:7] == [
        "Service default/web",
        "  ✓ Service: of type LoadBalancer, and PureLB's to serve",
        "  ✓ Pool: ServiceGroup wire",
        "  ✓ Address: 10.31.188.64",
        "  ✓ Nodes: 10.31.188.64 can be on w11, w12",
        "  ✓ Announced: 10.31.188.64 is on eth0 of w11",
        "  ✓ Pods: 1 ready endpoint on w11",
    ]
    assert lines(answer)[-1].startswith("Nothing to do: ")


def test_of_a_routed_one_too() -> None:
    far = group("far", "10.189.0.0/24", "10.189.0.0/16", scope="remote")
    answer = inspected(service("web", "10.189.0.1", group="far", node=None), groups=[far])

    assert answer.is_well
    assert any("a router has to learn its route" in line for line in lines(answer))


@dataclass(frozen=True)
class Failure:
    """A way to fail."""

    seen: Json
    step: str
    told: str
    remedy: str
    more: dict[str, Any]


def failure(seen: Json, step: str, told: str, remedy: str, **more: Any) -> Failure:
    return Failure(seen, step, told, remedy, more)


FAILURES = {
    "another type": failure(service("web", type="ClusterIP"), "Service", "its type is ClusterIP", "kubectl patch"),
    "another's class": failure(
        service("web", loadBalancerClass="x.io/y"), "Service", "its loadBalancerClass is x.io/y", "make it anew"
    ),
    "no class where one is needed": failure(
        service("web"), "Service", "it has no loadBalancerClass", "purelb.io/purelb", default_announcer=False
    ),
    "headless": failure(service("web", clusterIP="None"), "Service", "it is headless", "make it anew"),
    "no allocator": failure(
        service("web"),
        "Pool",
        "no allocator is ready",
        "kubectl describe pods",
        programs={**WELL, "allocator": Program("allocator", 0, 2, "a:1")},
    ),
    "no default group": failure(
        service("web"),
        "Pool",
        "there is no ServiceGroup default, which serves",
        "name one of those that there are (wire)",
    ),
    "a group that isn't there": failure(
        service("web", annotations={"purelb.io/service-group": "wier"}),
        "Pool",
        "there is no ServiceGroup wier",
        "kubectl annotate service web -n default --overwrite purelb.io/service-group=NAME",
    ),
    "a group that is refused": failure(
        service("web", annotations={"purelb.io/service-group": "wire"}),
        "Pool",
        "ServiceGroup wire isn't served: it overlaps",
        "kubectl edit servicegroup wire -n purelb",
        groups=[group(conditions=[condition("Ready", False, "it overlaps")])],
    ),
    "a group that nobody has looked at": failure(
        service("web", annotations={"purelb.io/service-group": "wire"}),
        "Pool",
        "no allocator has looked at ServiceGroup wire yet",
        "kubectl logs",
        groups=[group() | {"status": {}}],
    ),
    "a group that is full": failure(
        service("web", annotations={"purelb.io/service-group": "wire"}),
        "Pool",
        "ServiceGroup wire is full",
        "add a range",
        groups=[group(availableIPv4=0)],
    ),
    "a group of other namespaces": failure(
        service("web", annotations={"purelb.io/service-group": "wire"}),
        "Pool",
        "ServiceGroup wire doesn't serve namespace default",
        "spec.namespaces",
        groups=[CLOSED],
    ),
    "a pinned address of no pool": failure(
        service("web", annotations={"purelb.io/addresses": "10.9.9.9"}),
        "Pool",
        "10.9.9.9 is asked for, and is in no ServiceGroup's pool",
        "add it to a pool",
    ),
    "a pinned address that is none": failure(
        service("web", annotations={"purelb.io/addresses": "10.9.9.999"}),
        "Pool",
        "invalid user-specified address",
        "mend the annotation purelb.io/addresses",
    ),
    "what the allocator says": failure(
        service("web", annotations={"purelb.io/addresses": ADDRESS}),
        "Address",
        "10.31.188.64 is in use by default/db",
        "the allocator tries again by itself",
        events=[event("AllocationFailed", "10.31.188.64 is in use by default/db", by="purelb-allocator")],
    ),
    "an allocator that says nothing": failure(
        service("web", annotations={"purelb.io/service-group": "wire"}),
        "Address",
        "the allocator hasn't said why",
        "kubectl logs -n purelb -l component=allocator",
    ),
    "another controller's address": failure(
        ANOTHER, "Address", "10.5.5.5 isn't PureLB's: another program wrote it", "purelb.io/re-evaluate=true"
    ),
    "no node": failure(SERVED, "Nodes", "no node takes part", "kubectl describe pods", members=membership()),
    "no node that goes by an LBNodeAgent": failure(
        SERVED,
        "Nodes",
        "no LBNodeAgent applies to a node",
        "kubectl describe lbnodeagents",
        configs=[
            {
                "metadata": {"name": "default", "namespace": "purelb"},
                "spec": {"local": {}, "nodeSelector": {"matchLabels": {"rack": "a"}}},
                "status": {"conditions": [{"type": "Ready", "status": "False", "message": "it matches no node"}]},
            }
        ],
    ),
    "no node on the subnet": failure(
        SERVED,
        "Nodes",
        "no node that takes part has a NIC in the subnet",
        "kubectl purelb nodes",
        groups=[group(version="v2")],
        members=ELSEWHERE,
    ),
    "a selector that chooses nobody": failure(
        SERVED, "Nodes", "chooses none of the nodes on the subnet", "kubectl edit servicegroup wire", groups=[CHOOSY]
    ),
    "nobody announces": failure(
        service("web", ADDRESS, node=None),
        "Announced",
        "no node says that it announces it",
        "kubectl logs -n purelb -l component=lbnodeagent",
    ),
    "a node that could not": failure(
        service("web", ADDRESS, node=None),
        "Announced",
        "Node w11 could not announce 10.31.188.64 on interface eth0: no buffer space",
        "kubectl logs",
        events=[
            event("AnnouncementFailed", "Node w11 could not announce 10.31.188.64 on interface eth0: no buffer space")
        ],
    ),
    "an address that somebody else had before": failure(
        service("web", ADDRESS, node=None),
        "Announced",
        "Another host, 02:00:00:00:00:01, answers for 10.31.188.64",
        "find that host by its MAC",
        events=[
            event("AddressConflict", "Another host, 02:00:00:00:00:01, answers for 10.31.188.64, which node w11"),
            event("AnnouncementFailed", "Node w11 could not announce 10.31.188.64: duplicate", age=0),
        ],
    ),
    "a node that died": failure(
        service("web", ADDRESS, node="w13"), "Announced", "the node that announced it takes no part any more", "kubectl"
    ),
    "a stranger on the wire": failure(
        SERVED,
        "Wire",
        "Another host, 02:00:00:00:00:01, answers for 10.31.188.64",
        "find that host",
        events=[event("AddressConflict", "Another host, 02:00:00:00:00:01, answers for 10.31.188.64, which node w11")],
    ),
    "a program that removes it": failure(
        SERVED,
        "Wire",
        "Something on node w11 removed 10.31.188.64 from",
        "tell that program",
        events=[event("AddressRemoved", "Something on node w11 removed 10.31.188.64 from interface eth0 9 times")],
    ),
    "no endpoint": failure(
        SERVED, "Pods", "no endpoint of it is ready", "it has no selector: make an EndpointSlice for it", slices=[]
    ),
    "no pod that is ready": failure(
        service("web", ADDRESS, selector={"app": "web"}),
        "Pods",
        "no endpoint of it is ready",
        "kubectl get pods -n default -l app=web",
        slices=[endpoint_slice("w11", ready=False)],
    ),
    "policy Local and no endpoint where it is": failure(
        service("web", ADDRESS, externalTrafficPolicy="Local"),
        "Pods",
        "its traffic policy is Local, and w11, which has 10.31.188.64, has no ready endpoint",
        'kubectl patch service web -n default -p \'{"spec":{"externalTrafficPolicy":"Cluster"}}\'',
        slices=[endpoint_slice("w12")],
    ),
}


@pytest.mark.parametrize("failed", FAILURES.values(), ids=FAILURES.keys())
def test_each_way_to_fail_is_named_with_the_way_out(failed: Failure) -> None:
    answer = inspected(failed.seen, **failed.more)
    crosses = [line for line in lines(answer) if line.startswith("  ✗")]
    advice = [line for line in lines(answer) if line.startswith("What to do: ")]

    assert not answer.is_well
    assert len(crosses) == len(advice) == 1
    assert crosses[0].startswith(f"  ✗ {failed.step}: ")
    assert failed.told in crosses[0]
    assert failed.remedy in advice[0]


@pytest.mark.parametrize(
    ("seen", "told", "more"),
    [
        (SERVED, "no agent says which nodes take part", {"members": None}),
        (
            SERVED,
            "no node on the subnet of 10.31.188.64 serves (w11: no route)",
            {"members": membership(member("w11", standing="Failing", reason="no route"))},
        ),
        (
            SERVED,
            "10.31.188.64 is on eth0 of w11, whose agent doesn't hear from the API server",
            {"members": membership(member("w11", behind=True))},
        ),
        (SERVED, "ServiceGroup wire, which its address is of, is gone", {"groups": []}),
        (
            service("web", ADDRESS, annotations={"purelb.io/adresses": ADDRESS}),
            "did you mean purelb.io/addresses?",
            {},
        ),
        (SERVED, "is also held by", {"events": [event("ConfigurationWarning", "10.31.188.64 is also held by db")]}),
    ],
)
def test_what_is_doubtful_is_said_and_no_failure(seen: Json, told: str, more: dict[str, Any]) -> None:
    answer = inspected(seen, **more)

    assert answer.is_well
    assert any(line.startswith("  ! ") and told in line for line in lines(answer))


def test_what_is_over_counts_no_more() -> None:
    conflict = "Another host, 02:00:00:00:00:01, answers for 10.31.188.64, which"

    assert inspected(SERVED, events=[event("AddressConflict", conflict, age=3000)]).is_well
    assert inspected(SERVED, events=[event("AddressConflict", conflict, by="somebody")]).is_well
    assert inspected(SERVED, events=[event("AddressConflict", conflict.replace(".64", ".6"))]).is_well


@pytest.mark.parametrize(
    ("listing", "chosen"),
    [({}, "default"), ({"a": False}, "a"), ({"a": True, "b": False}, "a"), ({"a": True, "b": True}, "default")],
)
def test_a_service_that_names_no_group_takes_from_that_of_its_namespace(listing: dict[str, bool], chosen: str) -> None:
    groups = [group("default", availableIPv4=0), group("a"), group("b")]
    for one in groups:
        if (name := one["metadata"]["name"]) in listing:
            one["spec"] |= {"namespaces": ["default"], "namespaceDefault": listing[name]}
    answer = inspected(service("web"), groups=groups)

    assert lines(answer)[2].startswith(f"  {'✗' if chosen == 'default' else '✓'} Pool: ServiceGroup {chosen}")


def test_a_service_is_found_by_its_name_where_that_is_unambiguous() -> None:
    seen = cluster(service("web"), service("db"), service("db", namespace="other"))

    assert seen.find("web", None).key == ("default", "web")
    assert seen.find("other/db", None).key == ("other", "db")
    assert seen.find("db", "other").key == ("other", "db")
    with pytest.raises(SettingsError, match=r"say which \(default/db, other/db\)"):
        seen.find("db", None)
    with pytest.raises(SettingsError, match='no Service "wbe" in any namespace'):
        seen.find("wbe", None)
