"""What is wrong around a node is told on its Node: at once, again while it lasts, and not each second."""

from __future__ import annotations

from ipaddress import ip_address
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from lbnodeagent.kubernetes.nodewarnings import AGAIN, NodeWarnings
from lbnodeagent.tables import KeepsFlows, Wiped
from purelb.events import EventRecorder, ObjectReference
from purelb.metrics import AgentMetrics

OWN = ip_address("10.31.188.1")


class Recorder:
    """Takes events, as EventRecorder does."""

    def __init__(self) -> None:
        self.events: list[tuple[ObjectReference, str, str, str]] = []

    def record(self, about: ObjectReference, event_type: str, reason: str, message: str) -> None:
        self.events.append((about, event_type, reason, message))


def warnings() -> tuple[NodeWarnings, Recorder, CollectorRegistry]:
    recorder, registry = Recorder(), CollectorRegistry()
    return NodeWarnings("m", 7934, cast(EventRecorder, recorder), AgentMetrics(registry)), recorder, registry


def test_unheard_agents_are_named_with_the_port_on_the_node_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    made, recorder, registry = warnings()
    for second in range(30):
        made.agents_unheard(("w11", "w12"), float(second))

    ((about, event_type, reason, text),) = recorder.events
    assert about == ObjectReference("v1", "Node", "", "m", "m")
    assert (event_type, reason) == ("Warning", "AgentsUnheard")
    assert "nodes w11, w12" in text
    assert "port 7934, UDP and TCP" in text
    assert "may be on two nodes" in text, "for the wire is asked where nobody is heard"
    assert len(caplog.records) == 1
    assert registry.get_sample_value("purelb_lbnodeagent_unheard_peers") == 2
    assert made.unheard == text


def test_a_node_that_cannot_keep_connections_says_why_once(caplog: pytest.LogCaptureFixture) -> None:
    made, recorder, registry = warnings()
    for second in range(3):
        made.keeps_flows(KeepsFlows("the kernel refuses what that takes: nf_tables", "load it"), float(second))

    ((_, event_type, reason, text),) = recorder.events
    assert (event_type, reason) == ("Warning", "ConnectionsNotKept")
    assert text.endswith("node m: the kernel refuses what that takes: nf_tables; load it")
    assert len(caplog.records) == 1
    assert registry.get_sample_value("purelb_lbnodeagent_findings", {"check": "flows-not-kept"}) == 1

    made.keeps_flows(KeepsFlows(), 4.0)
    assert made.found(4.0) == ()


def test_a_node_that_does_not_serve_says_why_until_it_serves() -> None:
    made, recorder, registry = warnings()
    made.not_serving("its kube-proxy doesn't answer", 0.0)

    ((_, event_type, reason, text),) = recorder.events
    assert (event_type, reason) == ("Warning", "NotServing")
    assert "its kube-proxy doesn't answer" in text
    assert registry.get_sample_value("purelb_lbnodeagent_serving") == 0

    made.not_serving("", 1.0)
    assert registry.get_sample_value("purelb_lbnodeagent_serving") == 1


def test_it_is_told_again_while_it_lasts_and_forgotten_when_it_is_over() -> None:
    made, recorder, registry = warnings()
    for now in (0.0, AGAIN - 1, AGAIN):
        made.agents_unheard(("w11",), now)
    assert len(recorder.events) == 2

    made.agents_unheard((), AGAIN + 1)
    assert len(recorder.events) == 2
    assert (made.unheard, registry.get_sample_value("purelb_lbnodeagent_unheard_peers")) == (None, 0)


def test_a_sentence_names_no_more_nodes_than_one_can_read() -> None:
    made, recorder, _ = warnings()
    made.agents_unheard([f"w{number}" for number in range(1000)], 0.0)

    assert "w7 and 992 more" in recorder.events[0][3]


def test_kube_proxy_without_strict_arp_is_told_with_what_to_set() -> None:
    made, recorder, registry = warnings()
    made.stray_answers(("eth0",), 0.0)

    ((_, _, reason, text),) = recorder.events
    assert reason == "StrictARPOff"
    assert "eth0" in text
    assert "strictARP: true" in text
    assert registry.get_sample_value("purelb_lbnodeagent_stray_arp_interfaces") == 1


def test_who_takes_the_nodes_own_address_is_told_on_the_node() -> None:
    made, recorder, _ = warnings()
    made.own_address_removed(Wiped(OWN, "eth0", 3, "it was systemd-networkd", is_nodes_own=True), 0.0)

    ((about, event_type, reason, text),) = recorder.events
    assert about.kind == "Node"
    assert (event_type, reason) == ("Warning", "AddressRemoved")
    assert text.startswith(
        "Something on node m removed 10.31.188.1, the node's own address, from interface eth0 3 times"
    )
    assert text.endswith(": it was systemd-networkd")


def test_a_node_without_a_subnet_is_told_with_its_address() -> None:
    made, recorder, _ = warnings()
    made.without_subnet(("eth0 10.0.0.5/32",), 0.0)
    made.without_subnet((), 1.0)

    ((_, _, reason, text),) = recorder.events
    assert reason == "NoSubnet"
    assert "eth0 10.0.0.5/32" in text


def test_what_is_told_only_when_it_changes_is_repeated_while_it_lasts() -> None:
    made, recorder, _ = warnings()
    made.without_subnet(("eth0 10.0.0.5/32",), 0.0)
    made.stray_answers(("eth0",), 1.0)

    for now in range(2, 2000):
        made.repeat(float(now))
    assert [reason for _, _, reason, _ in recorder.events] == ["NoSubnet", "StrictARPOff"] * 4

    made.without_subnet((), 2000.0)
    made.stray_answers((), 2000.0)
    made.repeat(4000.0)
    assert len(recorder.events) == 8


def test_an_entry_that_can_be_no_key_is_told_on_the_secret() -> None:
    made, recorder, _ = warnings()
    about = ObjectReference("v1", "Secret", "purelb", "purelb-gossip", "u1")
    made.gossip_key("old of the Secret purelb-gossip has 5 bytes", about, 0.0)
    made.repeat(AGAIN)
    made.gossip_key("", about, AGAIN)
    made.repeat(2 * AGAIN)

    told = (about, "Warning", "GossipKeyInvalid", "old of the Secret purelb-gossip has 5 bytes")
    assert recorder.events == [told, told]
