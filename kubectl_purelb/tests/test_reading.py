"""Where PureLB is: nobody who may only label a Deployment of their own says so."""

from __future__ import annotations

import pytest

from clusters import Json
from kubectl_purelb.reading import find_home
from purelb.errors import SettingsError


def membership(namespace: str, name: str = "purelb") -> Json:
    return {"metadata": {"name": name, "namespace": namespace}}


def deployment(namespace: str) -> Json:
    return {"kind": "Deployment", "metadata": {"name": "allocator", "namespace": namespace}}


def test_it_is_where_its_agents_say_who_is_there() -> None:
    assert find_home([membership("lb")], [deployment("lb"), deployment("tenant")]) == "lb"
    assert find_home([membership("lb"), membership("tenant", name="other")], []) == "lb"


def test_without_their_word_it_is_where_its_programs_are() -> None:
    assert find_home([], [deployment("lb")]) == "lb"
    assert find_home([], []) == "purelb"


def test_of_several_the_usual_one_is_meant_or_none() -> None:
    assert find_home([], [deployment("tenant"), deployment("purelb")]) == "purelb"
    with pytest.raises(SettingsError, match=r"\(one, two\): say which with --purelb-namespace"):
        find_home([membership("two"), membership("one")], [])
