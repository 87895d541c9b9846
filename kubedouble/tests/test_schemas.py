"""Schemas: pruning, defaults, refusals, field sets, and those of built-in kinds."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedouble.fieldsets import Typed, fields_of, from_fields_v1, merge, shown, to_fields_v1, without
from kubedouble.resources import BUILT_IN
from kubedouble.schemas import built_in_schemas, short_name
from kubedouble.structural import default, parse_duration, prune, validate

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "default": {},
            "properties": {
                "size": {"type": "integer", "default": 3},
                "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "named": {"type": "object", "additionalProperties": {"type": "object", "properties": {
                    "x": {"type": "boolean", "default": True}}}},
                "null": {"type": "string", "nullable": True},
            },
        }
    },
}  # fmt: skip


class TestStructuralSchemas:
    def test_pruning_says_what_it_drops(self) -> None:
        obj = {"apiVersion": "v", "metadata": {"any": 1}, "spec": {"odd": 1, "kept": {"odd": 2}}, "more": 1}

        clean, gone = prune(obj, SCHEMA)

        assert clean == {"apiVersion": "v", "metadata": {"any": 1}, "spec": {"kept": {"odd": 2}}}
        assert gone == ["spec.odd", "more"]

    def test_defaults_go_into_defaulted_objects_and_maps(self) -> None:
        obj: dict[str, Any] = {}
        default(obj, SCHEMA)
        assert obj == {"spec": {"size": 3}}

        filled: dict[str, Any] = {"spec": {"size": None, "named": {"a": {}}, "null": None}}
        default(filled, SCHEMA)
        assert filled == {"spec": {"size": 3, "named": {"a": {"x": True}}, "null": None}}

    @pytest.mark.parametrize(
        ("schema", "value", "sentence"),
        [
            ({"type": "string", "minLength": 2}, "a",
             'x: Invalid value: "a": x in body should be at least 2 chars long'),
            ({"type": "string", "format": "ipv4"}, "z", 'x: Invalid value: "z": x in body must be of type ipv4: "z"'),
            ({"type": "string", "format": "cidr"}, "1.2.3.4", 'x in body must be of type cidr: "1.2.3.4"'),
            ({"type": "integer", "maximum": 5, "exclusiveMaximum": True}, 5, "should be less than 5"),
            ({"type": "number", "multipleOf": 0.5}, 0.7, "should be a multiple of 0.5"),
            ({"type": "array", "minItems": 1}, [], "x: Invalid value: 0: x in body should have at least 1 items"),
            ({"type": "array", "maxItems": 1}, [1, 2], "x: Too many: 2: must have at most 1 items"),
            ({"type": "array", "uniqueItems": True}, [1, 1], "shouldn't contain duplicates"),
            ({"type": "object", "minProperties": 1}, {}, "should have at least 1 properties"),
            ({"type": "object", "required": ["y"]}, {}, "x.y: Required value"),
            ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1},
             "one and only one schema (oneOf)"),
            ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {}, "at least one schema (anyOf)"),
            ({"not": {"required": ["a"]}}, {"a": 1}, "must not validate the schema (not)"),
            ({"x-kubernetes-int-or-string": True}, True, 'must be of type integer,string: "boolean"'),
            ({"type": "string"}, None, 'x: Invalid value: "null": x in body must be of type string: "null"'),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, schema: dict[str, Any], value: Any, sentence: str) -> None:
        causes = [cause.sentence() for cause in validate(value, schema, "x", root=False)]

        assert any(sentence in cause for cause in causes), causes

    def test_durations_are_gos(self) -> None:
        assert parse_duration("1h30m") == timedelta(minutes=90)
        assert parse_duration("-250ms") == timedelta(milliseconds=-250)
        with pytest.raises(ValueError, match="invalid duration"):
            parse_duration("1 day")


PORTS: dict[str, Any] = {
    "properties": {
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"properties": {"port": {}, "protocol": {}, "name": {}}},
        },
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {}},
        "whole": {"x-kubernetes-map-type": "atomic"},
    }
}

TYPED = Typed(PORTS, lambda schema: schema)


class TestFieldSets:
    def test_items_are_known_by_their_keys(self) -> None:
        fields = fields_of({"ports": [{"port": 80, "name": "a"}], "tags": ["x"], "whole": {"a": {"b": 1}}}, TYPED)

        item = 'k:{"port":80,"protocol":"TCP"}'
        assert fields == {
            ("f:ports", item),
            ("f:ports", item, "f:port"),
            ("f:ports", item, "f:name"),
            ("f:tags", 'v:"x"'),
            ("f:whole",),
        }
        assert shown(("f:ports", item, "f:name")) == '.ports[port=80,protocol="TCP"].name'

    def test_a_merge_keeps_what_it_does_not_name(self) -> None:
        live = {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}, {"port": 81, "protocol": "TCP"}], "tags": ["x"]}
        intent = {"ports": [{"port": 81, "name": "b"}], "tags": ["y"], "whole": {"c": 1}}

        merged = merge(live, intent, TYPED)

        assert [port.get("name") for port in merged["ports"]] == ["a", "b"]
        assert merged["tags"] == ["x", "y"]
        assert without(merged, TYPED, ("f:ports", 'k:{"port":80,"protocol":"TCP"}'))["ports"] == [
            {"port": 81, "protocol": "TCP", "name": "b"}
        ]

    @given(
        st.sets(
            st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":1}', 'v:"x"']), min_size=1, max_size=4).map(tuple),
            max_size=8,
        )
    )
    def test_fields_v1_keeps_leaves_and_items(self, fields: set[tuple[str, ...]]) -> None:
        kept = {
            path
            for path in fields
            if path[-1].startswith("k:") or not any(other[: len(path)] == path != other for other in fields)
        }

        assert from_fields_v1(to_fields_v1(kept)) == kept


class TestSchemasOfTheClient:
    def test_every_field_that_the_client_maps_is_known(self) -> None:
        """The models say their fields twice; what we read from the one must be what the other says."""
        schemas = built_in_schemas()
        for resource in BUILT_IN:
            schemas.root(resource.group, resource.kind)
        models = Path(schemas._models)
        checked = 0
        for class_name, module in schemas._files.items():
            definition = next(
                (schemas._definitions[name] for name in _names(class_name) if name in schemas._definitions), None
            )
            if definition is None:
                continue
            text = (models / f"{module}.py").read_text()
            mapped = re.search(r"attribute_map: ClassVar\[Dict\[str, str\]\] = (\{.*?\})", text, re.DOTALL)
            assert mapped is not None
            assert set(ast.literal_eval(mapped[1]).values()) == set(definition["properties"]), class_name
            checked += 1
        assert checked > 300

    def test_lists_say_how_they_merge(self) -> None:
        schemas = built_in_schemas()
        schemas.root("", "Pod")
        containers = schemas.definition("io.k8s.api.core.v1.PodSpec")["properties"]["containers"]

        assert containers["x-kubernetes-patch-merge-key"] == "name"
        assert short_name(containers["items"]["$ref"]) == "Container"


def _names(class_name: str) -> list[str]:
    from kubedouble.schemas import _definition_name

    return [_definition_name(class_name)]
