"""What the walkthrough expects is what the article shows."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
import yaml

from lab.demo.scenario import (
    GROUP_BGP,
    GROUP_LAYER2,
    SAMPLES,
    SERVICE_FIXED,
    SERVICES_BGP,
    SERVICES_LAYER2,
    Families,
    owners,
    scenario,
)
from lab.wire.topology import topology

NODES = [node.name for node in topology(3).nodes]
MASTER, WORKER11, WORKER12 = NODES
FILES = (GROUP_LAYER2, SERVICES_LAYER2, SERVICE_FIXED, GROUP_BGP, SERVICES_BGP)


def test_the_expected_owners_are_the_articles() -> None:
    expected = {"10.31.188.64": WORKER11, "10.31.188.65": MASTER, "10.31.188.66": WORKER11, "10.31.188.100": WORKER12}

    assert owners(scenario(Families.IPV4).layer2_vips(), NODES) == {
        ip_address(vip): node for vip, node in expected.items()
    }


@pytest.mark.parametrize("name", FILES)
def test_over_ipv4_the_articles_files_are_applied_untouched(name: str) -> None:
    assert scenario(Families.IPV4).manifest(name) == (SAMPLES / name).read_text()


@pytest.mark.parametrize("families", list(Families))
def test_every_address_lies_in_the_pool_of_its_group(families: Families) -> None:
    plan = scenario(families)
    subnets = {}
    for name in (GROUP_LAYER2, GROUP_BGP):
        group = yaml.safe_load(plan.manifest(name))
        pools = [group["spec"]["local"].get(pool) for pool in ("v4pool", "v6pool")]
        subnets[group["metadata"]["name"]] = [pool["pool"] for pool in pools if pool]

    for one in plan.everything:
        for vip in one.addresses:
            ranges = [tuple(map(ip_address, text.split("-"))) for text in subnets[one.group]]
            assert any(low.version == vip.version and low <= vip <= high for low, high in ranges)  # type: ignore[operator]


def test_over_ipv6_nothing_of_ipv4_is_left() -> None:
    plan = scenario(Families.IPV6)

    for name in FILES:
        for document in yaml.safe_load_all(plan.manifest(name)):
            spec = document.get("spec", {})
            assert "v4pool" not in spec.get("local", {})
            if document["kind"] == "Service":
                assert spec["ipFamilies"] == ["IPv6"]
                assert ":" in spec.get("loadBalancerIP", "::")


def test_with_both_families_a_service_gets_one_address_of_each() -> None:
    first = scenario(Families.DUAL).layer2[0]

    assert [vip.version for vip in first.addresses] == [4, 6]
    assert [vip.version for vip in scenario(Families.DUAL).fixed.addresses] == [4]
