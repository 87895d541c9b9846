"""A VIP by which a node reaches its resolver or the API server is announced like any other, and told of."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.kubernetes.doubleuse import DoubleUse
from lbnodeagent.kubernetes.viptable import WantedTable
from purelb.election import owner
from purelb.services import ServiceKey
from tests.lbnodeagent.kubernetes.test_viptable import VIP, service

NODES = frozenset({"m", "w11", "w12"})
RESOLVER = {VIP: "a resolver (/etc/resolv.conf)"}
KEY = ServiceKey("test", "web")


def double_use(node: str = "w11") -> tuple[DoubleUse, WantedTable]:
    wanted = WantedTable()
    wanted.set_service(service())
    return DoubleUse(node, wanted), wanted


def test_one_of_the_agents_says_so_once_and_the_address_stays_wanted() -> None:
    said = []
    for node in NODES:
        made, wanted = double_use(node)
        made.landmarks_are(RESOLVER)
        made.members_are(NODES)
        said += [text for _, text in made.take()]
        made.look(KEY)
        assert made.take() == []
        assert VIP in wanted.table

    assert said == [
        f"For node {owner(NODES, 'test/web')}, 10.189.0.0 is also a resolver (/etc/resolv.conf): right if it is meant "
        "to be reached by this Service; else take the address out of the pool"
    ]


def test_nothing_is_said_while_the_agents_are_not_known() -> None:
    made, _ = double_use()
    made.landmarks_are(RESOLVER)
    assert made.take() == []

    made.members_are(frozenset({"w11"}))
    assert len(made.take()) == 1


def test_it_is_told_also_when_the_resolver_or_the_service_comes_later() -> None:
    made, wanted = double_use()
    made.members_are(frozenset({"w11"}))
    made.landmarks_are({**RESOLVER, ip_address("10.31.188.53"): "the API server's address"})
    assert len(made.take()) == 1

    wanted.set_service(service("api", ips=("10.31.188.53",)))
    made.look(ServiceKey("test", "api"))
    ((of, text),) = made.take()
    assert of.key.name == "api"
    assert text.startswith("For node w11, 10.31.188.53 is also the API server's address: ")


def test_a_service_that_goes_and_comes_back_is_told_of_again() -> None:
    made, wanted = double_use()
    made.members_are(frozenset({"w11"}))
    made.landmarks_are(RESOLVER)
    made.take()

    wanted.drop_service(KEY)
    made.look(KEY)
    wanted.set_service(service())
    made.look(KEY)

    assert len(made.take()) == 1


def test_an_address_that_is_no_resolver_any_more_is_not_told_of() -> None:
    made, _ = double_use()
    made.landmarks_are(RESOLVER)
    made.landmarks_are({})
    made.members_are(frozenset({"w11"}))

    assert made.take() == []


def test_another_agent_tells_it_when_the_one_that_was_to_tell_it_goes() -> None:
    first = owner(NODES, "test/web")
    second = owner(NODES - {first or ""}, "test/web")
    made, _ = double_use(second or "")
    made.landmarks_are(RESOLVER)
    made.members_are(NODES)
    assert made.take() == []

    made.members_are(NODES - {first or ""})
    assert len(made.take()) == 1
