"""Addresses in use: what later changes of groups, families, keys and annotations do to them, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from purelb import names
from tests.allocator.builders import configured, group, local
from tests.allocator.reconcile.test_review import BRANDED, DEFAULT, LAYER2, Desk, ingress, messages, write_of

DUAL = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}
SHARED = {**BRANDED, names.ALLOW_SHARED_IP: "web"}


def test_a_family_that_left_the_group_is_kept_by_a_service_that_prefers_dual_stack() -> None:
    desk = Desk(DEFAULT)
    desk.engine.configure(configured(group("default", local=local("10.1.0.0/30"))))

    plan = desk.review("a", annotations=BRANDED, ingress=["10.1.0.0", "fd00::"], **DUAL)

    assert plan.step is None
    assert messages(plan) == [
        'fd00:: is in no pool of ServiceGroup "default" any more; the Service keeps it until it is deleted or '
        "re-evaluated"
    ]


def test_a_service_that_prefers_dual_stack_gets_the_family_that_its_group_gains() -> None:
    desk = Desk(group("default", local=local("10.1.0.0/30")))
    assert ingress(desk.review("a", **DUAL)) == ["10.1.0.0"]

    desk.engine.configure(configured(DEFAULT))

    assert ingress(desk.review("a", version=2, annotations=BRANDED, ingress=["10.1.0.0"], **DUAL)) == [
        "10.1.0.0",
        "fd00::",
    ]


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ((LAYER2,), '10.1.0.1 is in no pool of ServiceGroup "default" any more; the Service keeps it'),
        (
            (group("default", local=local("10.1.0.2-10.1.0.3")),),
            '10.1.0.1 is in no pool of ServiceGroup "default" any more; the Service keeps it',
        ),
        (
            (group("other", local=local("10.1.0.0/24")),),
            '10.1.0.1 belongs to ServiceGroup "other" now, not to "default"; the Service keeps it',
        ),
    ],
)
def test_a_group_deleted_shrunk_or_renamed_takes_nothing_and_the_service_hears_of_it(
    groups: tuple[Any, ...], sentence: str
) -> None:
    desk = Desk(DEFAULT)
    desk.review("a", annotations=BRANDED, ingress=["10.1.0.1"])
    desk.engine.configure(configured(*groups))

    plan = desk.review("a", version=2, annotations=BRANDED, ingress=["10.1.0.1"])

    assert plan.step is None
    assert [(notice.type, notice.reason) for notice in plan.standing] == [("Warning", "ConfigurationWarning")]
    assert plan.standing[0].message.startswith(sentence)


def test_who_takes_its_sharing_key_away_drives_nobody_from_the_address() -> None:
    desk = Desk(DEFAULT)
    desk.review("old", age=9, annotations=SHARED, ingress=["10.1.0.1"], ports=[80])
    desk.review("young", annotations=SHARED, ingress=["10.1.0.1"], ports=[443])

    desk.review("old", age=9, version=2, annotations=BRANDED, ingress=["10.1.0.1"], ports=[80])
    plan = desk.review("young", annotations=SHARED, ingress=["10.1.0.1"], ports=[443])

    assert plan.step is None
    assert messages(plan) == [
        'Failed to allocate IP for "default/young": can\'t change sharing key for "default/young", '
        "address also in use by default/old; 10.1.0.1 is taken, and may be shared only by Services with one "
        "purelb.io/allow-shared-ip and different ports"
    ]


def test_ports_that_come_to_collide_later_are_told_to_the_younger_and_nobody_moves() -> None:
    desk = Desk(DEFAULT)
    desk.review("old", age=9, annotations=SHARED, ingress=["10.1.0.1"], ports=[80])

    plan = desk.review("young", version=2, annotations=SHARED, ingress=["10.1.0.1"], ports=[80, 443])

    assert plan.step is None
    assert messages(plan) == [
        'Failed to allocate IP for "default/young": port TCP/80 on "10.1.0.1" is already in use by default/old; '
        "Services that share an address need different ports"
    ]
    old = desk.review("old", age=9, annotations=SHARED, ingress=["10.1.0.1"], ports=[80])
    assert messages(old) == []


def test_who_takes_policy_local_later_while_it_shares_is_told_so_and_nobody_moves() -> None:
    desk = Desk(DEFAULT)
    desk.review("a", age=9, annotations=SHARED, ingress=["10.1.0.1"], ports=[80])

    plan = desk.review("b", annotations=SHARED, ingress=["10.1.0.1"], ports=[443], externalTrafficPolicy="Local")

    assert plan.step is None
    assert messages(plan) == [
        'Failed to allocate IP for "default/b": "10.1.0.1" is shared with default/a, whose traffic goes to other '
        "nodes; Services that share an address need policy Cluster, or policy Local and the same selector"
    ]


def test_services_with_policy_local_and_the_same_pods_share_without_a_word() -> None:
    desk = Desk(DEFAULT)
    local = {"externalTrafficPolicy": "Local", "selector": {"app": "web"}}
    desk.review("a", age=9, annotations=SHARED, ingress=["10.1.0.1"], ports=[80], **local)

    plan = desk.review("b", annotations=SHARED, ingress=["10.1.0.1"], ports=[443], **local)

    assert messages(plan) == []


def test_a_pinned_address_whose_family_left_the_service_is_kept_and_told() -> None:
    pinned = {**BRANDED, names.ADDRESSES: "10.1.0.1,fd00::1"}

    plan = Desk(DEFAULT).review("a", annotations=pinned, ingress=["10.1.0.1", "fd00::1"])

    assert plan.step is None
    assert messages(plan) == ['Failed to allocate IP for "default/a": "fd00::1" is IPv6, but the Service has only IPv4']


def test_re_evaluation_follows_what_the_group_says_of_itself_now() -> None:
    desk = Desk(group("default", remote=local("10.1.0.0/30", "fd00::/126")))
    annotations = {**BRANDED, names.RE_EVALUATE: "true", names.SKIP_IPV6_DAD: "true"}

    plan = desk.review("a", annotations=annotations, ingress=["10.1.0.1"])

    assert ingress(plan) == ["10.1.0.1"]
    assert write_of(plan).annotations[names.POOL_TYPE] == "remote"
    assert write_of(plan).annotations[names.SKIP_IPV6_DAD] is None
