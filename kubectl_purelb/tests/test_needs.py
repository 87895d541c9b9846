"""A question is asked of no more Services than it takes to answer it."""

from __future__ import annotations

import pytest

from kubectl_purelb.arguments import COMMANDS
from kubectl_purelb.needs import EVERY, Which, needed


@pytest.mark.parametrize("command", ["version", "state", "dashboard", "nodes", "validate", "events"])
def test_what_is_about_no_service_reads_none(command: str) -> None:
    subject = "w11" if command == "state" else ""

    assert needed(command, subject) is None


@pytest.mark.parametrize(
    ("subject", "namespace", "which"),
    [
        ("web", None, Which(None, "web")),
        ("web", "shop", Which("shop", "web")),
        ("shop/web", "other", Which("shop", "web")),
        ("a,metadata.namespace=b", None, None),
        ("shop/", None, None),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "events"])
def test_of_a_service_that_is_named_those_of_its_name_are_read(
    command: str, subject: str, namespace: str | None, which: Which | None
) -> None:
    assert needed(command, subject, namespace) == which


def test_of_a_namespace_its_services_are_read() -> None:
    assert needed("services", namespace="shop") == Which("shop")
    assert needed("services") == EVERY


def test_all_others_are_about_all_of_them() -> None:
    few = {"version", "state", "dashboard", "nodes", "validate", "inspect", "events"}

    assert {needed(command, "10.31.188.64") for command in COMMANDS if command not in few} == {EVERY}
