"""Writes of an agent's on node w11 to Services, and whether the policy in manifests/policy lets each through."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

Json = dict[str, Any]
POLICY: Final = Path(__file__).parents[2] / "manifests" / "policy" / "agent-writes.yaml"
NODE: Final = "w11"
IPV4: Final = "purelb.io/announcing-IPv4"
IPV6: Final = "purelb.io/announcing-IPv6"
OTHERS: Final = "w12,eth0,10.31.64.1"
BEFORE: Final[Json] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "web",
        "namespace": "default",
        "annotations": {IPV4: f"{OTHERS} w13,eth0,10.31.64.2", "purelb.io/allocated-by": "PureLB"},
        "labels": {"app": "web"},
    },
    "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
}
Change = Callable[[Json], None]


def annotated(key: str, value: str | None) -> Change:
    def change(service: Json) -> None:
        if value is None:
            del service["metadata"]["annotations"][key]
        else:
            service["metadata"]["annotations"][key] = value

    return change


def label(service: Json) -> None:
    service["metadata"]["labels"]["app"] = "other"


def finalizer(service: Json) -> None:
    service["metadata"]["finalizers"] = ["example.org/stays"]


def owner(service: Json) -> None:
    """One that isn't there: the garbage collector would delete the Service."""
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "6e1d2c4a-0000-4000-8000-000000000000"}
    service["metadata"]["ownerReferences"] = [gone]


def external_ip(service: Json) -> None:
    service["spec"]["externalIPs"] = ["192.0.2.1"]


def selector(service: Json) -> None:
    service["spec"]["selector"] = {"app": "mine"}


def unannotated(service: Json) -> None:
    del service["metadata"]["annotations"]


WRITES: Final[list[tuple[str, Change, bool]]] = [
    ("its own name beside others'", annotated(IPV4, f"{OTHERS} w11,eth0,10.31.64.2"), True),
    ("its own name in a new annotation", annotated(IPV6, "w11,eth0"), True),
    ("a dead node's name away", annotated(IPV4, OTHERS), True),
    ("all names away", annotated(IPV4, None), True),
    ("another's entry in the older form", annotated(IPV4, "w12,eth0"), True),
    ("nothing", lambda service: None, True),
    ("another node's name", annotated(IPV6, "w13,eth0,fd00::1"), False),
    ("another node's name beside its own", annotated(IPV4, "w11,eth0,10.31.64.1 w14,eth0,10.31.64.2"), False),
    ("a node whose name begins like its own", annotated(IPV4, "w110,eth0,10.31.64.1"), False),
    ("another annotation", annotated("purelb.io/allocated-by", "somebody"), False),
    ("another annotation away", annotated("purelb.io/allocated-by", None), False),
    ("a new annotation", annotated("example.org/mine", "yes"), False),
    ("all annotations away", unannotated, False),
    ("a label", label, False),
    ("a finalizer", finalizer, False),
    ("an owner", owner, False),
    ("an external address", external_ip, False),
    ("another selector", selector, False),
]

CASES: Final = pytest.mark.parametrize(
    ("change", "allowed"), [one[1:] for one in WRITES], ids=[one[0] for one in WRITES]
)


def after(change: Change) -> Json:
    made = copy.deepcopy(BEFORE)
    change(made)
    return made


def policy() -> list[Json]:
    return list(yaml.safe_load_all(POLICY.read_text()))
