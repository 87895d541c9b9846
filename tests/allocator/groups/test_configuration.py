"""ServiceGroups as they are seen, and what putting them into force has to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator.groups.configuration import Configuration
from allocator.ipam.engine import Engine
from purelb.addresses import parse_range
from purelb.forbidden import Forbidden
from purelb.ordering import Changed, Deleted, Replaced, key_of
from tests.allocator.builders import given, group_body, local, request


def changed(body: dict[str, Any]) -> Changed[Mapping[str, Any]]:
    return Changed(key_of(body), body)


def configuration_of(*bodies: dict[str, Any]) -> tuple[Configuration, Engine]:
    engine = Engine()
    configuration = Configuration(engine, has_netbox_token=False)
    for body in bodies:
        configuration.take(changed(body))
    return configuration, engine


def said(configuration: Configuration) -> list[tuple[str, str]]:
    return [(verdict.key.name, notice.reason) for verdict, notice in configuration.enforce()]


def test_what_is_said_of_a_group_is_said_once() -> None:
    configuration, _ = configuration_of(group_body("default", local=local("10.1.0.0/30")), group_body("bad"))

    assert sorted(said(configuration)) == [("bad", "ParseFailed"), ("default", "Parsed")]
    assert said(configuration) == []


def test_a_status_is_no_change_and_a_spec_is() -> None:
    body = group_body("default", local=local("10.1.0.0/30"))
    configuration, _ = configuration_of(body)
    configuration.enforce()

    configuration.take(changed(body | {"status": {"allocatedIPv4": 1}}))
    assert not configuration.is_stale
    configuration.take(changed(body | {"spec": {"local": local("10.2.0.0/30")}}))
    assert configuration.is_stale


def test_a_group_that_contains_what_is_never_given_is_told_so_once() -> None:
    body = group_body("default", local=local("10.1.0.0/28"))
    configuration, engine = configuration_of(body, group_body("apart", local=local("10.2.0.0/28")))
    configuration.enforce()
    node = Forbidden(parse_range("10.1.0.0"), "is an address of node w11")
    pods = Forbidden(parse_range("10.1.0.8/29"), "is of 10.1.0.8/29, the network of the pods of node w11")

    configuration.forbid([pods, node])
    told = [(verdict.key.name, notice.type, notice.message) for verdict, notice in configuration.tainted()]

    assert told == [
        (
            "default",
            "Warning",
            "pool 10.1.0.0-10.1.0.15 contains 10.1.0.0, which is an address of node w11; pool 10.1.0.0-10.1.0.15 "
            "contains 10.1.0.8 and 7 more, which is of 10.1.0.8/29, the network of the pods of node w11: "
            "never given to a Service",
        )
    ]
    configuration.forbid([node])
    assert configuration.tainted() == [], "nodes that come and go are told of once"
    assert given(engine.decide(request("a"))) == ["10.1.0.1"]
    configuration.forbid([])
    assert configuration.tainted() == []
    configuration.forbid([node])
    assert len(configuration.tainted()) == 1


def test_what_is_forbidden_changes_no_group_and_the_same_is_no_news() -> None:
    configuration, _ = configuration_of(group_body("default", local=local("10.1.0.0/28")))
    configuration.enforce()
    catalog = configuration.catalog
    node = Forbidden(parse_range("10.1.0.0"), "is an address of node w11")

    assert configuration.forbid([node])
    assert not configuration.forbid([node])
    assert configuration.enforce() == []
    assert configuration.catalog is catalog


def test_a_list_replaces_what_was_known() -> None:
    old, young = group_body("old", local=local("10.1.0.0/30")), group_body("young", local=local("10.2.0.0/30"))
    configuration, _ = configuration_of(old)
    configuration.enforce()

    configuration.take(Replaced({key_of(young): young}, "5", 0))

    assert [key.name for key in configuration.bodies] == ["young"]
    assert configuration.is_stale


def test_the_answer_to_a_write_brings_no_group_back() -> None:
    body = group_body("default", local=local("10.1.0.0/30"))
    configuration, _ = configuration_of(body)
    configuration.take(Deleted(key_of(body), ""))

    configuration.written(body)

    assert not configuration.bodies


def test_services_on_addresses_that_a_group_lost_are_told_on_the_group_as_they_become_more() -> None:
    configuration, engine = configuration_of(group_body("default", local=local("10.1.0.0/30")))
    configuration.enforce()
    given(engine.decide(request("a")))

    configuration.take(changed(group_body("default", local=local("10.2.0.0/30"))))
    messages = [notice.message for _, notice in configuration.enforce()]

    assert messages[1:] == [
        "1 Service keeps an address of this ServiceGroup that it does not contain any more; nobody else gets them"
    ]
    assert configuration.enforce() == []
