"""Whether anything answers behind a Service's address, and what its author may have meant otherwise. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kubectl_purelb.happenings import latest
from kubectl_purelb.inspection.case import NAMED, Case, Mark, Step
from kubectl_purelb.places import State, places_of
from purelb import names
from purelb.addresses import listed
from purelb.annotations import meaningless
from purelb.preferences import misread


def pods(case: Case) -> Iterator[Step]:
    """Whether it has endpoints, where they are needed."""
    service, backends, name = case.service, case.backends, "Pods"
    labels = ",".join(f"{key}={value}" for key, value in service.selector)
    if not backends.ready:
        pods = f"kubectl get pods -n {service.key.namespace} -l {shlex.quote(labels)}"
        remedy = pods if labels else "it has no selector: make an EndpointSlice for it"
        yield Step(name, Mark.FAILED, "no endpoint of it is ready: the address answers nobody", remedy)
        return
    if service.external_traffic_policy == "Local":
        for place in places_of(service, case.cluster):
            if place.state is State.ANNOUNCED and place.node not in backends.nodes:
                told = (
                    f"its traffic policy is Local, and {place.node}, which has {place.address}, has no ready endpoint"
                )
                remedy = case.command("patch", """-p '{"spec":{"externalTrafficPolicy":"Cluster"}}'""")
                yield Step(name, Mark.FAILED, told, remedy)
                return
    many = f"{backends.ready} ready endpoint{'s' * (backends.ready != 1)}"
    yield Step(name, Mark.DONE, f"{many} on {listed(sorted(backends.nodes), NAMED) or 'nodes that are not named'}")


def wishes(case: Case) -> Iterator[Step]:
    """What in its annotations means nothing. Nothing is said where all means something."""
    annotations = case.service.annotations
    for sentence in (*meaningless(annotations), *misread(annotations)):
        yield Step("Wishes", Mark.DOUBTFUL, sentence)
    warned = latest(case.events, names.REASON_CONFIGURATION_WARNING)
    if warned is not None and warned.is_warning and warned.message not in meaningless(annotations):
        yield Step("Wishes", Mark.DOUBTFUL, warned.message)
