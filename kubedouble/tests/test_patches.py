"""Patches: the laws of RFC 6902 and 7386, and strategic merge by its rules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedouble.errors import StatusError
from kubedouble.patches import json_patch, merge_patch, strategic_merge

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.text(max_size=3), _VALUES, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


@given(_OBJECTS, _OBJECTS)
def test_a_merge_patch_applied_twice_is_applied_once_and_changes_no_argument(
    target: dict[str, Any], patch: dict[str, Any]
) -> None:
    before = copy.deepcopy((target, patch))

    once = merge_patch(target, patch)

    assert merge_patch(once, patch) == once
    assert (target, patch) == before


@given(_OBJECTS)
def test_merging_into_nothing_drops_the_nulls(patch: dict[str, Any]) -> None:
    assert merge_patch({}, patch) == without_nulls(patch)


# RFC 6902, appendix A
@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        ({"foo": {"a": 1}, "qux": {}}, [{"op": "move", "from": "/foo/a", "path": "/qux/b"}],
         {"foo": {}, "qux": {"b": 1}}),
        ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": {"x": 1}, "b": {"x": 1}}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ],
)  # fmt: skip
def test_json_patch(document: dict[str, Any], patch: list[dict[str, Any]], result: dict[str, Any]) -> None:
    before = copy.deepcopy(document)

    assert json_patch(document, patch) == result
    assert document == before


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"op": "add"}, 400),
        ([{"op": "fly", "path": "/a"}], 400),
        ([{"path": 1}], 400),
        ([{"op": "remove", "path": "/b"}], 422),
        ([{"op": "replace", "path": "/b", "value": 1}], 422),
        ([{"op": "add", "path": "/b/c", "value": 1}], 422),
        ([{"op": "add", "path": "/a/9", "value": 1}], 422),
        ([{"op": "test", "path": "/a", "value": 2}], 422),
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(patch: Any, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        json_patch({"a": [1]}, patch)
    assert refused.value.code == code


SCHEMA: dict[str, Any] = {
    "properties": {
        "items": {
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "name",
            "items": {"properties": {"tags": {"x-kubernetes-patch-strategy": "merge"}}},
        },
        "atomic": {"type": "array"},
        "strategy": {"x-kubernetes-patch-strategy": "retainKeys"},
    }
}
OBJECT: dict[str, Any] = {
    "items": [{"name": "a", "v": 1, "tags": ["x"]}, {"name": "b", "v": 2}],
    "atomic": [1, 2],
    "strategy": {"type": "Rolling", "rolling": {"n": 1}},
}


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ({"items": [{"name": "a", "v": 9}]}, {"items": [{"name": "a", "v": 9, "tags": ["x"]}, {"name": "b", "v": 2}]}),
        ({"items": [{"name": "c"}]}, {"items": [*OBJECT["items"], {"name": "c"}]}),
        ({"items": [{"name": "a", "$patch": "delete"}]}, {"items": [{"name": "b", "v": 2}]}),
        ({"items": [{"$patch": "replace"}, {"name": "z"}]}, {"items": [{"name": "z"}]}),
        ({"items": [{"name": "a", "tags": ["y"]}]},
         {"items": [{"name": "a", "v": 1, "tags": ["x", "y"]}, {"name": "b", "v": 2}]}),
        ({"items": [{"name": "a", "$deleteFromPrimitiveList/tags": ["x"]}]},
         {"items": [{"name": "a", "v": 1, "tags": []}, {"name": "b", "v": 2}]}),
        ({"$setElementOrder/items": [{"name": "b"}, {"name": "a"}]},
         {"items": [{"name": "b", "v": 2}, {"name": "a", "v": 1, "tags": ["x"]}]}),
        ({"atomic": [3]}, {"atomic": [3]}),
        ({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}, {"strategy": {"type": "Recreate"}}),
        ({"strategy": None}, {"strategy": None}),
    ],
)  # fmt: skip
def test_strategic_merge(patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = copy.deepcopy(OBJECT)

    merged = strategic_merge(OBJECT, patch, SCHEMA, lambda schema: schema)

    expected = {key: value for key, value in {**OBJECT, **result}.items() if value is not None}
    assert merged == expected
    assert before == OBJECT


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(StatusError, match="does not contain declared merge key: name"):
        strategic_merge(OBJECT, {"items": [{"v": 1}]}, SCHEMA, lambda schema: schema)
