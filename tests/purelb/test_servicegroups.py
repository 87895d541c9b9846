"""ServiceGroups of both versions, and the sentences that refuse wrong ones."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from purelb.errors import SpecError
from purelb.servicegroups import NetboxSource, PoolSource, SidecarSource, parse_service_group

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


def group(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "g", "namespace": "purelb", "uid": "u"}, "spec": spec}


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


def test_a_pool_may_be_one_bare_address() -> None:
    parsed = parse_service_group(group(local={"v4pool": pool("10.0.0.7, 10.0.0.9", "10.0.0.0/24")}))

    assert [str(p.range) for p in parsed.pools] == ["10.0.0.7-10.0.0.7", "10.0.0.9-10.0.0.9"]


def test_a_service_may_have_sixteen_addresses_of_a_group_that_says_nothing_or_one_of_each_of_its_ranges() -> None:
    few = {"v4pool": pool("10.0.0.0/24", "10.0.0.0/24")}
    many = {"v4pools": [pool(f"10.0.{number}.0/24", "10.0.0.0/8") for number in range(40)]}

    assert parse_service_group(group(local=few)).max_addresses == 16
    assert parse_service_group(group(local=many)).max_addresses == 16
    assert parse_service_group(group(local={**many, "multiPool": True})).max_addresses == 40
    assert parse_service_group(group(local={**many, "multiPool": True}, maxAddressesPerService=3)).max_addresses == 3
    with pytest.raises(SpecError, match="maxAddressesPerService 0 is not a number from 1 to 256"):
        parse_service_group(group(local=few, maxAddressesPerService=0))


def test_a_group_of_thousands_of_ranges_is_read_in_order_of_them() -> None:
    ranges = [f"10.{number // 256}.{number % 256}.0/28" for number in range(2048)]
    pools = [pool(",".join(ranges[start : start + 32]), "10.0.0.0/8") for start in range(0, 2048, 32)]

    assert [p.text for p in parse_service_group(group(local={"v4pools": pools})).pools] == ranges


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
        ({"local": {"v4pool": pool("garbage", "10.0.0.0/24")}}, '"garbage" is neither a CIDR, nor a range'),
        ({"local": {"v4pool": pool("10.0.0.1/32", "garbage")}}, '"garbage" is not a subnet'),
        ({"local": {"v4pool": pool("10.0.0.1/32", "10.0.0.0/24", "/64")}}, 'aggregation "/64" is neither'),
        ({"local": {"v4pool": pool("127.0.0.0/8", "0.0.0.0/0")}}, "127.0.0.0/8, which are loopback addresses"),
        ({"local": {"v4pool": pool("126.0.0.0-128.0.0.9", "0.0.0.0/0")}}, "127.0.0.0/8, which are loopback addresses"),
        ({"local": {"v4pool": pool("169.254.1.7", "0.0.0.0/0")}}, "169.254.0.0/16, which are link-local"),
        ({"local": {"v4pool": pool("224.0.0.0/4", "0.0.0.0/0")}}, "224.0.0.0/4, which are multicast"),
        ({"local": {"v4pool": pool("255.255.255.255", "0.0.0.0/0")}}, "240.0.0.0/4, which are reserved"),
        ({"local": {"v4pool": pool("0.0.0.0", "0.0.0.0/0")}}, "0.0.0.0/8, which stand for"),
        ({"local": {"v6pool": pool("fe80::/64", "::/0")}}, "fe80::/10, which are link-local"),
        ({"local": {"v6pool": pool("ff02::1", "::/0")}}, "ff00::/8, which are multicast"),
        ({"local": {"v6pool": pool("::1", "::/0")}}, "::/8, which are unspecified, loopback"),
        ({"local": {"v6pool": pool("::ffff:10.0.0.1", "::/0")}}, "is an IPv4-mapped address: write it as 10.0.0.1"),
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


def test_a_group_says_which_nodes_may_announce_it_and_by_which_rule() -> None:
    block = pool("10.0.0.0/30", "10.0.0.0/24")
    parsed = parse_service_group(group(local=block, nodeSelector={"matchLabels": {"rack": "a"}}, placement="even"))

    assert parsed.node_selector.matches({"rack": "a"})
    assert not parsed.node_selector.matches({})
    assert parsed.placement == "even"
    assert parse_service_group(group(local=block)).node_selector.matches({})
    assert parse_service_group(group(local=block)).placement is None
