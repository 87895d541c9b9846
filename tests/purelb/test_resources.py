"""ServiceGroups and LBNodeAgents of both versions, and the sentences that refuse wrong ones."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from purelb.errors import SpecError
from purelb.resources import (
    AddressConfig,
    GarpConfig,
    NetboxSource,
    PoolSource,
    Selector,
    SidecarSource,
    interface_pattern,
    parse_duration,
    parse_node_agent,
    parse_service_group,
)

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


def group(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "g", "namespace": "purelb", "uid": "u"}, "spec": spec}


def agent(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "default", "namespace": "purelb", "uid": "u"}, "spec": spec}


def pool(addresses: str, subnet: str, aggregation: str = "default") -> dict[str, str]:
    return {"pool": addresses, "subnet": subnet, "aggregation": aggregation}


@pytest.mark.parametrize(
    ("file", "first", "last", "length"),
    [
        ("01-servicegroup-layer2.yaml", "10.31.188.64", "10.31.188.126", 32),
        ("04-servicegroup-bgp.yaml", "10.189.0.0", "10.189.255.254", 32),
    ],
)
def test_the_articles_groups_are_understood(file: str, first: str, last: str, length: int) -> None:
    parsed = parse_service_group(yaml.safe_load((SAMPLES / file).read_text()))

    (only,) = parsed.pools
    assert (only.range.first, only.range.last, only.prefix_length) == (ip_address(first), ip_address(last), length)


def test_the_plural_pools_come_before_the_singular_one_and_ipv4_before_ipv6() -> None:
    parsed = parse_service_group(
        group(
            local={
                "v6pool": pool("fd00::1-fd00::9", "fd00::/64"),
                "v4pool": pool("10.0.0.8/30", "10.0.0.0/24"),
                "v4pools": [pool("10.0.0.64/30", "10.0.0.0/24"), pool("10.0.0.32/30", "10.0.0.0/24")],
            }
        )
    )

    assert [p.text for p in parsed.pools] == ["10.0.0.64/30", "10.0.0.32/30", "10.0.0.8/30", "fd00::1-fd00::9"]


def test_the_legacy_pool_at_the_top_level_goes_to_the_family_of_its_address() -> None:
    parsed = parse_service_group(group(local=pool("fd00::/120", "fd00::/64", "/128")))

    assert [(str(p.family), p.prefix_length) for p in parsed.pools] == [("IPv6", 128)]


def test_an_aggregation_alone_at_the_top_level_is_no_legacy_pool() -> None:
    block = {"aggregation": "default", "v4pool": pool("10.0.0.0/30", "10.0.0.0/24")}

    assert [p.text for p in parse_service_group(group(local=block)).pools] == ["10.0.0.0/30"]


def test_one_pool_may_list_several_ranges() -> None:
    parsed = parse_service_group(group(local={"v4pool": pool("10.0.0.1-10.0.0.3, 10.0.0.8/30", "10.0.0.0/24")}))

    assert [p.text for p in parsed.pools] == ["10.0.0.1-10.0.0.3", "10.0.0.8/30"]


def test_the_pool_of_an_address_is_found_in_both_families() -> None:
    parsed = parse_service_group(
        group(local={"v4pool": pool("10.0.0.0/24", "10.0.0.0/24"), "v6pool": pool("fd00::/64", "fd00::/64", "/128")})
    )

    found = parsed.pool_of(ip_address("fd00::5"))
    assert found is not None
    assert found.subnet == ip_network("fd00::/64")
    assert parsed.pool_of(ip_address("10.0.1.0")) is None


def test_local_means_what_it_does_in_v2_if_all_of_the_spec_was_written_so() -> None:
    body = group(local={"v4pool": pool("10.1.0.1-10.1.0.9", "10.1.0.0/24")})

    def written_by(*versions: str, kind: str = "local") -> bool:
        writers = [{"apiVersion": f"purelb.io/{version}", "fieldsV1": {"f:spec": {}}} for version in versions]
        status = {"apiVersion": "purelb.io/v1", "fieldsV1": {"f:status": {}}}
        metadata = {**body["metadata"], "managedFields": [*writers, status]}
        return parse_service_group({"metadata": metadata, "spec": {kind: body["spec"]["local"]}}).is_onlink_only

    assert not parse_service_group(body).is_onlink_only
    assert not written_by()
    assert not written_by("v1")
    assert not written_by("v1", "v2")  # kubectl patches in v2
    assert written_by("v2")
    assert written_by("v2", "v2")
    assert not written_by("v2", kind="remote")


def test_v2_groups_with_other_sources_are_understood() -> None:
    remote = parse_service_group(group(remote={"v4pool": pool("10.0.0.0/24", "10.0.0.0/24"), "balancePools": True}))
    external = parse_service_group(group(external={"provider": "acme", "announce": "local"}))
    netbox = parse_service_group(group(netbox={"url": "http://netbox/", "tenant": "lb"}))

    assert isinstance(remote.source, PoolSource)
    assert (remote.source.scope, remote.source.balance_pools) == ("remote", True)
    assert external.source == SidecarSource("acme", "/var/run/purelb/ipam.sock", "local")
    assert netbox.source == NetboxSource("http://netbox/", "lb")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "has no pool"),
        ({"local": {}}, "local has no pool"),
        ({"local": {}, "remote": {}}, "exactly one kind of pool"),
        ({"local": {"v4pool": pool("10.1.0.0/24", "10.0.0.0/24")}}, "10.1.0.0/24 is not contained in its subnet"),
        ({"local": {"v4pool": pool("10.0.0.9-10.0.0.1", "10.0.0.0/24")}}, "upside down"),
        ({"local": {"v4pool": pool("garbage", "10.0.0.0/24")}}, '"garbage" is neither a CIDR nor a range'),
        ({"local": {"v4pool": pool("10.0.0.1/32", "garbage")}}, '"garbage" is not a subnet'),
        ({"local": {"v4pool": pool("10.0.0.1/32", "10.0.0.0/24", "/64")}}, 'aggregation "/64" is neither'),
        ({"local": {"v4pool": pool("fd00::/120", "fd00::/64")}}, "is IPv6, not IPv4"),
        ({"local": {"v6pool": pool("10.0.0.0/30", "10.0.0.0/24")}}, "is IPv4, not IPv6"),
        ({"local": {"v4pool": {"pool": "10.0.0.0/30"}}}, "local.v4pool.subnet is missing"),
        ({"local": {"v4pool": {"subnet": "10.0.0.0/24"}}}, "local.v4pool.pool is missing"),
        (
            {"local": {"v4pools": [pool("10.0.0.0/24", "10.0.0.0/16"), pool("10.0.0.7/32", "10.0.0.0/16")]}},
            "the ranges 10.0.0.0/24 and 10.0.0.7/32 of this group overlap",
        ),
        ({"local": {**pool("10.0.0.0/30", "10.0.0.0/24"), "v4pool": pool("10.0.0.8/30", "10.0.0.0/24")}}, "both IPv4"),
        (
            {"remote": {"v4pool": pool("10.0.0.0/30", "10.0.0.0/24"), "multiPool": True, "balancePools": True}},
            "exclude each other",
        ),
        ({"netbox": {"url": "netbox", "tenant": "t"}}, "not an HTTP or HTTPS URL"),
        ({"external": {"provider": "p", "announce": "both"}}, "neither local nor remote"),
        (
            {"local": {"v4pool": pool("10.0.0.0/30", "10.0.0.0/24")}, "enforceNamespaces": True},
            "needs a non-empty list",
        ),
    ],
)
def test_a_wrong_group_is_refused_with_one_sentence(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence) as refusal:
        parse_service_group(group(**spec))

    assert "\n" not in str(refusal.value)


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
                    "localInterface": {"validLifetime": 5, "preferredLifetime": 900, "noPrefixRoute": False},
                    "dummyInterface": {"validLifetime": 0},
                }
            }
        )
    )

    assert parsed.local_addressing == AddressConfig(20, 20, False)
    assert parsed.dummy_addressing == AddressConfig(0, None, False)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({}, AddressConfig(20, None, True)),
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


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"local": {"localint": "eth("}}, "not a regular expression"),
        ({"local": {"extlbint": "a-name-of-sixteen"}}, "no name for an interface"),
        ({"local": {"dummyInterface": "lb 0"}}, 'dummyInterface: "lb 0" is no name for an interface'),
        ({"local": {"interfaces": ["eth0", "eth0:1"]}}, 'interfaces: "eth0:1" is no name for an interface'),
        ({"local": {"garpConfig": {"count": 11}}}, "not from 1 to 10"),
        ({"local": {"garpConfig": {"interval": "soon"}}}, '"soon" is not a duration'),
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
