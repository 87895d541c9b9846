"""What a Service is to us, and what it asks for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from allocator.ipam.requests import Refusal, Request
from allocator.reconcile.request import (
    LONGEST_KEY,
    Case,
    case_of,
    request_of,
    shown_by_group,
    terms_of,
)
from purelb import names
from tests.allocator.builders import ip, seniority, service

BRAND = {names.ALLOCATED_BY: "PureLB"}


@pytest.mark.parametrize(
    ("parts", "case"),
    [
        ({}, Case.WAITING),
        ({"clusterIP": "None"}, Case.IDLE),
        ({"type": "ClusterIP"}, Case.RETIRED),
        ({"loadBalancerClass": "metallb.io/metallb"}, Case.FOREIGN),
        ({"ingress": ["10.1.0.1"]}, Case.UNBRANDED),
        ({"ingress": ["10.1.0.1"], "annotations": BRAND}, Case.SERVED),
        ({"ingress": ["10.1.0.1"], "annotations": BRAND, "loadBalancerClass": "metallb.io/metallb"}, Case.FOREIGN),
    ],
)
def test_what_a_service_is_to_us(parts: dict[str, Any], case: Case) -> None:
    assert case_of(service("a", **parts), default_announcer=True) is case


@pytest.mark.parametrize(("ingress", "case"), [([], Case.IDLE), (["10.1.0.1"], Case.LEAVING)])
def test_one_that_is_being_deleted_keeps_what_it_has_and_gets_no_more(ingress: list[str], case: Case) -> None:
    leaving = dataclasses.replace(service("a", annotations=BRAND, ingress=ingress), deleting=True)

    assert case_of(leaving, default_announcer=True) is case


def test_without_a_class_and_a_brand_a_service_is_ours_only_where_we_are_the_default() -> None:
    assert case_of(service("a"), default_announcer=False) is Case.FOREIGN
    assert case_of(service("a", type="ClusterIP", annotations=BRAND), default_announcer=False) is Case.RETIRED


def test_an_address_that_is_none_is_refused_with_purelb_s_sentence() -> None:
    for parts, sentence in (
        ({"annotations": {names.ADDRESSES: "10.1.0.1,here"}}, 'invalid user-specified address: ""here""'),
        ({"loadBalancerIP": "here"}, 'invalid spec.loadBalancerIP "here"'),
    ):
        refusal = request_of(service("a", **parts), seniority("a"), group=None)
        assert isinstance(refusal, Refusal)
        assert refusal.message == sentence


def test_a_sharing_key_that_is_too_long_is_refused_and_shares_nothing() -> None:
    longest, longer = ("k" * length for length in (LONGEST_KEY, LONGEST_KEY + 1))

    kept = request_of(service("a", annotations={names.ALLOW_SHARED_IP: longest}), seniority("a"), group=None)
    refusal = request_of(service("a", annotations={names.ALLOW_SHARED_IP: longer}), seniority("a"), group=None)

    assert isinstance(kept, Request)
    assert kept.terms.key == longest
    assert isinstance(refusal, Refusal)
    assert refusal.message == "purelb.io/allow-shared-ip has 254 characters, and a sharing key has 253 at most"
    assert terms_of(service("a", annotations={names.ALLOW_SHARED_IP: longer})).key is None


def test_addresses_of_several_groups_are_told_apart_by_their_order() -> None:
    annotations = {**BRAND, names.ALLOCATED_FROM: "one, two"}

    shown = shown_by_group(service("a", annotations=annotations, ingress=["10.1.0.1", "10.2.0.1"]))

    assert shown == {"one": {ip("10.1.0.1")}, "two": {ip("10.2.0.1")}}
