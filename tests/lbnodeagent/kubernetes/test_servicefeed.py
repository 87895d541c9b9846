"""What the agent keeps of the Services that it hears of."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from prometheus_client import CollectorRegistry

from lbnodeagent.kubernetes.servicefeed import ServiceFeed
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.messages import VipChanged
from purelb.kube import Kube
from purelb.metrics import AgentMetrics
from purelb.services import ServiceKey, ServiceView

KEY = ServiceKey("test", "web")
VIP = ip_address("10.31.188.64")


def body(version: int, ip: str = str(VIP), **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "test",
            "name": "web",
            "uid": "u1",
            "resourceVersion": str(version),
            "annotations": {"purelb.io/allocated-by": "PureLB", **annotations},
        },
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
    }


class Scene:
    """A feed, what it tells the data plane, and what the reporter hears."""

    def __init__(self) -> None:
        self.wanted = WantedTable()
        self.told: list[VipChanged] = []
        self.heard: list[ServiceView] = []
        self.feed = ServiceFeed(Kube(), self.wanted, AgentMetrics(CollectorRegistry()), self.told.extend)
        self.feed.on_change = self.heard.append

    def sees(self, service: dict[str, Any]) -> None:
        self.feed.observe_service(service, is_gone=False, is_listed=False)


def test_others_annotations_are_not_kept() -> None:
    scene = Scene()
    scene.sees(body(1, **{"kubectl.kubernetes.io/last-applied-configuration": "{}" * 1000}))

    kept = scene.wanted.service(KEY)

    assert kept is not None
    assert kept.annotations == {"purelb.io/allocated-by": "PureLB"}


def test_what_is_known_already_is_no_news() -> None:
    scene = Scene()
    for _ in range(3):
        scene.sees(body(7))

    assert len(scene.heard) == 1
    assert [change.vip for change in scene.told] == [VIP]


def test_an_older_state_that_arrives_late_changes_nothing() -> None:
    scene = Scene()
    scene.sees(body(10, ip="10.31.188.65"))
    scene.sees(body(9))

    kept = scene.wanted.service(KEY)
    assert kept is not None
    assert [str(ip) for ip in kept.ingress] == ["10.31.188.65"]


def test_a_service_of_the_same_name_that_was_made_anew_is_another() -> None:
    scene = Scene()
    scene.sees(body(10, ip="10.31.188.65"))
    made_anew = body(3)
    made_anew["metadata"]["uid"] = "u2"
    scene.sees(made_anew)

    kept = scene.wanted.service(KEY)
    assert kept is not None
    assert (kept.uid, kept.ingress) == ("u2", (VIP,))
