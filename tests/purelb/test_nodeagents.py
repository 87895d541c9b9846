"""LBNodeAgents of both versions, and the sentences that refuse wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from purelb.errors import SpecError
from purelb.nodeagents import AddressConfig, GarpConfig, interface_pattern, parse_duration, parse_node_agent
from purelb.selectors import Selector

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


def agent(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "default", "namespace": "purelb", "uid": "u"}, "spec": spec}


def test_the_articles_agent_object_is_understood() -> None:
    parsed = parse_node_agent(agent(local={"localint": "default", "extlbint": "kube-lb0"}))

    assert (parsed.local_interface, parsed.dummy_interface, parsed.announces) == ("default", "kube-lb0", True)
    assert parsed.garp == GarpConfig()


def test_v2_names_win_over_v1_names() -> None:
    parsed = parse_node_agent(agent(local={"localint": "eth0", "localInterface": "eth1", "dummyInterface": "lb1"}))

    assert (parsed.local_interface, parsed.dummy_interface) == ("eth1", "lb1")


def test_an_agent_object_without_local_announces_nothing() -> None:
    assert not parse_node_agent(agent()).announces


def test_lifetimes_are_kept_sane() -> None:
    parsed = parse_node_agent(
        agent(
            local={
                "addressConfig": {
                    "localInterface": {"validLifetime": 3, "preferredLifetime": 900, "noPrefixRoute": False},
                    "dummyInterface": {"validLifetime": 0},
                }
            }
        )
    )

    assert parsed.local_addressing == AddressConfig(5, 5, False)
    assert parsed.dummy_addressing == AddressConfig(0, None, False)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({}, AddressConfig(10, None, True)),
        ({"validLifetime": 300}, AddressConfig(300, None, True)),
        ({"validLifetime": 300, "preferredLifetime": 100}, AddressConfig(300, 100, True)),
        ({"validLifetime": 300, "preferredLifetime": 0}, AddressConfig(300, 300, True)),
        ({"validLifetime": 0, "preferredLifetime": 0}, AddressConfig(0, 0, True)),
        ({"validLifetime": 0, "preferredLifetime": 60}, AddressConfig(0, 60, True)),
    ],
)
def test_the_preferred_lifetime_is_what_was_said_of_it(block: dict[str, Any], expected: AddressConfig) -> None:
    assert parse_node_agent(agent(local={"addressConfig": {"localInterface": block}})).local_addressing == expected


@pytest.mark.parametrize(
    ("text", "name", "matches"),
    [
        ("eth", "meth0", True),
        ("^eth[[:digit:]]$", "eth0", True),
        ("^eth[[:digit:]]$", "ethd", False),
        (r"^en[^[:digit:]]\z", "enp", True),
        ("(?i)^ETH", "eth0", True),
    ],
)
def test_a_regular_expression_means_what_it_means_in_go(text: str, name: str, matches: bool) -> None:
    assert bool(interface_pattern(text).search(name)) is matches


def test_announcements_are_configured() -> None:
    parsed = parse_node_agent(agent(local={"garpConfig": {"initialDelay": "1m30s", "count": 5, "interval": "250ms"}}))

    assert parsed.garp == GarpConfig(initial_delay=90.0, count=5, interval=0.25)


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0.0), ("10s", 10.0), ("2m30s", 150.0), ("", 240.0)])
def test_announcements_are_refreshed_as_it_says(text: str, seconds: float) -> None:
    assert parse_node_agent(agent(local={"garpConfig": {"refreshInterval": text}})).garp.refresh == seconds


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"local": {"localint": "eth("}}, "not a regular expression"),
        ({"local": {"extlbint": "a-name-of-sixteen"}}, "no name for an interface"),
        ({"local": {"dummyInterface": "lb 0"}}, 'dummyInterface: "lb 0" is no name for an interface'),
        ({"local": {"interfaces": ["eth0", "eth0:1"]}}, 'interfaces: "eth0:1" is no name for an interface'),
        ({"local": {"garpConfig": {"count": 11}}}, "not from 1 to 10"),
        ({"local": {"garpConfig": {"interval": "soon"}}}, '"soon" is not a duration'),
        ({"local": {"garpConfig": {"refreshInterval": "5s"}}}, "shorter than 10s"),
        ({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}, "none of In, NotIn"),
        ({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "takes at least one value"),
    ],
)
def test_a_wrong_agent_object_is_refused_with_one_sentence(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        parse_node_agent(agent(**spec))


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ({}, {}, True),
        ({"matchLabels": {"zone": "a"}}, {"zone": "a"}, True),
        ({"matchLabels": {"zone": "a"}}, {"zone": "b"}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}, {"zone": "b"}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, {}, True),
        ({"matchExpressions": [{"key": "edge", "operator": "Exists"}]}, {"edge": ""}, True),
        ({"matchExpressions": [{"key": "edge", "operator": "DoesNotExist"}]}, {"edge": ""}, False),
    ],
)
def test_a_node_selector_is_kubernetes_own(selector: dict[str, Any], labels: dict[str, str], matches: bool) -> None:
    parsed: Selector = parse_node_agent(agent(nodeSelector=selector)).node_selector

    assert parsed.matches(labels) is matches


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("1m30s", 90.0), ("1.5h", 5400.0), ("20us", 2e-5)])
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
