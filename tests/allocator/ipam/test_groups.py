"""Which groups are served, and which of them serves a Service."""

from __future__ import annotations

import pytest

from allocator.ipam.groups import Groups, admit
from allocator.ipam.requests import Reason, Refusal
from purelb.servicegroups import ServiceGroup
from tests.allocator.builders import configured, entries, group, ip, local


def chosen(groups: Groups, named: str | None, namespace: str = "shop") -> str:
    choice = groups.choose(named, namespace)
    assert not isinstance(choice, Refusal), choice.message
    return choice[0].name


def refusal(groups: Groups, named: str | None, namespace: str = "shop") -> Refusal:
    choice = groups.choose(named, namespace)
    assert isinstance(choice, Refusal)
    return choice


A = group("a", local=local("10.0.0.0-10.0.0.99"))


@pytest.mark.parametrize(
    ("other", "clashes"),
    [
        ("10.0.0.99-10.0.1.0", True),
        ("10.0.0.100-10.0.1.0", False),
        ("9.255.255.0-10.0.0.0", True),
        ("9.255.255.0-9.255.255.255", False),
        ("10.0.0.10-10.0.0.20", True),
        ("10.0.0.0/8", True),
    ],
)
def test_a_range_that_shares_an_address_with_an_earlier_group_is_refused(other: str, clashes: bool) -> None:
    groups, refused = admit([A, group("b", local=local(other))], {})

    assert [verdict.sentence for verdict in refused] == (
        ['Pool overlaps with already defined pool "a"; leave each address to one of the two'] if clashes else []
    )
    assert list(groups.served) == (["a"] if clashes else ["a", "b"])


def test_a_refused_group_leaves_its_ranges_to_others() -> None:
    both = group("both", local={"v4pools": entries("10.0.0.50/32", "10.5.0.0/16")})

    groups, refused = admit([A, both, group("c", local=local("10.5.0.0/16"))], {})

    assert [verdict.group.name for verdict in refused] == ["both"]
    assert groups.owner(ip("10.5.0.1")) == groups.served["c"]


def test_the_second_group_of_a_name_is_refused() -> None:
    _, refused = admit([A, group("a", namespace="elsewhere", local=local("10.7.0.0/24"))], {})

    assert [verdict.sentence for verdict in refused] == ["Duplicate definition of pool a"]


def test_addresses_find_their_group_in_both_families() -> None:
    dual = group("dual", local=local("10.1.0.0/24", "fd00::/64"))
    groups = configured(A, dual)

    assert groups.owner(ip("10.0.0.99")) == A
    assert groups.owner(ip("fd00::ffff")) == dual
    assert groups.owner(ip("10.0.0.100")) is None
    assert groups.owner(ip("fd00:0:0:1::")) is None


def test_a_service_that_names_no_group_gets_the_one_called_default() -> None:
    default = group("default", local=local("10.1.0.0/24"))

    assert chosen(configured(A, default), None) == "default"
    assert chosen(configured(A, default), "a") == "a"


def test_an_unknown_group_is_refused_in_purelb_s_words() -> None:
    assert refusal(configured(A), "nope").message == 'unknown pool "nope"'
    assert refusal(configured(A), None).message == 'unknown pool "default"'


def test_a_broken_group_is_named_with_its_trouble() -> None:
    groups, _ = admit([A], {"broken": "broken.pool is missing"})

    answer = refusal(groups, "broken")

    assert answer.reason is Reason.NO_USABLE_POOL
    assert answer.message == 'no usable pool: ServiceGroup "broken" failed to parse: broken.pool is missing'


def listing(name: str, number: int, *namespaces: str, **more: bool) -> ServiceGroup:
    return group(name, local=local(f"10.{number}.0.0/24"), namespaces=list(namespaces), **more)


DEFAULT = group("default", local=local("10.200.0.0/24"))


def test_the_only_group_that_lists_a_namespace_is_its_default() -> None:
    assert chosen(configured(DEFAULT, listing("team", 1, "shop", "blog")), None) == "team"


def test_among_several_the_one_marked_namespace_default_is() -> None:
    groups = configured(DEFAULT, listing("one", 1, "shop"), listing("two", 2, "shop", namespaceDefault=True))

    assert chosen(groups, None) == "two"


def test_an_ambiguous_default_warns_and_falls_back_unless_it_is_enforced() -> None:
    loose = configured(DEFAULT, listing("one", 1, "shop"), listing("two", 2, "shop"))
    strict = configured(DEFAULT, listing("one", 1, "shop", enforceNamespaces=True), listing("two", 2, "shop"))

    choice = loose.choose(None, "shop")

    assert not isinstance(choice, Refusal)
    assert choice[0] is DEFAULT
    assert choice[1] == (
        'ambiguous namespace default: groups one, two serve namespace "shop" and none is marked namespaceDefault; '
        'allocated from "default" instead'
    )
    assert refusal(strict, None).reason is Reason.AMBIGUOUS_DEFAULT


def test_an_enforced_namespace_is_closed_both_ways() -> None:
    groups = configured(
        DEFAULT, listing("team", 1, "shop", enforceNamespaces=True), listing("shared", 2, "shop", "blog")
    )

    assert chosen(groups, "team", "shop") == "team"
    assert chosen(groups, "shared", "shop") == "shared"
    assert chosen(groups, "shared", "blog") == "shared"
    assert refusal(groups, "default", "shop").reason is Reason.NAMESPACE_DENIED
    assert refusal(groups, "team", "blog").reason is Reason.NAMESPACE_DENIED
    assert refusal(groups, "shared", "other").reason is Reason.NAMESPACE_DENIED
    assert chosen(groups, "default", "other") == "default"


def test_without_enforcement_a_list_is_no_boundary() -> None:
    assert chosen(configured(DEFAULT, listing("team", 1, "shop")), "team", "other") == "team"


def test_who_names_no_group_that_there_is_hears_of_those_that_it_may_use() -> None:
    closed = group("closed", local=local("10.9.0.0/24"), namespaces=["bank"], enforceNamespaces=True)
    there = configured(group("layer2-ippool", local=local("10.7.0.0/24")), closed)

    assert refusal(there, "layer2-ipool").advice == 'did you mean "layer2-ippool"?'
    assert refusal(there, "closd").advice == (
        'name "layer2-ippool" in the annotation purelb.io/service-group, or create a ServiceGroup "closd"'
    )
    assert refusal(configured(), None).advice == 'create a ServiceGroup "default"'


@pytest.mark.parametrize(("asked", "label"), [("shop", "shop"), ("Shop!", "<unknown>"), ("x" * 300, "<unknown>")])
def test_only_what_can_be_a_name_counts_as_one(asked: str, label: str) -> None:
    answer = refusal(configured(), asked)

    assert answer.group == label
    assert len(answer.message) + len(answer.advice) < 300
