"""Annotations that mean nothing to PureLB are told of, with the key that was meant."""

from __future__ import annotations

import pytest

from purelb import names
from purelb.annotations import OURS, meaningless


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("purelb.io/address", names.ADDRESSES),
        ("purelb.io/servicegroup", names.SERVICE_GROUP),
        ("purelb.io/serviceGroup", names.SERVICE_GROUP),
        ("purelb.io/service_group", names.SERVICE_GROUP),
        ("purelb.io/Addresses", names.ADDRESSES),
        ("purelb.io/allow-shared-ips", names.ALLOW_SHARED_IP),
        ("purelb.io/allowlocal", names.ALLOW_LOCAL),
        ("purelb.io/multipool", names.MULTI_POOL),
        ("purelb.io/reevaluate", names.RE_EVALUATE),
    ],
)
def test_a_misspelt_key_is_told_of_with_the_nearest(key: str, meant: str) -> None:
    assert meaningless([key]) == (f"the annotation {key} means nothing to PureLB; did you mean {meant}?",)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("metallb.universe.tf/address-pool", names.SERVICE_GROUP),
        ("metallb.io/loadBalancerIPs", names.ADDRESSES),
        ("metallb.io/allow-shared-ip", names.ALLOW_SHARED_IP),
        ("kube-vip.io/loadbalancerIPs", names.ADDRESSES),
        ("lbipam.cilium.io/ips", names.ADDRESSES),
    ],
)
def test_a_key_of_another_project_is_told_of_with_ours(key: str, meant: str) -> None:
    assert meaningless([key]) == (f"the annotation {key} means nothing to PureLB; the same is asked for by {meant}",)


def test_a_key_that_is_near_to_none_is_told_of_with_all() -> None:
    (sentence,) = meaningless(["purelb.io/quota"])

    assert sentence.startswith(
        "the annotation purelb.io/quota means nothing to PureLB; it knows purelb.io/service-group"
    )


def test_keys_that_are_known_or_none_of_ours_are_no_news() -> None:
    assert meaningless([*OURS, "app", "kubectl.kubernetes.io/last-applied-configuration", "example.org/address"]) == ()
    assert meaningless(["metallb.universe.tf/ip-allocated-from-pool"]) == ()


def test_however_many_there_are_a_few_are_told_of_in_an_order_that_stays() -> None:
    keys = [f"purelb.io/{'x' * 60}{number:03}" for number in range(100)]

    assert meaningless(keys) == meaningless(reversed(keys))
    assert len(meaningless(keys)) == 5
